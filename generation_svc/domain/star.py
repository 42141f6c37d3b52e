"""The Stars of a bot as Telegram lists them, and what is known of each transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from generation_svc.domain.top_up import MOST_AMOUNT, TELEGRAM_STARS

NANO = 10**9
"""How many nanostars a Star has."""
INVOICE = "invoice_payment"
"""What Telegram calls the payment of an invoice (TransactionPartnerUser)."""
UNCOMPARED = "it is not compared yet"
"""What is said of a transaction from when it is kept until it is compared with the ledger."""
_PAYLOAD = "topup:1:"


class StarDirection(StrEnum):
    """Whether Stars came or went."""

    IN = "in"
    OUT = "out"


class StarState(StrEnum):
    """What is known of a transaction of Stars."""

    MATCHED = "matched"
    BOOKED = "booked"
    """It is the bot owner's own business."""
    SUSPENSE = "suspense"
    """Nobody knows whose it is."""
    MISSING = "missing"
    """It should have been booked, and was not."""


class StarPartner(StrEnum):
    """The other side of a transaction, by its name in the Bot API."""

    USER = "user"
    CHAT = "chat"
    FRAGMENT = "fragment"
    TELEGRAM_ADS = "telegram_ads"
    TELEGRAM_API = "telegram_api"
    AFFILIATE_PROGRAM = "affiliate_program"
    OTHER = "other"
    UNKNOWN = ""
    """One that this release does not know."""


STRANGERS = frozenset({StarPartner.OTHER, StarPartner.UNKNOWN})
"""Those of whom nobody can say what they did."""


@dataclass(frozen=True, slots=True)
class StarTransaction:
    """A movement into or out of a bot's balance, as Telegram lists it."""

    bot_id: int
    id: str
    direction: StarDirection
    amount: int
    time: datetime
    partner: StarPartner = StarPartner.UNKNOWN
    nano: int = 0
    user_id: int | None = None
    transaction_type: str = ""
    payload: str = ""
    document: Mapping[str, Any] = field(default_factory=dict)
    state: StarState = StarState.MISSING
    problem: str = ""
    """What differs from the ledger; empty if they agree."""
    settled_as: str = ""
    """What an operator decided that it is; empty if nobody had to."""

    @property
    def is_in(self) -> bool:
        """Whether the bot received the Stars."""
        return self.direction is StarDirection.IN

    @property
    def is_of_invoice(self) -> bool:
        """Whether a user paid an invoice, or got that back."""
        is_paid = self.transaction_type == INVOICE
        return self.partner is StarPartner.USER and is_paid

    @property
    def nanostars(self) -> int:
        """The amount as one number."""
        return self.amount * NANO + self.nano

    @property
    def share(self) -> int:
        """What of a user's payment an affiliate got and the bot did not, in nanostars."""
        side = self.document.get("source" if self.is_in else "receiver")
        found = side.get("affiliate") if isinstance(side, Mapping) else None
        if not isinstance(found, Mapping):
            return 0
        whole, part = found.get("amount"), found.get("nanostar_amount")
        return abs(_whole(whole) * NANO + _whole(part))

    @property
    def paid(self) -> int | None:
        """What the user paid or got back, in Stars; None if that is no whole number."""
        whole, part = divmod(self.nanostars + self.share, NANO)
        return None if part or whole > MOST_AMOUNT else whole

    @property
    def cause(self) -> str:
        """What its transfers are made for; of a payment the same as those of its top-up."""
        if self.is_of_invoice:
            return f"{TELEGRAM_STARS}/{self.id}"
        return f"star/{self.bot_id}/{self.direction}/{self.id}"

    @property
    def is_failed(self) -> bool:
        """Whether it is a withdrawal that failed."""
        side = self.document.get("receiver")
        state = side.get("withdrawal_state") if isinstance(side, Mapping) else None
        return isinstance(state, Mapping) and state.get("type") == "failed"


@dataclass(frozen=True, slots=True)
class Invoice:
    """What the payload of an invoice says: what was bought, and by whom."""

    pack_id: str
    user_id: int


@dataclass(frozen=True, slots=True)
class StarDifference:
    """What Telegram and the ledger do not agree about."""

    transaction: StarTransaction
    problem: str
    is_healed: bool = False


def read_payload(text: str) -> Invoice | None:
    """Return what an invoice of ours says; None for any other."""
    if not text.startswith(_PAYLOAD):
        return None
    pack_id, _, user = text.removeprefix(_PAYLOAD).rpartition(":")
    is_number = user.isascii() and user.isdigit() and len(user) < 17
    return Invoice(pack_id, int(user)) if pack_id and is_number else None


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and abs(value) < MOST_AMOUNT else 0
