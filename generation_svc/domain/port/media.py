"""Media and uploads: their rows and their bytes."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol
from uuid import UUID

from generation_svc.domain.attempt import Attempt
from generation_svc.domain.media import Media, MediaKind, Upload
from generation_svc.domain.model import ResultForm

FIRST_COVER_POSITION = 1000
"""The position of the first result's cover; results have positions below it."""


@dataclass(frozen=True, slots=True)
class Examined:
    """Media in a file, whose type was found by looking at it."""

    path: Path
    mime_type: str
    size_bytes: int
    sha256: str
    width: int = 0
    """As a person sees it, with the orientation applied; 0 for what has none."""
    height: int = 0
    duration: timedelta | None = None
    """The playing time; None if it has none or it is unknown."""
    is_damaged: bool = False
    """Whether it is a picture that cannot be decoded: another copy of it may be whole."""
    poster: "Examined | None" = None
    """A small picture of it, for a video; it is gone when the file is."""


class UploadFile(Protocol):
    """An upload under way."""

    async def write(self, piece: bytes) -> None:
        """Take the next piece. Raises UploadTooLarge, Overloaded or Unavailable."""

    async def examine(self) -> Examined:
        """Examine the complete upload and remove its metadata.

        Raises UploadRejected, Overloaded or Unavailable.
        """


class UploadSpool(Protocol):
    """Holds uploads, of a bounded size together, until they are kept."""

    def open(self, *, caller: str, owner: str) -> AbstractAsyncContextManager[UploadFile]:
        """Hold an upload while the block runs."""

    def most_bytes(self, kinds: Collection[MediaKind]) -> int:
        """Return how large an upload of one of these kinds may be at the moment."""

    def hold(self, pieces: AsyncIterator[bytes]) -> AbstractAsyncContextManager[Path]:
        """Hold what is kept in a file while the block runs. Raises Unavailable."""

    async def clean(self, path: Path) -> None:
        """Take the metadata out of a kept upload; raises UploadRejected or Unavailable."""


class ResultFetcher(Protocol):
    """Fetches results from the provider's file hosts."""

    def fetch(
        self, url: str, *, is_proved: bool = False, form: ResultForm | None = None
    ) -> AbstractAsyncContextManager[Examined]:
        """Hold what is behind a result link in a file while the block runs.

        A proved link is the provider's on any host. The form is what the model promises: how large
        a file may be, and whether words can be one. What is of no known type, and what nobody here
        can decode, is a file; words in the place of a picture, a video or a song are no result.

        Raises LinkDead (403, 404, 410), FetchFailed (anything that may pass, HostUnreachable where
        nobody was there), ResultRejected (host not allowed, words, ResultTooLarge) or Unavailable.
        """

    def write(self, content: str, *, mime_type: str) -> AbstractAsyncContextManager[Examined]:
        """Hold what the provider sent without a link in a file while the block runs.

        Raises Unavailable.
        """


@dataclass(frozen=True, slots=True)
class StoredBytes:
    """Bytes in the store."""

    key: str
    write_time: datetime


class ByteStore(Protocol):
    """Keeps bytes under keys."""

    async def put_file(self, key: str, path: Path) -> None:
        """Keep the bytes of a file, however large; writing the same key again replaces them."""

    def stream(
        self, key: str, *, offset: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        """Give the bytes, or a part of them that is there, in pieces of at most 256 KiB."""

    async def delete(self, key: str) -> None:
        """Delete the bytes; a missing key is not an error."""

    def list(self, prefix: str) -> AsyncIterator[Sequence[StoredBytes]]:
        """Give what is kept under a prefix such as `result/`, in pieces of at most 100."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a result that is in the store."""

    position: int
    media: Media
    key: str


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
        self, files: Sequence[StoredFile], *, attempt: Attempt
    ) -> Sequence[Media]:
        """Write results of an attempt; a repetition changes nothing.

        Returns those that were written, in order and without covers.
        """

    async def media_of(self, attempt_id: UUID) -> Sequence[Media]:
        """Read the results of an attempt in order, without their covers."""

    async def positions_of(self, attempt_id: UUID) -> Collection[int]:
        """Read which results of an attempt are ours already."""

    async def known_results(self, attempt_ids: Collection[UUID]) -> Collection[str]:
        """Return the keys of the results of these attempts that are to be kept."""

    async def known_uploads(self, upload_ids: Collection[UUID]) -> Collection[str]:
        """Return the keys of these uploads that are to be kept."""

    async def find_media(
        self, media_id: UUID, *, caller: str | None, bots: Collection[int] = ()
    ) -> StoredMedia | None:
        """Find media of this caller (None: of any), or of a job sent by one of the bots."""

    async def insert_upload(
        self, upload: Upload, *, caller: str, owner: str, key: str, lifetime: timedelta
    ) -> bool:
        """Write an upload that is forgotten after its lifetime; False if there is one of its id."""

    async def find_upload(self, upload_id: UUID, *, caller: str) -> StoredMedia | None:
        """Find an upload of this caller, expired or not, while anything is known of it."""

    async def keep_upload(self, upload_id: UUID, *, lifetime: timedelta) -> bool:
        """Lengthen the life of an upload that a job uses; False if its time is over."""
