"""The ledger: accounts, transfers between them, and the rules by which credits move.

A transfer takes from one account what it gives to another, so each currency sums to zero. A wallet
is the sum of its owner's transfers. A user's credits are whole numbers; what the provider takes is
counted in thousandths of its own credit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

MILLI = 1000
"""How many units of `Currency.KIE_MILLI` one credit of the provider has."""

MOST_CREDITS = 10**15
"""The most that a wallet holds: sums of it fit into the database, and into any client's numbers."""


class Currency(StrEnum):
    """What is counted."""

    CREDIT = "credit"
    KIE_MILLI = "kie_milli"
    XTR = "xtr"
    XTR_NANO = "xtr_nano"


class AccountKind(StrEnum):
    """Where something is: with an owner, or with the house."""

    GRANTED = "granted"
    """Given to an owner; spent first, never refunded."""
    PAID = "paid"
    """Bought by an owner."""
    HELD = "held"
    """Kept for an owner's jobs that are not over."""
    DEBT = "debt"
    """What an owner owes; it holds less than nothing, or nothing."""
    INCOME = "income"
    GRANTS = "grants"
    LATE_RESULTS = "late_results"
    EXCHANGE = "exchange"
    OPENING = "opening"
    PROVIDER_COST = "provider_cost"
    PROVIDER = "provider"
    TELEGRAM = "telegram"
    SUSPENSE = "suspense"
    BOT_OWNER = "bot_owner"


OWNED = frozenset({AccountKind.GRANTED, AccountKind.PAID, AccountKind.HELD, AccountKind.DEBT})
"""The accounts that each owner has; all others are the house's."""


_SPENDABLE = frozenset({AccountKind.GRANTED, AccountKind.PAID})


class TransferKind(StrEnum):
    """Why something moved."""

    HOLD = "hold"
    CAPTURE = "capture"
    RELEASE = "release"
    GRANT = "grant"
    TOP_UP = "top_up"
    REFUND = "refund"
    CHARGEBACK = "chargeback"
    IMPORT = "import"
    IMPORT_UNDO = "import_undo"
    DEBT_PAYMENT = "debt_payment"
    PROVIDER_COST = "provider_cost"
    STARS_IN = "stars_in"
    STARS_OUT = "stars_out"
    CORRECTION = "correction"


@dataclass(frozen=True, slots=True)
class Transfer:
    """One movement, which is never changed."""

    kind: TransferKind
    source: AccountKind
    target: AccountKind
    amount: int
    cause: str
    """What it was made for: the id of a job, a top-up, an attempt …"""
    currency: Currency = Currency.CREDIT
    owner: str | None = None
    actor: str = "service"
    reason: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    id: int = 0
    """Its number; 0 until it is written."""
    time: datetime | None = None
    balance_after: int | None = None
    """The owner's balance after it, once it is written."""

    @property
    def change(self) -> int:
        """By how much it changes the owner's balance."""
        return self.amount * ((self.target in _SPENDABLE) - (self.source in _SPENDABLE))


@dataclass(frozen=True, slots=True)
class Wallet:
    """What an owner has."""

    owner: str
    granted: int = 0
    paid: int = 0
    held: int = 0
    debt: int = 0
    is_blocked: bool = False
    lent: int = 0
    """What was lent to it for jobs of `lent_month`, and is held or was captured."""
    lent_month: datetime | None = None
    """When the month (UTC) began in which something was lent last."""

    @property
    def balance(self) -> int:
        """What can be spent now."""
        return self.granted + self.paid

    def has_no_room(self, credits_: int) -> bool:
        """Return whether so many more credits are more than it can hold."""
        return credits_ > 0 and self.balance + self.held + credits_ > MOST_CREDITS


@dataclass(frozen=True, slots=True)
class Grant:
    """What an operator gave, or, less than 0, wanted to take."""

    id: UUID
    owner: str
    credits: int
    actor: str
    reason: str


class HoldState(StrEnum):
    """What became of what was held."""

    OPEN = "open"
    CAPTURED = "captured"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Charge:
    """What is to be paid for a job before it runs."""

    payer: str
    credits: int
    margin: Decimal
    promised: int = 1
    monthly_limit: int = 0
    """How many credits the payer may use in a month (UTC) beyond what it has."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a job brought, which is what it may cost."""

    count: int
    missing: int = 0
    measured_cost: Decimal | None = None
    """What the provider took, where the price was only a ceiling and it told."""


def price_of(cost: Decimal, *, margin: Decimal) -> int:
    """Return the credits for a cost: rounded up once, on the total, and never nothing."""
    return max(1, int((cost * margin).to_integral_value(ROUND_CEILING)))


def set_off(amount: int, *, debt: int) -> tuple[int, int]:
    """Return what of a top-up pays a debt, and what is left for the owner."""
    first = min(amount, debt)
    return first, amount - first


def taken_back(amount: int, *, paid: int) -> tuple[int, int]:
    """Return what of an amount the paid credits bear, and what becomes a debt."""
    first = min(amount, paid)
    return first, amount - first
