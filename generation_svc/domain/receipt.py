"""The receipt of a top-up, as a document tells it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from generation_svc.domain.top_up import TopUp


class ReceiptKind(StrEnum):
    """What a receipt is for."""

    TOP_UP = "top_up"
    REFUND = "refund"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What somebody paid, what for, and what became of it."""

    top_up: TopUp
    paid: str
    """What was paid, as people write it."""
    time: datetime
    """When the document was made."""
    language: str = "en"
    is_test: bool = False
    """Whether it is about play money."""
    seller: str = ""
    """What the seller says of itself."""
