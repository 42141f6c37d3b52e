"""Start a PostgreSQL program as a user it accepts, to end when the process that asked for it ends.

Run as a script by `embedded_postgres`, in an interpreter of its own: what it does to itself on the
way to `exec` must not happen between the fork and the exec of a process with threads.

    launcher.py HOLDER_PID UID GID DATA_FOLDER PROGRAM [ARGUMENT]...

PostgreSQL refuses to run as root, so root's child becomes UID. That user may be unable to enter a
folder above the data or the programs (root's own home is 0700), and nobody's modes are changed for
it: the child keeps the one capability that lets it in, as an ambient one, which survives `exec`.
"""

import ctypes
import os
import signal
import struct
import sys

# <linux/prctl.h>
_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_SET_SECUREBITS = 28
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
# <linux/securebits.h>
_SECBIT_NO_SETUID_FIXUP = 4
# <linux/capability.h>
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2
_CAP_SETPCAP = 8


def main(holder_pid: str, uid: str, gid: str, *command: str) -> None:
    """Become the user, tie this process to its holder, and turn into the program."""
    folder, program, *arguments = command
    os.umask(0o077)
    for inherited in (signal.SIGINT, signal.SIGPIPE):
        signal.signal(inherited, signal.SIG_DFL)  # what is ignored here stays so after exec
    if os.geteuid() == 0:
        _become(int(uid), int(gid), needs=(folder, program))
    if sys.platform == "linux":
        # Last, because a change of user clears it. A fast shutdown is the signal's meaning.
        _prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
    if os.getppid() != int(holder_pid):
        sys.exit("The process that PostgreSQL was started for has ended.")
    os.execv(program, [program, *arguments])


def _become(uid: int, gid: int, *, needs: tuple[str, str]) -> None:
    if sys.platform == "linux":
        _prctl(_PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    # access() asks for the real user, without the capabilities that were kept.
    if not all(os.access(path, os.X_OK) for path in needs):
        _keep_way_in(uid)


def _keep_way_in(uid: int) -> None:
    """Keep one capability: the one that only reads, or what a container's root has instead."""
    if sys.platform == "linux":
        for capability in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE):
            if _set_capabilities(capability, _CAP_SETPCAP):
                # Or access(), by which PostgreSQL looks for its programs, would not count it.
                _prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)
                _set_capabilities(capability)
                _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)
                return
    sys.exit(f"User {uid}, as whom PostgreSQL would run, cannot enter its folders.")


def _set_capabilities(*capabilities: int) -> bool:
    """Make them the effective, permitted and inheritable ones; false if one is not permitted."""
    bits = sum(1 << capability for capability in capabilities)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    data = struct.pack("=6I", bits, bits, bits, 0, 0, 0)
    return bool(ctypes.CDLL(None).capset(header, data) == 0)


def _prctl(option: int, *arguments: int) -> None:
    padded = [ctypes.c_ulong(argument) for argument in (*arguments, 0, 0, 0, 0)[:4]]
    if ctypes.CDLL(None, use_errno=True).prctl(option, *padded) != 0:
        sys.exit(f"prctl({option}) failed: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    main(*sys.argv[1:])
