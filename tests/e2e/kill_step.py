"""The steps at which the money of a paid job moves, as statements at which a service is killed."""

from __future__ import annotations

from dataclasses import dataclass

from tests.e2e.buyer import PRICE


@dataclass(frozen=True, kw_only=True)
class Step:
    """Where the service is killed, and what becomes of the job after that."""

    table: str
    event: str = "UPDATE"
    when: str
    is_cancelled: bool = False
    fails: bool = False
    is_committed: bool = False
    """Whether the money has moved by then."""

    @property
    def state(self) -> str:
        """Return the state in which the job ends."""
        return "cancelled" if self.is_cancelled else "failed" if self.fails else "succeeded"

    @property
    def captured(self) -> int:
        """Return what the job costs in the end."""
        return 0 if self.fails else PRICE

    @property
    def told(self) -> str:
        """Return what the owner is told once: the result, the failure, or nothing."""
        return "" if self.is_cancelled else "failure" if self.fails else "picture"


STEPS = {
    "before its outcome is stored": Step(table="attempt", when="NEW.state = 'succeeded'"),
    "between its media and its end": Step(table="media", event="INSERT", when="true"),
    "between its charge and its commit": Step(
        table="delivery", event="INSERT", when="NEW.kind = 'outcome'"
    ),
    "right after its commit": Step(
        table="delivery", when="NEW.state = 'leased' AND NEW.kind = 'outcome'", is_committed=True
    ),
    "while its hold is given back": Step(table="hold", when="NEW.state = 'released'", fails=True),
    "while it is cancelled and its result comes": Step(
        table="hold", when="NEW.state = 'captured'", is_cancelled=True
    ),
    "while it is cancelled and its failure comes": Step(
        table="hold", when="NEW.state = 'released'", is_cancelled=True, fails=True
    ),
}
