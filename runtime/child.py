"""A process that works for another one: it reads an order a line, and answers each with a line.

Both are JSON. It bounds itself: whatever an order does to it, the other one only sees that it has
ended.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

Order = dict[str, Any]
_PR_SET_PDEATHSIG = 1


def begin() -> dict[str, Any]:
    """Take the limits that the other process names, and return them."""
    limits = _told()
    _end_with(limits["parent"])
    _set_limit(resource.RLIMIT_AS, limits["memory_bytes"])
    _set_limit(resource.RLIMIT_CORE, 0)
    os.nice(limits["nice"])
    return limits


def orders() -> Iterator[Order]:
    """Return the orders, one after the other, until there are no more."""
    for line in sys.stdin:
        yield json.loads(line)


def allow(*, cpu_seconds: int, file_bytes: int) -> None:
    """Let the next order take so much time of a processor, and write files of this size."""
    _set_limit(resource.RLIMIT_FSIZE, file_bytes)
    _set_limit(resource.RLIMIT_CPU, int(time.process_time()) + 1 + cpu_seconds)


def reply(answer: dict[str, Any]) -> None:
    """Answer an order."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _told() -> dict[str, Any]:
    """Return the limits of the command line, or say that no person starts this program."""
    if sys.argv[2:] or not sys.argv[-1].startswith("{"):
        from runtime.command_reader import CommandReader  # as only a person needs it

        parser = CommandReader(_name(), description="Work for a service, which starts this itself.")
        parser.add_argument("limits", type=json.loads, help="what it may take, as JSON")
        parser.parse_args()
    limits: dict[str, Any] = json.loads(sys.argv[1])
    return limits


def _name() -> str:
    spec = sys.modules["__main__"].__spec__
    return spec.name.removesuffix(".__main__") if spec else sys.argv[0]


def _end_with(parent: int) -> None:
    """Have the kernel end this process with the other; elsewhere the end of its orders does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's; the other says when to end
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit(1)


def _set_limit(kind: int, most: int) -> None:
    """Set a limit that the kernel holds this process to; it ends one that takes more."""
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (min(most, hard) if hard != resource.RLIM_INFINITY else most, hard))
