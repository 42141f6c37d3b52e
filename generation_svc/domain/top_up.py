"""What came in for credits, and what became of it."""

from enum import StrEnum


class TopUpState(StrEnum):
    """The states of a top-up."""

    CREDITED = "credited"
    REFUNDING = "refunding"
    """Its credits are taken back; the provider is to return the payment."""
    REFUNDED = "refunded"
    CHARGED_BACK = "charged_back"


class ReceiptKind(StrEnum):
    """What a receipt is for."""

    TOP_UP = "top_up"
    REFUND = "refund"


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


class ImportState(StrEnum):
    """The states of an imported balance."""

    IMPORTED = "imported"
    UNDONE = "undone"
