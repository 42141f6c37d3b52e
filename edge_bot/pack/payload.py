"""What an invoice says to the bot: `topup:1:<pack>:<user>`, at most 128 bytes.

Everybody to whom an invoice is forwarded may try to pay it, so that it names who may.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_PAYLOAD_BYTES = 128
"""The size of a payload (Bot API, sendInvoice)."""

CURRENCY = "XTR"
"""The currency of Telegram Stars."""

_PREFIX = "topup:1:"


class PayloadTooLong(ValueError):
    """The payload does not fit into an invoice."""


@dataclass(frozen=True, slots=True)
class Payload:
    """What is bought, and by whom."""

    pack_id: str
    user_id: int

    def text(self) -> str:
        """Return it as an invoice has it; raises PayloadTooLong."""
        text = f"{_PREFIX}{self.pack_id}:{self.user_id}"
        if len(text.encode()) > MAX_PAYLOAD_BYTES:
            raise PayloadTooLong(text)
        return text


def read_payload(text: str) -> Payload | None:
    """Return what an invoice says; None if it is none of ours."""
    if not text.startswith(_PREFIX):
        return None
    pack_id, _, user = text.removeprefix(_PREFIX).rpartition(":")
    is_number = user.isascii() and user.isdigit() and len(user) < 20
    return Payload(pack_id, int(user)) if pack_id and is_number else None
