"""When rows make work due."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from generation_svc.domain.account import Account


class DueKind(StrEnum):
    """What rows make due."""

    DISPATCH = "dispatch"
    READ = "read"
    FETCH = "fetch"
    WEBHOOK = "webhook"
    COST = "cost"
    """An attempt that ended without anybody telling what it cost."""
    ORPHAN = "orphan"
    """An attempt whose dispatcher has had its time."""
    START_DEADLINE = "start_deadline"
    HARD_STOP = "hard_stop"
    """An attempt a day after acceptance; told up to the time that its submission took too early."""
    CALLBACK = "callback"
    """A callback that nobody applied."""
    SURPLUS = "surplus"
    """More callbacks that are not believed than are kept."""
    DELAY = "delay"
    """A queued job that may have to be told why it waits, or that it waits no longer."""


@dataclass(frozen=True, slots=True)
class DueRules:
    """From when on a row is due, where it does not say so itself."""

    readable: Sequence[Account]
    """The accounts whose tasks can be read."""
    submit_lease: timedelta
    hard_deadline: timedelta
    callback_age: timedelta
    untrusted_kept: int


class DueStore(Protocol):
    """All that rows make due, looked at together."""

    async def look(self, rules: DueRules) -> Mapping[DueKind, timedelta]:
        """Return in how long the next row of each kind is due, in one round trip.

        Zero means that one is due now; a kind without a row is left out.
        """
