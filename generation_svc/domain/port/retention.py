"""Expiry of stored data, and the bytes in use."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from generation_svc.domain.retention import Expired


class RetentionStore(Protocol):
    """Finds and removes expired data; each call touches a bounded number of rows.

    What another replica works on is skipped, so any number of them may do this at once.
    """

    async def clock_error(self, local: datetime) -> timedelta:
        """Return by how much the clock that things expire by is ahead of another one."""

    async def expired_media(
        self, *, is_video: bool, older_than: timedelta, after: Expired | None = None, limit: int
    ) -> Sequence[Expired]:
        """Find media of jobs that ended so long ago whose bytes are not removed yet.

        There may be a few more than the limit: those of one time stay together.
        """

    async def lock_media(self, media_id: UUID) -> str | None:
        """Lock media whose bytes are not removed and return their key; None if it is not ours."""

    async def media_removed(self, media_id: UUID) -> None:
        """Note that the bytes of media are gone and no longer count towards a quota."""

    async def expired_uploads(
        self, *, after: Expired | None = None, limit: int
    ) -> Sequence[Expired]:
        """Find uploads past their time whose bytes are not removed yet."""

    async def lock_upload(self, upload_id: UUID) -> str | None:
        """Lock an upload that is past its time and return its key; None if it is not ours."""

    async def upload_removed(self, upload_id: UUID) -> None:
        """Note that the bytes of an upload are gone; its row still says that it was there."""

    async def shorten_uploads(self, *, lifetime: timedelta, limit: int) -> int:
        """Have no upload live for longer than this from now on; return how many were to."""

    async def forget_uploads(self, *, older_than: timedelta, limit: int) -> int:
        """Remove rows of uploads whose bytes are gone for so long; return how many."""

    async def forgettable_jobs(
        self, *, older_than: timedelta, after: Expired | None = None, limit: int
    ) -> Sequence[Expired]:
        """Find jobs that ended so long ago; one is kept for as long as any bytes of it are."""

    async def forget_job(self, job_id: UUID) -> bool:
        """Remove such a job with all that belongs to it; return whether it was ours.

        It is not while another replica is at work on it, or files of it may still come.
        """

    async def forget_callbacks(self, *, older_than: timedelta, limit: int) -> int:
        """Remove callbacks that came so long ago; return how many."""


class UsageStore(Protocol):
    """Counts the bytes that are kept."""

    async def count_media(self, *, limit: int) -> int:
        """Count media for its owner that was not counted yet; return how much of it there was."""

    async def of_owner(self, owner: str, *, caller: str) -> int:
        """Return how many bytes are kept for an owner."""

    async def reserve(self, owner: str, *, caller: str) -> int:
        """Do the same, and make later reservations of this owner wait for this transaction."""

    async def overall(self) -> int:
        """Return how many bytes are kept in all."""
