"""The files that the stand-in hands out: uploads, results and fresh links to results."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from urllib.parse import quote, unquote, urlsplit

from starlette.responses import Response, StreamingResponse

from sandbox.kie.probe import Probe, probe
from sandbox.kie.transfer import PIECE_BYTES, sending
from sandbox.kie.trouble import troubled

CAPACITY = 6000
"""The number of files that are kept; the oldest ones go first."""
CAPACITY_BYTES = 512 * 2**20
"""The number of bytes that are kept; the newest file stays whatever its size."""
DROPS = 20
"""The least number of pieces in which a slow file is sent."""


@dataclass(frozen=True, kw_only=True)
class File:
    """Bytes under a link that works for a while."""

    content: bytes
    padding: int = 0
    """How many zeros come after them."""
    mime_type: str
    ttl_s: float
    is_result: bool = False
    """Whether KIE made it, so that download-url knows it."""
    is_dead: bool = False
    """Whether its link never worked."""
    slow_s: float = 0
    """How long its download takes."""
    trouble: str = ""
    """What is wrong with its link: a variant of `bad_result`."""
    trouble_s: float | None = None
    """For how long; none means for ever."""
    bad_fresh: str = ""
    """What is wrong with fresh links to it: a variant of `bad_fresh_link`."""
    since: float = field(default_factory=time.monotonic)

    @property
    def is_served(self) -> bool:
        """Whether its link works now."""
        return not self.is_dead and time.monotonic() < self.since + self.ttl_s

    @property
    def is_in_trouble(self) -> bool:
        """Whether its link gives something else now."""
        is_over = self.trouble_s is not None and time.monotonic() >= self.since + self.trouble_s
        return bool(self.trouble) and not is_over

    @cached_property
    def probe(self) -> Probe:
        """What it is; raises UnreadableFileError."""
        return probe(self.content)

    @property
    def size(self) -> int:
        """The number of its bytes."""
        return len(self.content) + self.padding

    def part(self, start: int, end: int) -> bytes:
        """Return the bytes from start up to end."""
        return self.content[start:end].ljust(min(end, self.size) - start, b"\0")

    def response(self, *, url: str = "", wanted: str | None = None) -> Response:
        """Return the answer that sends the bytes, or a range of them.

        `url` is where it was asked for.
        """
        if self.is_in_trouble:
            return troubled(self.trouble, self.content, url=url)
        if not self.slow_s:
            return sending(self, wanted)
        headers = {"content-length": str(self.size)}
        return StreamingResponse(self._drops(), media_type=self.mime_type, headers=headers)

    async def _drops(self) -> AsyncIterator[bytes]:
        """Send a piece at a time, in at least `DROPS` pieces; a large file has more of them."""
        size = max(1, min(-(-self.size // DROPS), PIECE_BYTES))
        pause = self.slow_s / -(-self.size // size) if self.size else 0
        for at in range(0, self.size, size):
            await asyncio.sleep(pause)
            yield self.part(at, at + size)


class FileStore:
    """Files by path, in memory."""

    def __init__(self, base_url: str, *, capacity_bytes: int = CAPACITY_BYTES) -> None:
        self._base_url = base_url.rstrip("/")
        self._capacity_bytes = capacity_bytes
        self._files: OrderedDict[str, File] = OrderedDict()
        self._bytes = 0

    def put(self, path: str, file: File) -> str:
        """Keep the file, over one of the same path, and return its link."""
        self._drop(path)
        self._files[path] = file
        self._bytes += len(file.content)
        while self._is_full:
            self._drop(next(iter(self._files)))
        return f"{self._base_url}/{quote(path)}"

    def _drop(self, path: str) -> None:
        if dropped := self._files.pop(path, None):
            self._bytes -= len(dropped.content)

    @property
    def _is_full(self) -> bool:
        count = len(self._files)
        return count > CAPACITY or (self._bytes > self._capacity_bytes and count > 1)

    def get(self, path: str) -> File | None:
        """Return the file under the path, whether its link works or not."""
        return self._files.get(path)

    def find(self, url: str) -> File | None:
        """Return the file that a link of this store names, whether it works or not."""
        if not url.startswith(f"{self._base_url}/"):
            return None
        return self.get(unquote(urlsplit(url).path).removeprefix("/"))

    def refresh(self, file: File, *, path: str, ttl_s: float) -> str:
        """Return a new link to the same bytes, which works at once."""
        fresh = replace(
            file, ttl_s=ttl_s, is_dead=False, slow_s=0, trouble="", since=time.monotonic()
        )
        return self.put(path, fresh)

    def clear(self) -> None:
        """Forget every file."""
        self._files.clear()
        self._bytes = 0
