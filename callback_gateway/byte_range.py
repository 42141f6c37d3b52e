"""Parses range requests (RFC 9110 §14)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.datastructures import Headers

_ONE_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,30})-([0-9]{0,30})[ \t]*", re.IGNORECASE)


class RangeOutOfBounds(Exception):
    """The file has none of the requested bytes."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes of a file in a row."""

    first: int
    last: int
    """The last byte itself, which is part of it."""

    @property
    def size(self) -> int:
        """The number of bytes, 1 or more."""
        return self.last - self.first + 1

    def within(self, size: int) -> str:
        """Return the `Content-Range` of these bytes in a file of this size."""
        return f"bytes {self.first}-{self.last}/{size}"


def range_of(headers: Headers, *, size: int, etag: str) -> ByteRange | None:
    """Return the range that is asked for; None for the whole. Raises RangeOutOfBounds.

    A server may answer with the whole what it cannot read, and several ranges at once (§14.2). So
    it must where `If-Range` names another file: the client would join parts of two.
    """
    given = headers.getlist("range")
    found = _ONE_RANGE.fullmatch(given[0]) if len(given) == 1 else None
    if found is None or headers.get("if-range", etag) != etag:
        return None
    first, last = found.groups()
    if first:
        return _from_start(int(first), int(last) if last else size - 1, size=size)
    return _from_end(int(last), size=size) if last else None


def _from_start(first: int, last: int, *, size: int) -> ByteRange | None:
    if first >= size:
        raise RangeOutOfBounds
    return ByteRange(first, min(last, size - 1)) if first <= last else None


def _from_end(length: int, *, size: int) -> ByteRange:
    if not length or not size:
        raise RangeOutOfBounds
    return ByteRange(max(0, size - length), size - 1)
