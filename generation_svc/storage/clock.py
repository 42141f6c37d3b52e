"""Tells the database's time between two readings of it.

Whatever is stored, compared with what is stored, or decides on a job is told in this time, for the
replicas' own clocks may differ by hours. A reading is one statement, every ten seconds at
most. Between two of them the monotonic clock goes on, which nobody sets.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from runtime.clock import utc_now

READ_EVERY_SECONDS = 10.0
"""How old a reading may be before the next one is taken."""

DRIFT = 1e-4
"""How much of its time a machine's monotonic clock may be wrong by; quartz is ten times better."""


@dataclass(frozen=True, slots=True)
class _Reading:
    time: datetime
    at: float
    """The monotonic time at which it was that time, give or take the slack."""
    slack: float


class DatabaseClock:
    """Tells the time of the database; before the first reading that of this machine."""

    def __init__(
        self,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        local: Callable[[], datetime] = utc_now,
    ) -> None:
        self._monotonic, self._local = monotonic, local
        self._reading: _Reading | None = None
        self._read_at = float("-inf")

    @property
    def is_due(self) -> bool:
        """Whether it is time for another reading."""
        return self._monotonic() - self._read_at >= READ_EVERY_SECONDS

    def now(self) -> datetime:
        """Return the present, aware, in UTC."""
        if self._reading is None:
            return self._local()
        return self._reading.time + timedelta(seconds=self._monotonic() - self._reading.at)

    def read(self, told: datetime, *, asked_at: float) -> None:
        """Take what the database said, as of some moment since it was asked.

        An answer that was long under way says little: it replaces a better one only if it proves
        that one wrong.
        """
        answered_at = self._monotonic()
        slack = (answered_at - asked_at) / 2
        reading = _Reading(told.astimezone(UTC), at=answered_at - slack, slack=slack)
        self._read_at = answered_at
        if self._reading is None or self._is_better(reading):
            self._reading = reading

    def _is_better(self, reading: _Reading) -> bool:
        kept = self._reading
        assert kept is not None
        elapsed = reading.at - kept.at
        difference = abs((reading.time - kept.time).total_seconds() - elapsed)
        slack = kept.slack + DRIFT * elapsed
        return reading.slack <= slack or difference > reading.slack + slack
