"""Callers side by side: how many calls a second, and how long each one took."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

Call = Callable[[], Awaitable[object]]
CELL_SECONDS = 1.2
WARM_UP_SECONDS = 0.3


@dataclass(frozen=True)
class Sample:
    """The lengths of some calls, in seconds, and how many there were a second."""

    seconds: Sequence[float]
    per_second: float

    @property
    def p50_ms(self) -> float:
        return self._quantile(0.5)

    @property
    def p99_ms(self) -> float:
        return self._quantile(0.99)

    def _quantile(self, share: float) -> float:
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def load(calls: Sequence[Call], *, seconds: float = CELL_SECONDS) -> Sample:
    """Repeat each call by a caller of its own, and measure all of them together."""
    await _run(calls, seconds=WARM_UP_SECONDS)
    started = time.perf_counter()
    lengths = await _run(calls, seconds=seconds)
    return Sample(lengths, len(lengths) / (time.perf_counter() - started))


async def _run(calls: Sequence[Call], *, seconds: float) -> list[float]:
    end = time.perf_counter() + seconds
    found = await asyncio.gather(*(_repeat(call, end=end) for call in calls))
    return [length for lengths in found for length in lengths]


async def _repeat(call: Call, *, end: float) -> list[float]:
    lengths: list[float] = []
    while (started := time.perf_counter()) < end:
        await call()
        lengths.append(time.perf_counter() - started)
    return lengths
