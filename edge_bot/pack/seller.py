"""How to reach who sells, and where the money is."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Seller:
    """Whom users write to, and the Bot API that takes the payments."""

    telegram_host: str
    """The host of the Bot API, such as `api.telegram.org`."""
    contact: str = ""
    """Where questions about payments go: `@name`, an address of the web or of mail."""

    def link(self, text: str) -> str:
        """Return a link that opens a chat with the seller, with a text to send; may be empty."""
        if self.contact.startswith("@"):
            chat = f"https://t.me/{self.contact[1:]}"
            return f"{chat}?text={quote(text)}" if text else chat
        return self.contact if self.contact.startswith("https://") else ""
