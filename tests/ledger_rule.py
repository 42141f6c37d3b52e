"""What jobs take of a wallet, and which payments can go back: the rules, without a database.

The product decides both in SQL, under the locks of the rows (`storage/money/hold`,
`storage/money/top_up_query`). Here they are said once more, in the plainest way, and tests hold the
two to each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from generation_svc.domain.ledger import Delivered, HoldState, price_of


@dataclass(frozen=True, slots=True)
class Hold:
    """What is kept of an owner for one job."""

    job_id: UUID
    owner: str
    """Who pays."""
    model_id: str
    granted: int
    paid: int
    margin: Decimal
    promised: int = 1
    """How many results its price is for."""
    state: HoldState = HoldState.OPEN
    captured: int = 0
    lent: int = 0
    """What of the paid credits the payer did not have, and owes; captured last."""

    @property
    def total(self) -> int:
        """What is kept in all."""
        return self.granted + self.paid


@dataclass(frozen=True, slots=True)
class TopUpShare:
    """What of a wallet one top-up brought, for the question whether it was touched."""

    id: UUID
    credits: int


def split(amount: int, *, granted: int) -> tuple[int, int]:
    """Return what an amount takes of the granted credits, which go first, and of the paid ones."""
    first = min(amount, granted)
    return first, amount - first


def captured_amount(hold: Hold, delivered: Delivered) -> int:
    """Return what a hold is worth by what was delivered; never more than the hold."""
    if delivered.count <= 0:
        return 0
    handed = delivered.count + delivered.missing
    if delivered.measured_cost is None:
        return hold.total * delivered.count // max(hold.promised, handed)
    measured = min(hold.total, price_of(delivered.measured_cost, margin=hold.margin))
    return measured * delivered.count // handed


def returned(hold: Hold, *, captured: int) -> tuple[int, int]:
    """Return what goes back to the granted and to the paid credits when so much is captured."""
    granted, paid = split(captured, granted=hold.granted)
    return hold.granted - granted, hold.paid - paid


def untouched(top_ups: Iterable[TopUpShare], *, paid: int) -> frozenset[UUID]:
    """Return the top-ups, given oldest first, of which nothing was spent: the oldest goes first."""
    whole, rest = set(), paid
    for each in reversed(tuple(top_ups)):
        rest -= each.credits
        if rest < 0:
            break
        whole.add(each.id)
    return frozenset(whole)
