"""Media and uploads: their rows and their bytes."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol
from uuid import UUID

from generation_svc.domain.attempt import Attempt
from generation_svc.domain.media import Content, Media, Upload


@dataclass(frozen=True, slots=True)
class Examined:
    """An upload in a file, whose type was found by looking at it; it has no metadata any more."""

    path: Path
    mime_type: str
    width: int
    """As a person sees it, with the orientation applied."""
    height: int
    size_bytes: int
    sha256: str


class UploadFile(Protocol):
    """An upload under way."""

    async def write(self, piece: bytes) -> None:
        """Take the next piece. Raises UploadTooLarge, Overloaded or Unavailable."""

    async def examine(self) -> Examined:
        """Say what it is now that it is whole.

        Raises UploadRejected, Overloaded or Unavailable.
        """


class UploadSpool(Protocol):
    """Holds uploads, of a bounded size together, until they are kept."""

    def open(self, *, caller: str, owner: str) -> AbstractAsyncContextManager[UploadFile]:
        """Hold an upload while the block runs."""

    async def cleaned(self, data: bytes) -> bytes:
        """Return a kept upload without its metadata; raises UploadRejected or Unavailable."""


class ResultFetcher(Protocol):
    """Fetches results from the provider's file hosts."""

    async def fetch(self, url: str, *, is_proved: bool = False) -> Content:
        """Return the content behind a result link; a proved one is the provider's on any host.

        Raises LinkDead (403, 404, 410), FetchFailed (anything that may pass, HostUnreachable where
        nobody was there) or ResultRejected (host not allowed, no known type, ResultTooLarge).
        """


@dataclass(frozen=True, slots=True)
class StoredBytes:
    """Bytes in the store."""

    key: str
    write_time: datetime


class ByteStore(Protocol):
    """Keeps bytes under keys."""

    async def put(self, key: str, data: bytes) -> None:
        """Keep the bytes; writing the same key again replaces them."""

    async def put_file(self, key: str, path: Path) -> None:
        """Keep the bytes of a file."""

    def stream(
        self, key: str, *, offset: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        """Give the bytes, or a part of them that is there, in pieces of at most 256 KiB."""

    async def read(self, key: str) -> bytes:
        """Give all the bytes."""

    async def delete(self, key: str) -> None:
        """Forget the bytes; a missing key is no error."""

    def list(self, prefix: str) -> AsyncIterator[Sequence[StoredBytes]]:
        """Give what is kept under a prefix such as `result/`, in pieces of at most 100."""


@dataclass(frozen=True, slots=True)
class StoredMedia:
    """Media and where its bytes are."""

    media: Media
    key: str
    is_removed: bool
    """Whether its bytes are gone, since its time was over."""
    end_time: datetime
    """When its time began to run: its job had ended, or the upload came."""


class MediaStore(Protocol):
    """Media and uploads: everything but the bytes."""

    async def insert_media(
        self, media: Media, *, attempt: Attempt, position: int, key: str
    ) -> None:
        """Write one result of an attempt; a repetition changes nothing."""

    async def media_of(self, attempt_id: UUID) -> Sequence[Media]:
        """Read the results of an attempt in order."""

    async def positions_of(self, attempt_id: UUID) -> Collection[int]:
        """Read which results of an attempt are ours already."""

    async def known_results(self, attempt_ids: Collection[UUID]) -> Collection[tuple[UUID, int]]:
        """Return which results of these attempts are to be kept, by attempt and position."""

    async def known_uploads(self, upload_ids: Collection[UUID]) -> Collection[UUID]:
        """Return which of these uploads are to be kept."""

    async def find_media(
        self, media_id: UUID, *, caller: str | None, bots: Collection[int] = ()
    ) -> StoredMedia | None:
        """Find media of this caller, of anybody for None, or of a job sent by one of the bots."""

    async def insert_upload(
        self, upload: Upload, *, caller: str, owner: str, key: str, lifetime: timedelta
    ) -> None:
        """Write an upload that is forgotten after its lifetime."""

    async def find_upload(self, upload_id: UUID, *, caller: str) -> StoredMedia | None:
        """Find an upload of this caller, expired or not, while anything is known of it."""

    async def keep_upload(self, upload_id: UUID, *, lifetime: timedelta) -> bool:
        """Lengthen the life of an upload that a job uses; False if its time is over."""
