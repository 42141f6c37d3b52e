"""Sending a file in pieces, all of it or the range that was asked for (RFC 9110 §14)."""

import re
from collections.abc import AsyncIterator
from typing import Protocol

from starlette.responses import Response, StreamingResponse

PIECE_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class Sendable(Protocol):
    """A file of which any part can be given."""

    @property
    def mime_type(self) -> str:
        """Its type."""

    @property
    def size(self) -> int:
        """The number of its bytes."""

    def part(self, start: int, end: int) -> bytes:
        """Return the bytes from start up to end."""


def sending(file: Sendable, wanted: str | None) -> Response:
    """Return the answer to a request with this Range header; one that means nothing is ignored."""
    match = _RANGE.fullmatch(wanted or "")
    if match is None or match.group() == "bytes=-":
        return _answer(file, start=0, end=file.size, status=200)
    first, last = match.groups()
    start = int(first) if first else max(0, file.size - int(last))
    end = min(int(last) + 1, file.size) if first and last else file.size
    if start >= end:
        return Response(status_code=416, headers={"content-range": f"bytes */{file.size}"})
    return _answer(file, start=start, end=end, status=206)


def _answer(file: Sendable, *, start: int, end: int, status: int) -> Response:
    headers = {"content-length": str(end - start), "accept-ranges": "bytes"}
    if status == 206:
        headers["content-range"] = f"bytes {start}-{end - 1}/{file.size}"
    pieces = _pieces(file, start=start, end=end)
    return StreamingResponse(pieces, status, headers=headers, media_type=file.mime_type)


async def _pieces(file: Sendable, *, start: int, end: int) -> AsyncIterator[bytes]:
    for at in range(start, end, PIECE_BYTES):
        yield file.part(at, min(at + PIECE_BYTES, end))
