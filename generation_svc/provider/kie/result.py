"""Finds the files, the text and the data of a result in every model family (kie-api.md §3, §9).

Where the links of a family stand is known. Of a family that nobody here has heard of, every link in
the result is a file; what is no link is data.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import structlog

from generation_svc.domain.observation import ResultItem
from generation_svc.provider.kie.document import (
    Document,
    as_document,
    clean,
    decode,
    objects_at,
    strings_at,
)
from generation_svc.provider.kie.link import (
    FoundItem,
    as_item_id,
    described,
    is_describing,
    is_link,
    links_in,
    words_of,
)

MAX_LINKS = 16
"""The number of links that are kept of one task."""

_LAST_FRAME = "lastFrameUrl"
_LINK_PATHS: tuple[tuple[str, ...], ...] = (
    ("response", "resultUrls"),  # Market, since August 2026 (§9)
    ("response", "data", "audio_url"),  # suno in the unified record (§9)
    ("response", "sunoData", "audioUrl"),  # the same under its older names
    ("resultJson", "resultUrls"),  # Market
    ("resultJson", "data", "audio_url"),
    ("resultJson", "sunoData", "audioUrl"),
    ("info", "result_urls"),  # 4o-image
    ("info", "resultImageUrl"),  # flux-kontext
    ("info", "resultUrls"),  # veo3
    ("video_url",),  # runway
    ("result_video_url",),  # aleph
    ("data", "audio_url"),  # suno
    ("audioWavUrl",),  # suno, conversion to wav
    ("response", _LAST_FRAME),  # beside the video, where it was asked for
    ("resultJson", _LAST_FRAME),
)

_ID_PATHS: tuple[tuple[str, ...], ...] = (
    ("response", "data"),  # suno in the unified record (§9)
    ("resultJson", "data"),
    ("data",),  # suno
)
"""Where things have ids that are no files, or whose files are told elsewhere."""
_ID_NAMES = ("personaId", "persona_id", "voiceId", "voice_id", "characterId", "character_id")
"""Names of the one id that a persona, a voice or a character has."""

_PACKED = ("response", "resultJson")
"""The fields that hold a result as an object, or as JSON in a string."""
_PLACES = (*_PACKED, "info", "vocal_separation_info", "vocal_removal_info")
"""Where an unknown family may say what it made; nowhere else are links to what was made alone."""
_LISTS = frozenset({"resultUrls", "result_urls", "data", "sunoData", "resultObject"})
"""What a known family fills with its result: where it is empty, there is none yet."""

_MAX_ENCODINGS = 3
_LYRICS_PATH = ("data", "text")

MAX_TEXT_BYTES = 2**20
"""The size of the longest text that is kept, in UTF-8; the contract promises it."""

_logger = structlog.get_logger(__name__)


def items_of(data: Document) -> tuple[ResultItem, ...]:
    """Return the files of a result in KIE's order, each once; those of `response` first."""
    return tuple(found.item for found in _linked(data))


def item_ids_of(data: Document) -> tuple[str, ...]:
    """Return KIE's ids of what it made: later tasks name them.

    Files that have ids stand in their order, those without one as empty text.
    """
    of_files = tuple(found.id for found in _linked(data))
    if any(of_files):
        return of_files
    unpacked = _all_unpacked(data)
    things = (each for path in _ID_PATHS for each in objects_at(unpacked, path))
    told = (*(as_item_id(each.get("id")) for each in things), *_lone_ids(unpacked))
    ids = [each for each in told if each]
    return tuple(dict.fromkeys(ids))[:MAX_LINKS]


def text_of(data: Document) -> str:
    """Return a result that is text: `resultObject` as JSON, or lyrics; a longer one is cut."""
    return _text_of(data).encode()[:MAX_TEXT_BYTES].decode("utf-8", "ignore")


def object_of(data: Document) -> str:
    """Return all of a result that is data, as JSON; empty where there is none."""
    value = _object_of(data)
    return clean(json.dumps(value, ensure_ascii=False)) if value else ""


def _linked(data: Document) -> tuple[FoundItem, ...]:
    unpacked = _all_unpacked(data)
    found = [each for path in _LINK_PATHS for each in _linked_at(unpacked, path)]
    if not found:
        found = [each for name in _PLACES for each in links_in(unpacked.get(name))]
    by_link: dict[str, FoundItem] = {}
    for each in found:
        known = by_link.get(each.item.url)
        by_link[each.item.url] = known.with_more(each) if known else each
    if len(by_link) > MAX_LINKS:
        _logger.warning("a result has too many files", action="kie_result_cut", files=len(by_link))
    return tuple(by_link.values())[:MAX_LINKS]


def _linked_at(value: object, path: tuple[str, ...]) -> Iterator[FoundItem]:
    *way, name = path
    for document in objects_at(value, tuple(way)):
        for link in filter(is_link, strings_at(document, (name,))):
            if is_describing(name):
                yield described(link, document)
            else:
                title = words_of(name) if name == _LAST_FRAME else ""
                yield FoundItem(ResultItem(link, title=title))


def _lone_ids(unpacked: Document) -> Iterator[str]:
    for name in _PACKED:
        result = as_document(unpacked.get(name))
        for place in (as_document(result.get("resultObject")), result):
            yield from (as_item_id(place.get(each)) for each in _ID_NAMES)


def _text_of(data: Document) -> str:
    value = _object_of(data)
    if isinstance(value, str):
        return clean(value)
    if value:
        return clean(json.dumps(value, ensure_ascii=False))
    return clean("\n\n".join(filter(None, strings_at(data, _LYRICS_PATH))))


def _object_of(data: Document) -> object:
    """Return the data of a result: `resultObject`, or all that an unknown family says."""
    unpacked = [_unpacked(data.get(name)) for name in _PACKED]
    for result in unpacked:
        if value := as_document(result).get("resultObject"):
            return value
    unknown = (result for result in unpacked if _is_unknown(result))
    return next(unknown, None)


def _is_unknown(result: object) -> bool:
    """Return whether a result is of no family that is known, and says something but links."""
    if not isinstance(result, dict) or not _LISTS.isdisjoint(result):
        return False
    return any(value for value in result.values()) and not any(links_in(result))


def _all_unpacked(data: Document) -> Document:
    return {**data, **{name: _unpacked(data.get(name)) for name in _PACKED}}


def _unpacked(value: object) -> object:
    """Return what a JSON string stands for; it was seen encoded once more than documented."""
    for _ in range(_MAX_ENCODINGS):
        if not isinstance(value, str):
            return value
        value = decode(value)
    return value
