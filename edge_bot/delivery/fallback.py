"""Tries the forms of a message, the best one first.

A form that Telegram refuses was not sent, so that the next one can be tried at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

import structlog
from telegram.constants import ParseMode
from telegram.error import BadRequest

from edge_bot.delivery.form import DOCUMENT, MediaForm, form_of
from edge_bot.delivery.media import MediaFile
from edge_bot.telegram.error import is_content_refused, is_markup_refused
from edge_bot.view.layout import plain

FormOf = Callable[[MediaFile], MediaForm]
"""Chooses the form of each file."""

_logger = structlog.get_logger(__name__)
_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)


async def formatted(html: str, send: Callable[[str, str | None], Awaitable[_T]]) -> _T:
    """Send a text with its formatting, or without where Telegram cannot read that."""
    try:
        return await send(html, ParseMode.HTML)
    # Markup that Telegram cannot parse is a fault of ours, but the user should have the text.
    except BadRequest as error:
        if not is_markup_refused(error):
            raise
        _logger.error("Telegram cannot parse the formatting", error=str(error))
    return await send(plain(html), None)


class _SendForm(Protocol[_T_co]):
    """Sends files under a caption in the forms that it is given."""

    async def __call__(self, text: str, parse_mode: str | None, *, form_of: FormOf) -> _T_co: ...


async def in_best_form(send: _SendForm[_T], *, caption: str, files: Sequence[MediaFile]) -> _T:
    """Send files in the form of their kind; as documents if one cannot have it or is refused."""

    async def best(text: str, parse_mode: str | None) -> _T:
        return await send(text, parse_mode, form_of=form_of)

    async def document(text: str, parse_mode: str | None) -> _T:
        return await send(text, parse_mode, form_of=lambda _: DOCUMENT)

    if not all(form_of(file).takes(file) for file in files):
        return await formatted(caption, document)
    try:
        return await formatted(caption, best)
    except BadRequest as error:
        # A photo may break rules that its size and type do not show (PHOTO_INVALID_DIMENSIONS and
        # the like); the same bytes may still be accepted as a document.
        if not is_content_refused(error) or all(form_of(file) is DOCUMENT for file in files):
            raise
        _logger.warning("media was refused; it is sent as a file", error=str(error))
    return await formatted(caption, document)
