"""Ending the connections of peers: those alone, and never silently none."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from generation_svc.rpc.peer import OPEN_FILES, close_connections


def connected(listener: socket.socket) -> tuple[socket.socket, socket.socket]:
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    return client, server


def open_files() -> int:
    return len(list(OPEN_FILES.iterdir()))


def is_open(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return bool(client.recv(1))
    except BlockingIOError:
        return True


async def test_these_connections_are_ended_and_no_file_is_left_open(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, (tmp_path / "file").open("w"):
        port = listener.getsockname()[1]
        (one, its), (other, others) = connected(listener), connected(listener)
        with one, its, other, others:
            before = open_files()
            assert await close_connections({one.getsockname()}, ports={port}) == 1
            assert not is_open(one)
            assert is_open(other)
            assert await close_connections({other.getsockname()}, ports={port + 1}) == 0
            assert is_open(other)
            assert open_files() == before


async def test_a_process_that_can_open_no_file_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_more(number: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "dup", no_more)
    with socket.create_server(("127.0.0.1", 0)), pytest.raises(OSError, match="Too many"):
        await close_connections({("10.0.0.1", 1)}, ports={1})
