"""Callers side by side: how many calls a second, how long each took, and what it cost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from types import MappingProxyType

from tests.bench.table import Line
from tests.bench.usage import cpu_s

Call = Callable[[], Awaitable[object]]
Watched = Mapping[str, int]
"""The ids of processes by their part: own, gateway, postgres."""
NOTHING: Watched = MappingProxyType({})
WARM_UP_SECONDS = 0.3


@dataclass(frozen=True)
class Sample:
    """The lengths of some calls, in seconds, and how many there were a second."""

    seconds: Sequence[float]
    per_second: float
    cpu_s: Mapping[str, float] = field(default_factory=dict)
    """What each of the watched processes took meanwhile, by its part: own, gateway, postgres."""

    @property
    def p50_ms(self) -> float:
        return self.quantile_ms(0.5)

    @property
    def p99_ms(self) -> float:
        return self.quantile_ms(0.99)

    def quantile_ms(self, share: float) -> float:
        """Return a length that this share of the calls did not exceed."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass
class Rounds:
    """The samples of one program, taken in turns with the others."""

    samples: list[Sample] = field(default_factory=list)

    @property
    def median(self) -> float:
        return median(each.per_second for each in self.samples)

    def line(self, *, row: str, program: str, base: Rounds | None = None) -> Line:
        """Return the rates as a line of the table, and the costs of all rounds together."""
        rates = [each.per_second for each in self.samples]
        whole = Sample([length for each in self.samples for length in each.seconds], 0)
        costs = {
            part: 1000 * sum(each.cpu_s[part] for each in self.samples) / len(whole.seconds)
            for part in self.samples[0].cpu_s
        }
        return Line(
            row=row,
            program=program,
            values=rates,
            unit="a second",
            p99_ms=whole.p99_ms,
            ratio=self.median / base.median if base else None,
            cpu_ms=costs.get("own"),
            gateway_ms=costs.get("gateway"),
            postgres_ms=costs.get("postgres"),
        )


async def load(calls: Sequence[Call], *, seconds: float, watched: Watched = NOTHING) -> Sample:
    """Repeat each call by a caller of its own, and measure all of them together."""
    await _run(calls, seconds=WARM_UP_SECONDS)
    before, started = _cpu_s(watched), time.perf_counter()
    lengths = await _run(calls, seconds=seconds)
    rate = len(lengths) / (time.perf_counter() - started)
    return Sample(lengths, rate, _since(before, watched))


async def batch(calls: Sequence[Call], *, callers: int, watched: Watched = NOTHING) -> Sample:
    """Make each call once, so many at a time."""
    before, started = _cpu_s(watched), time.perf_counter()
    left, lengths = iter(calls), list[float]()
    await asyncio.gather(*(_each(left, lengths) for _ in range(callers)))
    rate = len(calls) / (time.perf_counter() - started)
    return Sample(lengths, rate, _since(before, watched))


async def steadily(calls: Sequence[Call], *, per_second: float) -> list[float]:
    """Begin so many calls a second, whatever became of the ones before; return their lengths."""
    lengths: list[float] = []
    async with asyncio.TaskGroup() as group:
        for call in calls:
            group.create_task(_each(iter([call]), lengths))
            await asyncio.sleep(1 / per_second)
    return lengths


def _cpu_s(watched: Watched) -> dict[str, float]:
    return {part: cpu_s(pid) for part, pid in watched.items()}


def _since(before: Mapping[str, float], watched: Watched) -> dict[str, float]:
    return {part: now - before[part] for part, now in _cpu_s(watched).items()}


async def _each(calls: Iterator[Call], lengths: list[float]) -> None:
    for call in calls:
        started = time.perf_counter()
        await call()
        lengths.append(time.perf_counter() - started)


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
