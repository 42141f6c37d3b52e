"""Controls one process that examines media, or does other work that would hold up the service.

It is started anew (exec), never forked from a process full of gRPC threads, with an environment
that holds no secret. Whoever gives up waiting for it ends it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from runtime.thread import in_thread

MOST_ORDERS = 500
"""How many files a process examines before another takes its place."""
BYTES_PER_SECOND = 8 * 2**20
"""How fast a file is read at least, on a machine that is busy."""


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """What a process runs, and what it may use for it."""

    memory_bytes: int = 768 * 2**20
    """All of its memory: a progressive JPEG of 64 megapixels takes 430 MiB of it."""
    cpu_seconds: int = 6
    """The time of a processor for one file; the slowest allowed ones take two."""
    wall_seconds: float = 60
    """The time for one file on a machine so busy that the other is not used up."""
    nice: int = 10
    """How far it stands back when there is little of the processor."""
    program: str = "generation_svc.media.examination"
    """The module that it runs."""

    def seconds(self, size_bytes: int) -> float:
        """Return the time for a file of this size: a large one takes as long as its disk."""
        return self.wall_seconds + size_bytes / BYTES_PER_SECOND


class ChildEnded(Exception):
    """The process ended before it answered."""


class LimitReached(Exception):
    """The process was ended because the file took more than it may."""


class Child:
    """A process that examines one file at a time."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        *,
        limits: ChildLimits,
        answers: asyncio.StreamReader,
        transport: asyncio.BaseTransport,
    ) -> None:
        self._process = process
        self._limits = limits
        self._answers = answers
        self._transport = transport
        self._orders = 0

    @classmethod
    async def start(cls, limits: ChildLimits) -> Child:
        """Start a process. Raises OSError where there can be none."""
        process, answers = _spawned(limits), asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(answers), process.stdout
        )
        return cls(process, limits=limits, answers=answers, transport=transport)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def is_usable(self) -> bool:
        """Whether it lives and may be given another file."""
        return self._process.poll() is None and self._orders < MOST_ORDERS

    async def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        """Have a file examined. Raises LimitReached or ChildEnded; then it is to be ended."""
        self._orders += 1
        try:
            async with asyncio.timeout(self._limits.seconds(order["size_bytes"])):
                self._send(json.dumps(order).encode() + b"\n")
                line = await self._answers.readline()
        except (OSError, TimeoutError) as error:
            raise ChildEnded(type(error).__name__) from error
        if not line.endswith(b"\n"):
            raise self._reason(await self._waited())
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def end(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        assert self._process.stdin
        self._process.stdin.close()
        self._transport.close()
        await self._waited()

    def _send(self, line: bytes) -> None:
        """Write a line, for which a pipe that was read to its end always has room."""
        assert self._process.stdin
        self._process.stdin.write(line)

    async def _waited(self) -> int:
        return await in_thread(self._process.wait, name="decoder-end")

    def _reason(self, code: int) -> Exception:
        if code == -signal.SIGXCPU:
            return LimitReached(f"{self._limits.cpu_seconds} s of a processor")
        return ChildEnded(f"exit code {code}")


def _spawned(limits: ChildLimits) -> subprocess.Popen[bytes]:
    """Start the program from the main thread, with whose end it would end, too.

    Python's own module has the child on vfork, which runs none of gRPC's fork handlers; the loop's
    (libuv) forks.
    """
    told = {
        "parent": os.getpid(),
        "memory_bytes": limits.memory_bytes,
        "cpu_seconds": limits.cpu_seconds,
        "nice": limits.nice,
    }
    return subprocess.Popen(
        [sys.executable, "-m", limits.program, json.dumps(told)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        env=_environment(),
    )


def _environment() -> dict[str, str]:
    """Return what Python needs to find the program, and none of the service's secrets."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
