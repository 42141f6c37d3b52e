"""Spools uploads to disk, and bounds the bytes of all that are under way."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from generation_svc.domain.error import Overloaded, UploadTooLarge
from generation_svc.domain.media import MediaKind, kind_of
from generation_svc.domain.port.media import Examined
from generation_svc.domain.upload_bound import UploadBounds
from generation_svc.media.content import Examiner
from generation_svc.media.examination.sniff import HEAD_BYTES, upload_format
from generation_svc.media.meter import MediaMeter
from generation_svc.media.scratch import ScratchWriter

BUDGET_BYTES = 2048 * 2**20
"""The size of all uploads under way."""
CALLER_BUDGET_BYTES = 1024 * 2**20
"""The size of one caller's uploads under way."""

LEAST_BYTES = 2**20
"""What an upload counts as while it has fewer bytes: gRPC may hold a message of it."""

_HELD_BYTES = 64 * 2**10
_RETRY = timedelta(seconds=2)


@dataclass(slots=True)
class ByteBudget:
    """Counts the bytes that are held, of all and of each caller."""

    overall: int = BUDGET_BYTES
    per_caller: int = CALLER_BUDGET_BYTES
    meter: MediaMeter = field(default_factory=MediaMeter)
    held: int = 0
    _by_caller: Counter[str] = field(default_factory=Counter)

    def take(self, caller: str, count: int) -> None:
        """Count bytes. Raises Overloaded, and counts none of them then."""
        retry_after = _RETRY * random.uniform(1, 2)
        if self._by_caller[caller] + count > self.per_caller:
            raise Overloaded("uploads of the caller", retry_after=retry_after)
        if self.held + count > self.overall:
            raise Overloaded("uploads", retry_after=retry_after)
        self._change(caller, count)

    def give_back(self, caller: str, count: int) -> None:
        """Count bytes no longer."""
        self._change(caller, -count)
        if not self._by_caller[caller]:
            del self._by_caller[caller]

    def _change(self, caller: str, count: int) -> None:
        self.held += count
        self._by_caller[caller] += count
        self.meter.upload_bytes.inc(count)


@dataclass(frozen=True, slots=True)
class FileSpool:
    """`UploadSpool` in a scratch folder."""

    examiner: Examiner
    budget: ByteBudget = field(default_factory=ByteBudget)

    @asynccontextmanager
    async def open(self, *, caller: str, owner: str) -> AsyncIterator[SpooledUpload]:
        """Hold an upload while the block runs."""
        self.budget.take(caller, LEAST_BYTES)
        counted = LEAST_BYTES
        try:
            async with self.examiner.scratch.file() as path:
                upload = SpooledUpload(self, path, caller=caller, owner=owner)
                try:
                    yield upload
                finally:
                    counted = upload.counted
        finally:
            self.budget.give_back(caller, counted)

    def most_bytes(self, kinds: Collection[MediaKind]) -> int:
        """Return how large an upload of one of these kinds may be at the moment."""
        return self.examiner.bounds().most(kinds)

    def hold(self, pieces: AsyncIterator[bytes]) -> AbstractAsyncContextManager[Path]:
        """Hold what is kept in a file while the block runs."""
        return self.examiner.scratch.holding(pieces)

    async def clean(self, path: Path) -> None:
        """Take the metadata out of a kept upload."""
        await self.examiner.clean(path)


class SpooledUpload:
    """`UploadFile` in a file, which is open only while it is written to."""

    def __init__(self, spool: FileSpool, path: Path, *, caller: str, owner: str) -> None:
        self._spool = spool
        self.path = path
        """Where its bytes are."""
        self._caller = caller
        self._owner = owner
        self._size = 0
        self._writer = ScratchWriter(spool.examiner.scratch, path, held_bytes=_HELD_BYTES)
        self._head = b""
        self._bounds = spool.examiner.bounds()
        self.counted = LEAST_BYTES
        """How many bytes the budget counts."""

    async def write(self, piece: bytes) -> None:
        """Take the next piece; small ones are gathered before they are written."""
        self._size += len(piece)
        if len(self._head) < HEAD_BYTES:
            self._head += piece[: HEAD_BYTES - len(self._head)]
        limit_bytes = most_bytes(self._head, self._bounds)
        if self._size > limit_bytes:
            raise UploadTooLarge(limit_bytes=limit_bytes)
        more = max(0, self._size - self.counted)
        self._spool.budget.take(self._caller, more)
        self.counted += more
        await self._writer.write(piece)

    async def examine(self) -> Examined:
        """Say what it is now that it is whole."""
        await self._writer.flush()
        examiner = self._spool.examiner
        return await examiner.upload(self.path, caller=self._caller, owner=self._owner)


def most_bytes(head: bytes, bounds: UploadBounds) -> int:
    """Return how large an upload may be that begins like this: a clip, or at most a picture."""
    known = upload_format(head)
    if known is None:
        return bounds.most((MediaKind.IMAGE,))
    types = (known.video_type, known.audio_type)
    return bounds.most(kind_of(mime_type) for mime_type in types if mime_type)
