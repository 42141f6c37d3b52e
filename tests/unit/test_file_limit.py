"""The limit on open files: raised at start, and kept free of connections for what else there is."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from runtime.file_limit import connections_within

LIMIT = 256
SCRIPT = """
import asyncio, resource
from runtime.process import run
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
async def main():
    print(soft, *resource.getrlimit(resource.RLIMIT_NOFILE), hard)
run(main)
"""


def test_a_process_may_open_as_many_files_as_the_system_allows() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    command = ("sh", "-c", f'ulimit -Sn {LIMIT} && exec "$0" -c "$1"', sys.executable, SCRIPT)
    said = subprocess.run(command, check=True, capture_output=True, text=True)
    before, soft, _, _ = map(int, said.stdout.split()[-4:])
    assert (before, soft) == (LIMIT, hard)


def test_connections_leave_room_for_other_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (LIMIT, LIMIT))
    assert connections_within(10, reserved=100) == 10
    assert connections_within(LIMIT, reserved=100) == 156
    assert connections_within(LIMIT, reserved=LIMIT) == 64
