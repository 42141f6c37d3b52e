"""What must hold of the ledger at any moment, and what is said where it does not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from generation_svc.domain.ledger import AccountKind, Currency, TransferKind

MOST_DIFFERENCES = 1000
"""How many differences are named; from there on the ledger is checked no further."""
_HOUSE_OF_STARS = frozenset(
    {
        AccountKind.TELEGRAM,
        AccountKind.EXCHANGE,
        AccountKind.SUSPENSE,
        AccountKind.BOT_OWNER,
    }
)


class Rule(StrEnum):
    """What must hold; each is one sentence of docs/money.md."""

    ROUTE = "transfer_goes_a_known_way"
    OWNER = "transfer_owner_has_wallet"
    CAUSE = "transfer_has_cause"
    BALANCE = "transfer_balance_follows"
    WALLET = "wallet_is_sum_of_transfers"
    HELD = "wallet_holds_for_open_jobs"
    NEGATIVE = "wallet_is_not_negative"
    OPEN = "hold_is_open_while_its_job_is"
    KEPT = "hold_has_its_transfers"
    ENDED = "hold_end_has_its_transfers"
    LENT = "hold_lends_by_its_transfers"
    QUOTE = "hold_is_what_was_quoted"
    JOB = "hold_has_a_job"
    DELIVERED = "capture_is_what_was_delivered"
    CHARGED = "job_charge_is_what_was_captured"
    FREE = "free_job_has_no_transfer"
    TOP_UP = "top_up_has_its_transfers"
    REFUND = "refund_has_its_transfers"
    STARS = "top_up_has_its_stars"
    RECEIPT = "receipts_have_no_gap"
    RECEIPT_CAUSE = "receipt_has_cause"
    STAR = "stars_are_what_was_booked"
    STAR_SEEN = "top_up_is_seen_by_telegram"
    IMPORT = "import_has_its_transfers"


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as it must be."""

    rule: str
    subject: str
    """What it is about: an owner, a job, a top-up, a transfer."""
    problem: str
    """What is there and what should be."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What a piece of a part of the ledger showed."""

    count: int
    """How many rows were looked at."""
    last: str | None
    """Where the next piece begins; None at the end."""
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class LedgerReport:
    """What a check of the whole ledger found."""

    differences: tuple[Difference, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    """How many rows of each part were looked at."""


def known_ways() -> frozenset[tuple[TransferKind, AccountKind, AccountKind, Currency]]:
    """Return how each kind of transfer may go: from where, to where, and what it counts."""
    credits_ = {(*way, Currency.CREDIT) for way in _CREDIT_WAYS}
    cost = {
        (TransferKind.PROVIDER_COST, AccountKind.PROVIDER, target, Currency.KIE_MILLI)
        for target in (AccountKind.PROVIDER_COST, AccountKind.LATE_RESULTS)
    }
    stars = {
        (kind, source, target, currency)
        for kind in (TransferKind.STARS_IN, TransferKind.STARS_OUT, TransferKind.CORRECTION)
        for source in _HOUSE_OF_STARS
        for target in _HOUSE_OF_STARS - {source}
        for currency in (Currency.XTR, Currency.XTR_NANO)
    }
    return frozenset(credits_ | cost | stars)


_K, _A = TransferKind, AccountKind
_BACK = (_A.GRANTED, _A.PAID, _A.DEBT)
_CREDIT_WAYS = (
    (_K.HOLD, _A.GRANTED, _A.HELD),
    (_K.HOLD, _A.PAID, _A.HELD),
    (_K.HOLD, _A.DEBT, _A.PAID),
    (_K.CAPTURE, _A.HELD, _A.INCOME),
    *((_K.RELEASE, source, target) for source in (_A.HELD, _A.INCOME) for target in _BACK),
    (_K.GRANT, _A.GRANTS, _A.GRANTED),
    (_K.GRANT, _A.GRANTED, _A.GRANTS),
    (_K.TOP_UP, _A.EXCHANGE, _A.PAID),
    (_K.DEBT_PAYMENT, _A.EXCHANGE, _A.DEBT),
    (_K.REFUND, _A.PAID, _A.EXCHANGE),
    (_K.REFUND, _A.DEBT, _A.EXCHANGE),
    (_K.REFUND, _A.EXCHANGE, _A.PAID),
    (_K.REFUND, _A.EXCHANGE, _A.DEBT),
    (_K.CHARGEBACK, _A.PAID, _A.EXCHANGE),
    (_K.CHARGEBACK, _A.DEBT, _A.EXCHANGE),
    (_K.IMPORT, _A.OPENING, _A.GRANTED),
    (_K.IMPORT_UNDO, _A.GRANTED, _A.OPENING),
    *((_K.CORRECTION, source, target) for source in _A for target in _A if source is not target),
)
