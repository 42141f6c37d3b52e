"""What jobs may cost the operator in a day of UTC, in the provider's credits."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum


class Cap(StrEnum):
    """A limit of a day, as callers are told of it."""

    FREE = "free"
    """For all jobs that users do not pay for."""
    ALL = "all"


@dataclass(frozen=True, slots=True)
class DailyCaps:
    """The limits of a day; None where there is none."""

    free: Decimal | None = None
    overall: Decimal | None = None

    @property
    def is_set(self) -> bool:
        """Whether there is any."""
        return self.free is not None or self.overall is not None


@dataclass(frozen=True, slots=True)
class DailyCost:
    """What the jobs that were accepted on a day cost so far, and will cost as was quoted."""

    day: date | None = None
    """None if it was never read."""
    free: Decimal = Decimal(0)
    """What users do not pay for."""
    overall: Decimal = Decimal(0)

    def with_jobs(self, *, free: Decimal, overall: Decimal) -> "DailyCost":
        """Return it with further jobs."""
        return DailyCost(self.day, self.free + free, self.overall + overall)

    def reached(self, caps: DailyCaps, *, cost: Decimal, is_free: bool) -> Cap | None:
        """Return the limit that one more job would pass, if there is one."""
        if caps.overall is not None and _is_beyond(self.overall, cost, cap=caps.overall):
            return Cap.ALL
        if is_free and caps.free is not None and _is_beyond(self.free, cost, cap=caps.free):
            return Cap.FREE
        return None


def _is_beyond(spent: Decimal, cost: Decimal, *, cap: Decimal) -> bool:
    # A job of which nobody knows the cost is let in as long as something is left.
    return spent >= cap or spent + cost > cap
