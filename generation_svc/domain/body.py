"""Decodes bodies that others post: decompresses them and detects their encoding."""

import codecs
import json
import zlib
from dataclasses import dataclass

MAX_UNPACKED_BYTES = 1 << 20
"""How long a body may be when it is unpacked; the provider's are a few kilobytes."""

MAX_LAYERS = 4
"""How often a body may be packed."""

_GZIP = b"\x1f\x8b"
_GZIP_OR_ZLIB, _RAW_DEFLATE = 32 + zlib.MAX_WBITS, -zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class BodyText:
    """What a body says."""

    text: str
    is_verbatim: bool
    """Whether the text in UTF-8 is the body, byte for byte."""


def read_text(body: bytes) -> BodyText | None:
    """Return what a body says; None for one that is no text and cannot be unpacked within bounds.

    Compression is detected from the bytes and never from a header. In JSON, bytes that are invalid
    in its encoding are read as U+FFFD.
    """
    plain = _unpacked(body)
    if plain is None:
        return None
    text = _decoded(plain).removeprefix("\ufeff")
    if "\ufffd" in text and not _is_text(plain) and not text.lstrip().startswith(("{", "[")):
        return None
    return BodyText(text, is_verbatim=text.encode("utf-8", "replace") == body)


def _unpacked(body: bytes) -> bytes | None:
    """Return what was packed, gzip in gzip included; None for gzip that is broken or too long."""
    for _ in range(MAX_LAYERS):
        if _is_text(body):
            return body
        inflated = _inflated(body)
        if inflated is None:
            return None if body.startswith(_GZIP) else body
        body = inflated
    return body if _is_text(body) else None


def _inflated(body: bytes) -> bytes | None:
    """Unpack gzip, zlib, or deflate without a head, which is what some call by that name."""
    for window in (_GZIP_OR_ZLIB, _RAW_DEFLATE):
        unpacker = zlib.decompressobj(window)
        try:
            # Bounded, for a few kilobytes can unpack to gigabytes.
            inflated = unpacker.decompress(body, MAX_UNPACKED_BYTES)
        except zlib.error:
            continue
        # What breaks off, or is followed by something else, was not packed as it seemed.
        if unpacker.eof and not unpacker.unused_data:
            return inflated
    return None


def _decoded(plain: bytes) -> str:
    return plain.decode(json.detect_encoding(plain), "replace")


def _is_text(body: bytes) -> bool:
    try:
        codecs.decode(body, json.detect_encoding(body))
    except UnicodeDecodeError:
        return False
    return True
