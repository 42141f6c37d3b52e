"""What is sold for credits, what came in, and what became of it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from generation_svc.domain.money import ClosedSales, MoneyMode

STARS = "XTR"
"""The currency of Telegram Stars (Bot API, sendInvoice)."""
TELEGRAM_STARS = "telegram_stars"
"""The provider of those payments."""
REAL_TELEGRAM = "api.telegram.org"
MAX_PACKS = 16
MAX_PACK_STARS = 10_000
MAX_CREDITS = 1_000_000_000
"""The number of credits that one payment brings."""
MOST_AMOUNT = 10**12
"""What one payment may be, in the smallest unit of any currency: more than there are Stars."""
_PACK = re.compile(r"([a-z0-9_-]{1,32})=([1-9][0-9]{0,9}):([1-9][0-9]{0,4})")
_TELEGRAM_USER = re.compile(r"telegram:([1-9][0-9]{0,15})")


@dataclass(frozen=True, slots=True)
class Pack:
    """So many credits for so many Stars."""

    id: str
    credits: int
    stars: int


def parse_packs(text: str) -> tuple[Pack, ...]:
    """Read packs as `id=credits:stars` with commas in between. Raises ValueError."""
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    packs = tuple(_parse_pack(part) for part in parts)
    if len(packs) > MAX_PACKS:
        raise ValueError(f"{len(packs)} packs are too many: at most {MAX_PACKS} can be sold")
    if len({pack.id for pack in packs}) < len(packs):
        raise ValueError("two packs have one id")
    return tuple(sorted(packs, key=lambda pack: (pack.stars, pack.id)))


def _parse_pack(part: str) -> Pack:
    found = _PACK.fullmatch(part)
    if not found:
        raise ValueError(f"{part!r} is no pack: write id=credits:stars, such as small=100:100")
    pack = Pack(found[1], int(found[2]), int(found[3]))
    if pack.credits > MAX_CREDITS or pack.stars > MAX_PACK_STARS:
        most = f"at most {MAX_CREDITS} credits for at most {MAX_PACK_STARS} Stars"
        raise ValueError(f"pack {pack.id!r} is too large: {most}")
    return pack


def telegram_user(owner: str) -> int | None:
    """Return the number of the user whose wallet it is; None if the owner is no such user."""
    found = _TELEGRAM_USER.fullmatch(owner)
    return int(found[1]) if found else None


def is_at_home(telegram_host: str, *, mode: MoneyMode) -> bool:
    """Return whether the Stars of a host are the money of a ledger: real ones of a live one."""
    host = telegram_host.lower().rstrip(".").partition(":")[0]
    return (host == REAL_TELEGRAM) is (mode is MoneyMode.LIVE)


class TopUpState(StrEnum):
    """The states of a top-up."""

    CREDITED = "credited"
    REFUNDING = "refunding"
    """Its credits are taken back; the provider is to return the payment."""
    REFUNDED = "refunded"
    CHARGED_BACK = "charged_back"


ENDED = (TopUpState.REFUNDED, TopUpState.CHARGED_BACK)
"""The states in which the payment went back."""


@dataclass(frozen=True, slots=True)
class Payment:
    """What somebody paid, as an edge tells it."""

    provider: str
    external_id: str
    owner: str
    amount: int
    """In the smallest unit of the currency."""
    currency: str
    pack_id: str = ""
    """Empty if no pack was bought."""
    credits: int = 0
    """0 if they are those of the pack."""
    bot_id: int | None = None
    payer: int | None = None
    """Who paid, as the provider numbers its users, if that is not the owner."""
    suspense: str = ""
    """For what its Stars lie in suspense, if an operator says whose they are."""
    is_untold: bool = False
    """Whether its owner has to be told of it: whoever records it is not who took it."""

    @property
    def cause(self) -> str:
        """What the transfers of its Stars are made for."""
        return f"{self.provider}/{self.external_id}"

    @property
    def is_stars(self) -> bool:
        """Whether it was paid in Telegram Stars."""
        return self.currency == STARS


def sold_at(payment: Payment, packs: Sequence[Pack]) -> Pack | None:
    """Return the pack that a payment bought, at the rate of its invoice.

    The packs are all that were ever sold, the latest first: a price may have changed since.
    """
    right = [
        pack
        for pack in packs
        if (pack.id, pack.stars) == (payment.pack_id, payment.amount)
        and payment.credits in (0, pack.credits)
    ]
    return right[0] if right else None


@dataclass(frozen=True, slots=True)
class TopUp:
    """A payment that was turned into credits."""

    id: UUID
    provider: str
    external_id: str
    owner: str
    pack_id: str
    credits: int
    amount: int
    currency: str
    state: TopUpState
    caller: str
    bot_id: int | None = None
    user_id: int | None = None
    """Who paid, as the provider numbers its users."""
    create_time: datetime | None = None
    refund_time: datetime | None = None
    """When the payment went back."""
    refund_count: int = 0
    """How often its credits were taken back; the provider may have refused a refund."""
    is_refundable: bool = False
    """Whether nothing of it is spent."""
    lease_token: UUID | None = None
    is_due_again: bool = False
    """Whether a bot is to return the payment once more: its provider lists no return."""
    receipt: str = ""
    refund_receipt: str = ""

    @property
    def payment_cause(self) -> str:
        """What the transfers of its Stars are made for."""
        return f"{self.provider}/{self.external_id}"

    @property
    def refund_cause(self) -> str:
        """What the transfers of its latest refund are made for."""
        return str(self.id) if self.refund_count <= 1 else f"{self.id}/{self.refund_count}"

    @property
    def is_returned_by_bot(self) -> bool:
        """Whether a bot can return the payment."""
        return self.provider == TELEGRAM_STARS and self.bot_id is not None

    def difference(self, payment: Payment) -> str:
        """Return the first field in which a payment differs from what it became, or nothing."""
        mine = {"owner": self.owner, "amount": self.amount, "currency": self.currency}
        # What the payment leaves open is as it was, and of Stars an operator may name no pack.
        mine |= {"credits": self.credits} if payment.credits else {}
        mine |= {"pack_id": self.pack_id} if payment.pack_id and self.pack_id else {}
        return next((name for name, kept in mine.items() if kept != getattr(payment, name)), "")


@dataclass(frozen=True, slots=True)
class Standing:
    """What keeps an owner from buying."""

    is_blocked: bool = False
    closed: ClosedSales | None = None
    """Why nothing is sold; None while sales are open."""
    unconfirmed: int = 0
    """How many credits that the caller recorded today no list of transactions confirmed yet."""
