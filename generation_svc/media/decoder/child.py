"""One process that examines pictures, seen from the service.

It is started anew (exec), never forked from a process full of gRPC threads, with an environment
that holds no secret. Whoever gives up waiting for it ends it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from typing import Any

MOST_ORDERS = 500
"""How many pictures a process examines before another takes its place."""
_PROGRAM = "generation_svc.media.examination"


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """What a process may use."""

    memory_bytes: int = 768 * 2**20
    """All of its memory: a progressive JPEG of 64 megapixels takes 430 MiB of it."""
    cpu_seconds: int = 6
    """The time of a processor for one picture; the slowest allowed ones take two."""
    wall_seconds: float = 60
    """The time for one picture on a machine so busy that the other is not used up."""
    nice: int = 10
    """How far it stands back when there is little of the processor."""


class ChildEnded(Exception):
    """The process ended before it answered."""


class LimitReached(Exception):
    """The process was ended because the picture took more than it may."""


class Child:
    """A process that examines one picture at a time."""

    def __init__(self, process: Process, *, limits: ChildLimits) -> None:
        self._process = process
        self._limits = limits
        self._orders = 0

    @classmethod
    async def start(cls, limits: ChildLimits) -> Child:
        """Start a process. Raises OSError where there can be none."""
        told = {
            "parent": os.getpid(),
            "memory_bytes": limits.memory_bytes,
            "cpu_seconds": limits.cpu_seconds,
            "nice": limits.nice,
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", _PROGRAM, json.dumps(told)),
            stdin=PIPE,
            stdout=PIPE,
            env=_environment(),
        )
        return cls(process, limits=limits)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def is_usable(self) -> bool:
        """Whether it lives and may be given another picture."""
        return self._process.returncode is None and self._orders < MOST_ORDERS

    async def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        """Have a picture examined. Raises LimitReached or ChildEnded, and then it has ended."""
        self._orders += 1
        try:
            async with asyncio.timeout(self._limits.wall_seconds):
                line = await self._exchanged(json.dumps(order).encode() + b"\n")
        except (OSError, TimeoutError) as error:
            await self.end()
            raise ChildEnded(type(error).__name__) from error
        except asyncio.CancelledError:
            self._kill()
            raise
        if not line.endswith(b"\n"):
            raise self._reason(await self._process.wait())
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def end(self) -> None:
        """End the process, whatever it is doing."""
        self._kill()
        await self._process.wait()

    async def _exchanged(self, line: bytes) -> bytes:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(line)
        await self._process.stdin.drain()
        return await self._process.stdout.readline()

    def _kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()

    def _reason(self, code: int) -> Exception:
        if code == -signal.SIGXCPU:
            return LimitReached(f"{self._limits.cpu_seconds} s of a processor")
        return ChildEnded(f"exit code {code}")


def _environment() -> dict[str, str]:
    """Return what Python needs to find the program, and none of the service's secrets."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
