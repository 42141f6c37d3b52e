"""The accounts that a job and a top-up of its owner move credits between, as values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass, replace

from generation_svc.domain.ledger import Transfer, Wallet


@dataclass(frozen=True, slots=True)
class Accounts:
    """What each account holds; those of the house go below zero."""

    granted: int = 0
    paid: int = 0
    held: int = 0
    debt: int = 0
    """Less than nothing, or nothing."""
    income: int = 0
    grants: int = 0
    exchange: int = 0

    @property
    def total(self) -> int:
        """What all accounts hold together, which is nothing."""
        return sum(astuple(self))

    @property
    def is_sound(self) -> bool:
        """Whether no account of the owner is beyond nothing."""
        return min(self.granted, self.paid, self.held, -self.debt) >= 0

    def moved(self, source: str, target: str, amount: int) -> Accounts:
        """Return what is there after a transfer."""
        taken = replace(self, **{source: getattr(self, source) - amount})
        return replace(taken, **{target: getattr(taken, target) + amount})

    def after(self, transfers: Iterable[Transfer]) -> Accounts:
        """Return what is there after some transfers."""
        now = self
        for each in transfers:
            now = now.moved(each.source, each.target, each.amount)
        return now

    def wallet(self, owner: str) -> Wallet:
        """Return what the owner has."""
        return Wallet(owner, self.granted, self.paid, self.held, -self.debt)
