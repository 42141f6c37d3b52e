"""A multipart form whose file is streamed from the disk (RFC 7578).

httpx2 would read a file that is open, too, but in the event loop; and it would say how long the
body is only by asking that file.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runtime.file import read_pieces, size_of


@dataclass(frozen=True, slots=True)
class Form:
    """Fields of text and one file; names and types are ours, so nothing in them is escaped."""

    fields: Mapping[str, str]
    path: Path
    file_name: str
    mime_type: str
    boundary: str = field(default_factory=lambda: secrets.token_hex(16))

    async def headers(self) -> dict[str, str]:
        """Return the headers, with the length of the body: not every host takes one without."""
        length = len(self._head) + await size_of(self.path) + len(self._tail)
        kind = f"multipart/form-data; boundary={self.boundary}"
        return {"Content-Type": kind, "Content-Length": str(length)}

    async def pieces(self) -> AsyncIterator[bytes]:
        """Give the body in pieces."""
        yield self._head
        async for piece in read_pieces(self.path):
            yield piece
        yield self._tail

    @property
    def _head(self) -> bytes:
        parts = [
            f'--{self.boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in self.fields.items()
        ]
        file = f'name="file"; filename="{self.file_name}"\r\nContent-Type: {self.mime_type}'
        parts.append(f"--{self.boundary}\r\nContent-Disposition: form-data; {file}\r\n\r\n")
        return "".join(parts).encode()

    @property
    def _tail(self) -> bytes:
        return f"\r\n--{self.boundary}--\r\n".encode()
