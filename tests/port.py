"""Ports that no other test on this machine is given, in this process or another."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

_LISTENING_PORTS = (12_000, 32_000)
"""Below the ephemeral ports of Linux, so that a process that was killed finds its port free."""
_BOOK = Path(tempfile.gettempdir(), f"atelier-test-ports-{os.getuid()}")
_book = os.open(_BOOK, os.O_RDWR | os.O_CREAT, 0o600)
"""Byte N is locked by who was given port N; the kernel unlocks it when that process ends."""
_given: set[int] = set()
_system_random = random.SystemRandom()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on and that no test was given."""
    while not _is_ours(port := _system_random.randrange(*_LISTENING_PORTS)) or not _is_free(port):
        continue
    return port


def free_address() -> str:
    """Return 127.0.0.1 with such a port."""
    return f"127.0.0.1:{free_port()}"


def _is_ours(port: int) -> bool:
    """Return whether the port is now this process's; a lock does not tell what it itself holds."""
    if port in _given:
        return False
    try:
        fcntl.lockf(_book, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    _given.add(port)
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
