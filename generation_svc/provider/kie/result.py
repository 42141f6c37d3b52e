"""Finds the files and the text of a result in every model family (kie-api.md §3, §9).

A song or a video may stand in an object that also says its title, its length and its cover:

    {"response": {"data": [{"audio_url": …, "image_url": …, "title": …, "duration": 198.44}, …]}}
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

from generation_svc.domain.observation import ResultItem
from generation_svc.provider.kie.document import (
    Document,
    as_document,
    clean,
    decode,
    objects_at,
    strings_at,
)

MAX_LINKS = 16
"""The number of links that are kept of one task."""

MAX_LINK_CHARS = 2048
"""The length of the longest link that is kept."""

_LINK_PATHS: tuple[tuple[str, ...], ...] = (
    ("response", "resultUrls"),  # Market, since August 2026 (§9)
    ("response", "data", "audio_url"),  # suno in the unified record (§9)
    ("resultJson", "resultUrls"),  # Market
    ("resultJson", "data", "audio_url"),
    ("info", "result_urls"),  # 4o-image
    ("info", "resultImageUrl"),  # flux-kontext
    ("info", "resultUrls"),  # veo3
    ("video_url",),  # runway
    ("result_video_url",),  # aleph
    ("data", "audio_url"),  # suno
    ("audioWavUrl",),  # suno, conversion to wav
)

_ITEM_ID_PATHS: tuple[tuple[str, ...], ...] = (
    ("response", "data", "id"),  # suno in the unified record (§9)
    ("resultJson", "data", "id"),
    ("data", "id"),  # suno
)
_MAX_ID_CHARS = 128
_DESCRIBED = frozenset({"audio_url", "video_url"})
"""The links that stand in an object which describes what is behind them."""

MAX_TITLE_CHARS = 300
"""The length of the longest title that is kept."""

MAX_DURATION = timedelta(days=2)
"""The longest time that something is said to play."""

_PACKED = ("response", "resultJson")
"""The fields that hold a result as an object, or as JSON in a string."""

_MAX_ENCODINGS = 3

_LYRICS_PATH = ("data", "text")

MAX_TEXT_BYTES = 2**20
"""The size of the longest text that is kept, in UTF-8; the contract promises it."""

# Ends of lines, terminal codes and marks that turn the direction of what stands behind a title.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")

_LINK = re.compile(r"https?://[^\s\x00-\x20\x7f]+", re.IGNORECASE)


def items_of(data: Document) -> tuple[ResultItem, ...]:
    """Return the files of a result in KIE's order, each once; those of `response` first."""
    unpacked = _all_unpacked(data)
    found = (item for path in _LINK_PATHS for item in _items_at(unpacked, path))
    by_link: dict[str, ResultItem] = {}
    for item in found:
        by_link.setdefault(item.url, item)
    return tuple(by_link.values())[:MAX_LINKS]


def item_ids_of(data: Document) -> tuple[str, ...]:
    """Return KIE's ids of the songs in a result, in its order, each once: later tasks name them."""
    unpacked = _all_unpacked(data)
    found = (item for path in _ITEM_ID_PATHS for item in strings_at(unpacked, path))
    usable = (item for item in found if 0 < len(item) <= _MAX_ID_CHARS and clean(item) == item)
    return tuple(dict.fromkeys(usable))[:MAX_LINKS]


def text_of(data: Document) -> str:
    """Return a result that is text: `resultObject` as JSON, or lyrics; a longer one is cut."""
    return _text_of(data).encode()[:MAX_TEXT_BYTES].decode("utf-8", "ignore")


def _text_of(data: Document) -> str:
    for name in _PACKED:
        result = as_document(_unpacked(data.get(name))).get("resultObject")
        if isinstance(result, str) and result:
            return clean(result)
        if result:
            return clean(json.dumps(result, ensure_ascii=False))
    return clean("\n\n".join(filter(None, strings_at(data, _LYRICS_PATH))))


def _items_at(value: object, path: tuple[str, ...]) -> Iterator[ResultItem]:
    *way, name = path
    for described in objects_at(value, tuple(way)):
        for link in filter(is_link, strings_at(described, (name,))):
            yield _described(link, described) if name in _DESCRIBED else ResultItem(link)


def _described(link: str, document: Document) -> ResultItem:
    title, cover = document.get("title"), document.get("image_url")
    return ResultItem(
        link,
        title=_title(title) if isinstance(title, str) else "",
        duration=_duration(document.get("duration")),
        cover_url=cover if isinstance(cover, str) and is_link(cover) else "",
    )


def _title(text: str) -> str:
    return _CONTROL.sub(" ", clean(text)).strip()[:MAX_TITLE_CHARS].rstrip()


def _duration(seconds: object) -> timedelta | None:
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        return None
    is_sane = 0 < seconds <= MAX_DURATION.total_seconds()  # no NaN is, nor what is infinite
    return timedelta(milliseconds=round(seconds * 1000)) if is_sane else None


def is_link(text: str) -> bool:
    """Return whether this is an http or https link of bounded length."""
    if len(text) > MAX_LINK_CHARS or not _LINK.fullmatch(text) or clean(text) != text:
        return False
    try:
        return bool(urlsplit(text).hostname)
    except ValueError:
        return False


def _all_unpacked(data: Document) -> Document:
    return {**data, **{name: _unpacked(data.get(name)) for name in _PACKED}}


def _unpacked(value: object) -> object:
    """Return what a JSON string stands for; it was seen encoded once more than documented."""
    for _ in range(_MAX_ENCODINGS):
        if not isinstance(value, str):
            return value
        value = decode(value)
    return value
