"""A message of the bot as a person sees it: words, what is in bold, and buttons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
MARK = "✓ "
"""What stands before the choice that holds now."""


@dataclass(frozen=True)
class Screen:
    """A message with buttons."""

    message_id: int
    text: str
    bold: tuple[str, ...]
    buttons: tuple[tuple[str, str], ...]
    """What each button says, and the data that a press of it sends."""

    def data_of(self, label: str) -> str:
        """Return the data of the button with this label; empty if there is none."""
        buttons = ((text, text.removeprefix(MARK), data) for text, data in self.buttons)
        found = (data for text, bare, data in buttons if _says(text, label) or _says(bare, label))
        return next(found, "")

    def labels_from(self, beginning: str) -> list[str]:
        """Return the labels that begin like this."""
        return [text for text, _ in self.buttons if text.startswith(beginning)]

    @property
    def lines(self) -> list[str]:
        return self.text.split("\n")

    @property
    def is_refusal(self) -> bool:
        """Whether it begins with the reason why something was not taken."""
        return self.text.startswith("⚠️")

    def __str__(self) -> str:
        return " / ".join([*self.text.split("\n"), f"[{'] ['.join(t for t, _ in self.buttons)}]"])


def screen_of(message: Json) -> Screen | None:
    """Return a message as a screen; None if it has no buttons, or is a file."""
    buttons = tuple(buttons_of(message))
    if not buttons or "text" not in message:
        return None
    text, entities = message["text"], message.get("entities", [])
    bold = tuple(_part(text, each) for each in entities if each["type"] == "bold")
    return Screen(message["message_id"], text, bold, buttons)


def buttons_of(message: Json) -> Iterator[tuple[str, str]]:
    """Yield what each button says and sends."""
    for row in message.get("reply_markup", {}).get("inline_keyboard", []):
        yield from ((each["text"], each.get("callback_data", "")) for each in row)


def _part(text: str, entity: Json) -> str:
    """Return what an entity covers: Telegram counts in UTF-16 units."""
    units = text.encode("utf-16-le")
    start = 2 * entity["offset"]
    return units[start : start + 2 * entity["length"]].decode("utf-16-le")


def _says(text: str, label: str) -> bool:
    """Return whether a button has a label, which it may have no room to end."""
    return text == label or (text.endswith("…") and label.startswith(text[:-1]))
