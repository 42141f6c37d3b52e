"""The parts of screens: text, buttons, and Telegram's limits for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape, unescape
from typing import TypeAlias, TypeVar

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from edge_bot.view.button import Action, FollowLink
from edge_bot.view.button_data import encode
from edge_bot.view.language import Texts

TEXT_LENGTH = 4096
"""The length of a message, in UTF-16 units after HTML is read."""
CAPTION_LENGTH = 1024
"""The length of a caption."""
UPLOAD_BYTES = 50 * 1000 * 1000
"""The size up to which a file can be uploaded at all, and so a whole album."""
DOWNLOAD_BYTES = 20 * 1000 * 1000
"""The size of a file up to which Telegram gives it to a bot (Bot API, getFile)."""
PAGE = 6
"""How many rows of a list a screen shows: with two rows to turn pages and go back, eight."""
LABEL_LENGTH = 60
"""The length of a label that still reads well on a phone."""


@dataclass(frozen=True, slots=True)
class Button:
    """A button: what it says and what it does."""

    label: str
    action: Action


_Entry = TypeVar("_Entry")

Rows: TypeAlias = tuple[tuple[Button, ...], ...]
"""The buttons under a message, row by row."""


@dataclass(frozen=True, slots=True)
class Screen:
    """A message as the user sees it: HTML and buttons."""

    text: str
    keyboard: Rows = ()


def page_of(
    speak: Texts,
    entries: Sequence[_Entry],
    *,
    page: int,
    to: Callable[[int], Action],
    size: int = PAGE,
) -> tuple[Sequence[_Entry], Rows]:
    """Return the entries of a page, and a row that turns pages if there are several.

    `to` returns the action that shows a page; a page that there is not is the nearest one.
    """
    pages = max(1, -(-len(entries) // size))
    page = min(max(page, 0), pages - 1)
    shown = entries[page * size : (page + 1) * size]
    if pages == 1:
        return shown, ()
    place = speak.plain("{page} of {pages}", page=page + 1, pages=pages)
    before, after = to((page - 1) % pages), to((page + 1) % pages)
    return shown, ((Button("◀", before), Button(place, to(page)), Button("▶", after)),)


def keyboard_markup(rows: Rows) -> InlineKeyboardMarkup | None:
    """Return the buttons as Telegram takes them; None if there are none."""
    if not rows:
        return None
    return InlineKeyboardMarkup([[_keyboard_button(each) for each in row] for row in rows])


def _keyboard_button(button: Button) -> InlineKeyboardButton:
    if isinstance(button.action, FollowLink):
        return InlineKeyboardButton(button.label, url=button.action.uri)
    return InlineKeyboardButton(button.label, callback_data=encode(button.action))


def plain(html: str) -> str:
    """Return the words of an HTML text."""
    return unescape(re.sub(r"<[^>]*>", "", html))


def paragraphs(*parts: str) -> str:
    """Return the parts with an empty line between them, empty ones left out."""
    return "\n\n".join(part for part in parts if part)


def lines(*parts: str) -> str:
    """Return the parts, each on a line, empty ones left out."""
    return "\n".join(part for part in parts if part)


def length_of(text: str) -> int:
    """Return the length of a text in UTF-16 units, as Telegram counts."""
    return len(text.encode("utf-16-le")) // 2


def shorten(text: str, limit: int) -> str:
    """Return the text, cut with an ellipsis to so many UTF-16 units, as Telegram counts."""
    if length_of(text) <= limit:
        return text
    # Cut by UTF-16 units; half of a surrogate pair at the end is dropped by errors="ignore".
    cut = text.encode("utf-16-le")[: 2 * (limit - 1)]
    return cut.decode("utf-16-le", errors="ignore").rstrip() + "…"


def quoted(prompt: str, limit: int) -> str:
    """Return a prompt as HTML in italics, cut to so many UTF-16 units; nothing if it is empty."""
    return f"<i>{escape(shorten(prompt, limit), quote=False)}</i>" if prompt else ""


def span(texts: Texts, seconds: float) -> str:
    """Return a length of time in words: seconds below two minutes, then minutes."""
    whole = max(1, round(seconds))
    if whole < 120:
        return texts.count("{n} second", "{n} seconds", whole)
    return texts.count("{n} minute", "{n} minutes", round(whole / 60))


def usual_time(texts: Texts, seconds: float) -> str:
    """Return the sentence about the usual time; empty if it is unknown."""
    if seconds <= 0:
        return ""
    whole = max(1, round(seconds))
    if whole < 120:
        return texts.count(
            "It usually takes about {n} second.", "It usually takes about {n} seconds.", whole
        )
    return texts.count(
        "It usually takes about {n} minute.",
        "It usually takes about {n} minutes.",
        round(whole / 60),
    )
