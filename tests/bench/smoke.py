"""`make bench-smoke`: what must not grow, counted on the real processes in under a minute.

Counts do not depend on the machine's mood; ratios do a little, so their bounds are wide.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvloop

from runtime.file_limit import raise_file_limit
from tests.bench.create import accept_counts, rates
from tests.bench.idle import idle_counts
from tests.bench.life import STEADY_S, System, atelier, life_counts
from tests.bench.paid import paid_accept_counts, paid_lives
from tests.bench.start import modules, start_times
from tests.bench.table import Line, table
from tests.bench.usage import resident_kb
from tests.bench.world import World, world

FOLDER = Path(".atelier/bench-smoke").absolute()
CALLERS = 32
LIFE_JOBS = 20
IDLE_S = 4.0
SHOWN = 20
"""How many parts of a figure are printed where it is too great."""


@dataclass(frozen=True, kw_only=True)
class Bound:
    """What a line may not exceed; a share has a least value instead."""

    statements: float | None = None
    transactions: float | None = None
    most: float | None = None
    """Of the line's own figure."""
    least_ratio: float | None = None
    most_ratio: float | None = None

    def problems(self, line: Line) -> Iterator[str]:
        """Return what is wrong with a line."""
        limits = (
            ("statements", line.statements, self.statements),
            ("transactions", line.transactions, self.transactions),
            (line.unit, line.median, self.most),
            ("times the bare program's", line.ratio, self.most_ratio),
        )
        for what, found, most in limits:
            if most is not None and (found is None or found > most):
                yield f"{line.row}: {found} {what}, at most {most:g} allowed"
        least = self.least_ratio
        if least is not None and (line.ratio is None or line.ratio < least):
            yield f"{line.row}: {line.ratio} of the bare program's rate, at least {least:g} wanted"


# The counts stand just above what was measured last; the aims are in docs/performance.md. They are
# to be lowered with each piece of the work on speed, so that nothing creeps back. The ratios have
# room for a busy machine.
BOUNDS = {
    "CreateJob, counted": Bound(statements=3.2, transactions=2.1),
    "whole life, counted": Bound(statements=30, transactions=11),
    "whole life, to a chat, counted": Bound(statements=66, transactions=27),
    "CreateJob, paid, counted": Bound(statements=3.2, transactions=2.1),
    "whole life, paid, counted": Bound(statements=34, transactions=11),
    "paid life beyond a free one": Bound(most=12),
    "idle, each second": Bound(statements=4, transactions=2),
    "memory after these jobs": Bound(most=125),
    # Some fifty of them are the wallet's, which serves its RPCs from the first call on.
    "modules imported at start": Bound(most=1140),
    "start to serving": Bound(most_ratio=8),
    "CreateJob, 32": Bound(least_ratio=0.08),
}


async def _lines() -> list[Line]:
    async with world(FOLDER, rounds=1, seconds=1.0) as measured:
        return [
            await accept_counts(measured),
            *await _counts(measured),
            await paid_accept_counts(measured),
            *await paid_lives(measured, jobs=LIFE_JOBS),
            await modules(measured),
            (await start_times(measured))[-1],
            (await rates(measured, callers=[CALLERS], queues=[]))[1],
        ]


async def _counts(world: World) -> list[Line]:
    async with atelier(world, "smoke", duration_s=STEADY_S) as system:
        return [
            await idle_counts(world, system, seconds=IDLE_S),
            await life_counts(world, system, jobs=LIFE_JOBS),
            await life_counts(world, system, jobs=LIFE_JOBS, has_chat=True),
            _memory(system),
        ]


def _memory(system: System) -> Line:
    """Return what the service holds once all that it needs is loaded."""
    held_mb = resident_kb(system.service.pid) / 1024
    return Line(row="memory after these jobs", program="service", values=[held_mb], unit="MB")


def _problems(lines: Iterable[Line]) -> Iterator[str]:
    """Return what exceeds its bound, each with what it is made of."""
    by_row = {line.row: line for line in lines}
    assert by_row.keys() == BOUNDS.keys(), "every line has a bound, and every bound a line"
    for row, bound in BOUNDS.items():
        for problem in bound.problems(by_row[row]):
            parts = (f"    {count:8.1f}  {what}" for count, what in by_row[row].detail[:SHOWN])
            yield "\n".join((problem, *parts))


def main() -> None:
    """Measure, print, and end with an error where a bound is exceeded."""
    raise_file_limit()
    lines = uvloop.run(_lines())
    sys.stdout.write(f"{table(lines)}\n")
    if problems := list(_problems(lines)):
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
