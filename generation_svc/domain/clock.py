"""The clock of the service, and its days: they begin at midnight UTC for everybody."""

from datetime import datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the database's time, which all replicas agree on; a machine's own may be wrong."""

    def now(self) -> datetime:
        """Return the present, aware, in UTC."""


def day_of(time: datetime) -> datetime:
    """Return when the day of a time in UTC began."""
    return time.replace(hour=0, minute=0, second=0, microsecond=0)


def month_of(time: datetime) -> datetime:
    """Return when the month of a time in UTC began."""
    return day_of(time).replace(day=1)


def month_after(time: datetime) -> datetime:
    """Return when the month after that of a time in UTC begins."""
    return month_of(month_of(time) + timedelta(days=31))


def day_after(time: datetime) -> datetime:
    """Return when the day after that of a time in UTC begins."""
    return day_of(time) + timedelta(days=1)
