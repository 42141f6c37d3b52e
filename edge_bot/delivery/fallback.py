"""The forms in which a message may go out, the best one first.

A form that Telegram refuses was not sent, so that the next one can be tried at once.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from html import unescape
from typing import Protocol, TypeVar

import structlog
from telegram.constants import ParseMode
from telegram.error import BadRequest

from edge_bot.delivery.media import Picture
from edge_bot.telegram.error import is_content_refused, is_markup_refused

_logger = structlog.get_logger(__name__)
_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)


def plain(html: str) -> str:
    """Return the words of an HTML text."""
    return unescape(re.sub(r"<[^>]*>", "", html))


async def formatted(html: str, send: Callable[[str, str | None], Awaitable[_T]]) -> _T:
    """Send a text with its formatting, or without where Telegram cannot read that."""
    try:
        return await send(html, ParseMode.HTML)
    except BadRequest as error:
        if not is_markup_refused(error):
            raise
        _logger.error("Telegram cannot read our formatting", error=str(error))
    return await send(plain(html), None)


class _SendForm(Protocol[_T_co]):
    """Sends pictures under a caption, as photos or as files."""

    async def __call__(self, text: str, parse_mode: str | None, *, as_photo: bool) -> _T_co: ...


async def as_photo_or_file(send: _SendForm[_T], *, caption: str, pictures: Sequence[Picture]) -> _T:
    """Send pictures as photos if all can be photos, otherwise or when refused as files."""

    async def photo(text: str, parse_mode: str | None) -> _T:
        return await send(text, parse_mode, as_photo=True)

    async def file(text: str, parse_mode: str | None) -> _T:
        return await send(text, parse_mode, as_photo=False)

    if not all(picture.is_photo for picture in pictures):
        return await formatted(caption, file)
    try:
        return await formatted(caption, photo)
    except BadRequest as error:
        if not is_content_refused(error):
            raise
        _logger.warning("a photo was refused and goes as a file", error=str(error))
    return await formatted(caption, file)
