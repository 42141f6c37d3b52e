"""Finds links in what KIE says, each with what stands beside it.

A song, a video or a stem stands in an object that also says its title, its length and its cover:

    {"id": …, "audio_url": …, "image_url": …, "title": …, "duration": 198.44}

Other families name their files by the field alone, such as `vocalUrl` or `backing_vocals_url`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import urlsplit

from generation_svc.domain.observation import ResultItem
from generation_svc.provider.kie.document import Document, clean

MAX_LINK_CHARS = 2048
"""The length of the longest link that is kept."""

MAX_TITLE_CHARS = 300
"""The length of the longest title that is kept."""

MAX_DURATION = timedelta(days=2)
"""The longest time that something is said to play."""

_MAX_ID_CHARS = 128
_DESCRIBED = ("audiourl", "videourl")
"""The links that stand in an object which describes what is behind them."""
_COVERS = ("imageurl", "coverurl", "coverimageurl", "thumbnailurl", "thumburl")
_TITLES = ("title", "stemtypegroupname", "stemname")
_NOT_MADE = re.compile(
    r"stream|source|callback|webhook|watermark|prompt|param|input|origin(al)?(image|audio|video)?url"
)
"""Names of links to what was given, to streams of what has a file, and to copies with a mark."""
_SAYS_NOTHING = re.compile(
    r"audio|data|download|files?|images?|img|mp[34]|object|outputs?|results?|ur[il]s?|videos?|wav"
)
"""Words of such names that do not tell one file from another."""

# Ends of lines, terminal codes and marks that turn the direction of what stands behind a title.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")
_LINK = re.compile(r"https?://[^\s\x00-\x20\x7f]+", re.IGNORECASE)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@dataclass(frozen=True, slots=True)
class FoundItem:
    """A file of a result, and KIE's id of it, which is empty where it has none."""

    item: ResultItem
    id: str = ""

    def with_more(self, other: FoundItem) -> FoundItem:
        """Return it with what another place says of the same file; who knows its id knows best."""
        title = other.item.title if other.id else ""
        item = replace(
            self.item,
            title=title or self.item.title or other.item.title,
            duration=self.item.duration or other.item.duration,
            cover_url=self.item.cover_url or other.item.cover_url,
        )
        return FoundItem(item, self.id or other.id)


def is_link(text: str) -> bool:
    """Return whether this is an http or https link of bounded length."""
    if len(text) > MAX_LINK_CHARS or not _LINK.fullmatch(text) or clean(text) != text:
        return False
    try:
        return bool(urlsplit(text).hostname)
    except ValueError:
        return False


def is_describing(name: str) -> bool:
    """Return whether the link in a field stands in an object that describes it."""
    return _plain(name) in _DESCRIBED


def described(link: str, document: Document) -> FoundItem:
    """Return what the object in which a link stands says of it."""
    fields = {_plain(name): value for name, value in document.items()}
    pictures = (fields.get(name) for name in _COVERS)
    covers = (picture for picture in pictures if isinstance(picture, str) and is_link(picture))
    item = ResultItem(
        link,
        title=next((title for name in _TITLES if (title := title_of(fields.get(name)))), ""),
        duration=_duration(fields.get("duration")),
        cover_url=next(
            (cover for cover in covers if isinstance(cover, str) and is_link(cover)), ""
        ),
    )
    return FoundItem(item, as_item_id(fields.get("id")))


def links_in(value: object, *, title: str = "") -> Iterator[FoundItem]:
    """Yield every link to something that was made, however deep it stands in a result."""
    if isinstance(value, list):
        for member in value:
            yield from links_in(member, title=title)
    elif isinstance(value, dict):
        yield from _links_of(value)
    elif isinstance(value, str) and is_link(value):
        yield FoundItem(ResultItem(value, title=title))


def as_item_id(value: object) -> str:
    """Return KIE's id of something that it made; empty for what is none."""
    is_id = isinstance(value, str) and 0 < len(value) <= _MAX_ID_CHARS and clean(value) == value
    return str(value) if is_id else ""


def title_of(value: object) -> str:
    """Return a title as one line; empty for what is no text."""
    if not isinstance(value, str):
        return ""
    return _CONTROL.sub(" ", clean(value)).strip()[:MAX_TITLE_CHARS].rstrip()


def words_of(name: str) -> str:
    """Return the name of a field as words: `backing_vocals_url` and `backingVocalsUrl` alike."""
    words = [word.lower() for word in _WORD.findall(name)]
    return " ".join(word for word in words if not _SAYS_NOTHING.fullmatch(word)).capitalize()


def _links_of(document: Document) -> Iterator[FoundItem]:
    main = next((name for name, link in document.items() if _is_main(name, link)), None)
    for name, value in document.items():
        if name == main:
            yield described(str(value), document)
        elif not _NOT_MADE.search(_plain(name)) and not (main and _plain(name) in _COVERS):
            yield from links_in(value, title=words_of(name)[:MAX_TITLE_CHARS])


def _is_main(name: str, link: object) -> bool:
    return is_describing(name) and isinstance(link, str) and is_link(link)


def _plain(name: str) -> str:
    """Return the name of a field without the spelling of its family."""
    return name.replace("_", "").lower()


def _duration(seconds: object) -> timedelta | None:
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        return None
    is_sane = 0 < seconds <= MAX_DURATION.total_seconds()  # no NaN is, nor what is infinite
    return timedelta(milliseconds=round(seconds * 1000)) if is_sane else None
