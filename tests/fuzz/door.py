"""What attacks of all doors have in common: a tally, and many at a time."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

MOST_FINDINGS = 20


@dataclass
class Tally:
    """What came of the inputs of one door."""

    door: str
    inputs: int = 0
    seconds: float = 0.0
    answers: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    def find(self, what: str) -> None:
        """Note what must not be."""
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(f"{self.door}: {what}"[:600])


async def attack(
    tally: Tally, draw: Callable[[], Any], ask: Callable[[Any], Awaitable[str]], *, inputs: int
) -> None:
    """Draw inputs and ask for each, many at a time; count the answers."""
    start, left = time.monotonic(), iter(range(inputs))

    async def worker() -> None:
        for _ in left:
            tally.answers[await ask(draw())] += 1
            tally.inputs += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(24):
            group.create_task(worker())
    tally.seconds += time.monotonic() - start
