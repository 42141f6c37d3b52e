"""Time in the model: whole ticks around one present.

The present never moves. That time passes means that everything stored or remembered becomes a tick
older, and what is stored at most as old as any rule can tell; so the states are finitely many.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast

from generation_svc.domain.attempt import Attempt
from generation_svc.domain.delivery import Delivery
from generation_svc.domain.job import Job
from generation_svc.domain.port.queue import Claim
from generation_svc.domain.timing import Timing

TICK = timedelta(seconds=180)
"""The longest of the leases that are no part of a timing: a fetch's."""
NOW = datetime(2026, 1, 1, tzinfo=UTC)
TIMING = Timing(
    start_deadline=3 * TICK,
    hard_deadline=3 * TICK,
    unknown_grace=2 * TICK,
    missing_grace=TICK,
    first_read_floor=TICK,
    submit_lease=TICK,
    hint_interval=TICK,
)
LONGEST = TICK
"""What the one model at most takes."""
OLDEST = NOW - TIMING.hard_deadline


class Clock:
    """The clock of the database: it goes back while a use case repeats what it has done."""

    behind = 0
    """How many ticks."""

    @classmethod
    def now(cls) -> datetime:
        return NOW - cls.behind * TICK if cls.behind else NOW


def after(span: timedelta) -> datetime:
    """Return the first tick at which so much time has passed."""
    return NOW + -(-span // TICK) * TICK


def due(time: datetime | None) -> datetime | None:
    """Return a due time a tick later: once it has come, how long ago does not matter."""
    return time and max(time - TICK, NOW)


def age(time: datetime | None) -> datetime | None:
    """Return a past time a tick later, at most as old as the longest deadline asks for."""
    return time and max(time - TICK, OLDEST)


def came(attempt: Attempt) -> Attempt:
    """Return an attempt with the times of a success that comes now."""
    begin = attempt.accept_time or attempt.submit_time
    if begin <= OLDEST:
        return late(attempt, time=NOW)
    return replace(attempt, accept_time=begin, end_time=None)


def late(attempt: Attempt, *, time: datetime) -> Attempt:
    """Return an attempt with the times of a success after the hard stop, wherever that was.

    When any other success came matters to nobody, and is not kept.
    """
    return replace(attempt, accept_time=time - TIMING.hard_deadline - TICK, end_time=time)


def remembered(value: object) -> object:
    """Return what somebody was told of the database, a tick later."""
    match value:
        case datetime():
            return value - TICK
        case Job(start_deadline_time=start, finish_deadline_time=finish):
            return replace(
                value,
                start_deadline_time=start - TICK,
                finish_deadline_time=finish and finish - TICK,
            )
        case Attempt(submit_time=submit, accept_time=accept, end_time=end):
            return replace(
                value,
                submit_time=submit - TICK,
                accept_time=accept and accept - TICK,
                end_time=end and end - TICK,
            )
        case Claim() | Delivery():
            return replace(value, job=cast(Job, remembered(value.job)))
        case tuple():
            return tuple(map(remembered, value))
    return value
