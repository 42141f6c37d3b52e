"""What an owner's credits did in a period, as a document tells it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from generation_svc.domain.ledger import TransferKind

MOST_SPAN = timedelta(days=366)
"""The longest period of a statement."""
MOST_LINES = 3000
"""How many lines one has; as many of the longest still make a file of less than 4 MiB."""


class StatementForm(StrEnum):
    """How a statement is written."""

    CSV = "csv"
    PDF = "pdf"


class StatementConflict(Exception):
    """The lines of a statement do not lead from its opening balance to its closing one."""


@dataclass(frozen=True, slots=True)
class Period:
    """A span of time, without its end."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One movement of an owner's credits."""

    time: datetime
    kind: TransferKind
    amount: int
    """How much moved."""
    change: int
    """By how much it changed the balance; 0 for what was held before."""
    balance: int
    """The balance after it."""
    title: str = ""
    """What the model of its job is called."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """What an owner had before a period, what happened then, and what was left."""

    owner: str
    period: Period
    opening: int
    lines: tuple[StatementLine, ...]
    time: datetime
    """When it was made."""
    language: str = "en"
    is_cut: bool = False
    """Whether the period has earlier lines, which are left out."""
    is_test: bool = False
    """Whether it is about play money."""
    seller: str = ""
    """What the seller says of itself."""

    @property
    def closing(self) -> int:
        """The balance at the end."""
        return self.lines[-1].balance if self.lines else self.opening

    @property
    def added(self) -> int:
        """What came in, all together."""
        return sum(each.change for each in self.lines if each.change > 0)

    @property
    def taken(self) -> int:
        """What went out, all together."""
        return -sum(each.change for each in self.lines if each.change < 0)

    def check(self) -> None:
        """Raise StatementConflict unless each balance follows from the one before it."""
        for before, line in zip(_balances(self.opening, self.lines), self.lines, strict=False):
            if before + line.change != line.balance:
                raise StatementConflict(f"{before} and {line.change} do not make {line.balance}")
        if self.opening + self.added - self.taken != self.closing:
            raise StatementConflict(f"the lines do not lead from {self.opening} to {self.closing}")


@dataclass(frozen=True, slots=True)
class StatementFile:
    """A statement as a file."""

    data: bytes
    mime_type: str
    name: str


def _balances(opening: int, lines: Iterable[StatementLine]) -> Iterable[int]:
    yield opening
    for line in lines:
        yield line.balance
