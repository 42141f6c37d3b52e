"""Examines results of the provider: an image, a clip, a text or another file.

A picture that is broken is refused, since another copy of it may be whole. What is of no type that
is known, and a clip that cannot be played, is kept as a file: somebody paid for it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

from generation_svc.media.examination.clip import Clip, probe
from generation_svc.media.examination.examine import examine_result
from generation_svc.media.examination.layout import Fault, Refused, damaged
from generation_svc.media.examination.poster import poster_of
from generation_svc.media.examination.sniff import HEAD_BYTES, clip_format, picture_type
from generation_svc.media.examination.words import FILE_TYPE, text_type

MAX_PICTURE_BYTES = 50 * 2**20
"""The largest picture that is decoded; a larger one is a file."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a file was found to be."""

    mime_type: str = FILE_TYPE
    width: int = 0
    """As a person sees it; 0 for what has none."""
    height: int = 0
    duration_ms: int | None = None
    poster_size: tuple[int, int] | None = None
    """The width and height of the poster that lies beside a video; None if there is none."""


def examine_file(path: Path, *, is_media_promised: bool) -> Found:
    """Say what a result is, and cut off what stands behind a picture's end. Raises Refused.

    Where media was promised, words are what a host says in their place: "not found", as a page.
    """
    head = _head(path)
    if not head:
        raise damaged()
    if picture_type(head) and path.stat().st_size <= MAX_PICTURE_BYTES:
        return _picture(path)
    if known := clip_format(head):
        clip = probe(path, known, poster=poster_of(path))
        return _clip(clip) if clip else Found()
    words = text_type(path)
    if words and is_media_promised:
        raise Refused(Fault.UNKNOWN, "The host sent words instead of the result.")
    return Found(words or FILE_TYPE)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _clip(clip: Clip) -> Found:
    return Found(clip.mime_type, clip.width, clip.height, clip.duration_ms, clip.poster_size)


def _picture(path: Path) -> Found:
    picture = examine_result(path.read_bytes())
    os.truncate(path, len(picture.data))
    return Found(picture.mime_type, picture.width, picture.height)
