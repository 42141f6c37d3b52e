"""What Telegram and the ledger have of Stars once all is quiet, and the promises about them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.chaos.ledger import Ledger
from tests.chaos.money import Money
from tests.chaos.sale import PACK

BACK = ("refunded", "charged_back")
"""The states of a top-up whose payment went back."""
_BALANCE = re.compile(r"You have (-?\d+) credit")


@dataclass(frozen=True, kw_only=True)
class Payment:
    """A payment as Telegram knows it."""

    charge_id: str
    user_id: int
    is_refunded: bool = False
    is_told: bool = True
    """Whether the bot got the update about it."""

    @property
    def owner(self) -> str:
        return f"telegram:{self.user_id}"


@dataclass(frozen=True, kw_only=True)
class TopUp:
    """A payment as the ledger knows it, with what was moved for it."""

    id: str
    external_id: str
    owner: str
    state: str = "credited"
    credited: int = PACK
    back: int = 0
    balances: frozenset[int] = frozenset()
    """What its owner could spend at some moment since."""


@dataclass(kw_only=True)
class Stars:
    """Both sides."""

    payments: list[Payment] = field(default_factory=list)
    top_ups: list[TopUp] = field(default_factory=list)
    moved: Counter[tuple[str, bool]] = field(default_factory=Counter)
    """How often Telegram's list has a charge, by whether it came in."""
    balance: int = 0
    """What the bot has, by Telegram's account."""
    told: dict[str, set[int | None]] = field(default_factory=dict)
    """What messages about a top-up said of the balance."""
    shown: dict[str, int | None] = field(default_factory=dict)
    """What a person read who asked for the balance at the end."""

    @property
    def returned(self) -> list[Payment]:
        """What went back."""
        return [each for each in self.payments if each.is_refunded]

    @property
    def kept(self) -> Counter[str]:
        """What everybody bought and did not get back the Stars of, in credits."""
        kept = Counter[str]()
        for each in self.payments:
            kept[each.owner] += 0 if each.is_refunded else PACK
        return kept


def told_balance(text: str) -> int | None:
    """Return what a message says of the balance."""
    found = _BALANCE.search(text)
    return int(found[1]) if found else None


def star_problems(stars: Stars, money: Money, ledger: Ledger) -> Iterator[tuple[str, str]]:
    """Give what of the Stars is not as Telegram says: a subject, and what is so."""
    bought = {each.external_id: each for each in stars.top_ups}
    paid = {each.charge_id: each for each in stars.payments}
    for payment in stars.payments:
        for problem in _wrong(payment, bought.get(payment.charge_id), stars):
            yield payment.charge_id, problem
    for charge_id in bought.keys() - paid.keys():
        yield charge_id, "was credited, and Telegram knows of no payment"
    for charge_id in ledger.purchases.keys() - paid.keys():
        yield charge_id, "was paid, and Telegram knows of no payment"
    for charge_id in sorted(ledger.refunds):
        if charge_id in paid and not paid[charge_id].is_refunded:
            yield charge_id, "was refunded by an operator, and never went back"
    yield from _told_otherwise(stars, money)
    yield from _unbooked(stars, money)


def _wrong(payment: Payment, top_up: TopUp | None, stars: Stars) -> Iterator[str]:
    """Give what differs between a payment and its top-up."""
    moved = (stars.moved[payment.charge_id, True], stars.moved[payment.charge_id, False])
    if moved != (1, int(payment.is_refunded)):
        yield f"came {moved[0]} times and went back {moved[1]} times"
    if top_up is None:
        yield "was paid and never credited"
        return
    if (top_up.owner, top_up.credited) != (payment.owner, PACK):
        yield f"brought {top_up.owner} {top_up.credited} credits: {payment}"
    if (top_up.state in BACK) != payment.is_refunded:
        yield f"is {top_up.state}, and at Telegram it is {payment}"
    if top_up.back != (PACK if payment.is_refunded else 0):
        yield f"gave back {top_up.back} credits, and at Telegram it is {payment}"


def _told_otherwise(stars: Stars, money: Money) -> Iterator[tuple[str, str]]:
    """Hold what people read to what they had."""
    bought = {each.external_id: each for each in stars.top_ups}
    for payment in stars.payments:
        top_up = bought.get(payment.charge_id)
        if top_up is None:
            continue
        said = stars.told.get(top_up.id, set())
        if payment.is_told and not said:
            yield payment.charge_id, "was paid, and the person was told nothing"
        if not said <= top_up.balances:
            yield payment.charge_id, f"told {said}, and its owner never had that"
    has = {each.owner: each.balance for each in money.wallets}
    for owner, shown in stars.shown.items():
        if shown != has.get(owner, 0):
            yield owner, f"reads of {shown} credits and has {has.get(owner, 0)}"


def _unbooked(stars: Stars, money: Money) -> Iterator[tuple[str, str]]:
    """Hold the ledger's Stars to the bot's."""
    booked = -money.accounts["xtr", "telegram"]
    if booked != stars.balance:
        yield "Stars", f"the bot has {stars.balance}, and {booked} are booked"
    if suspended := money.accounts["xtr", "suspense"]:
        yield "Stars", f"{suspended} are in suspense"
