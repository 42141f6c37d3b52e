"""Expiry on PostgreSQL: rows are found by an index, locked, and removed in small batches.

Bytes are removed while their row is locked, and the row is marked after that. So a process that is
killed in between leaves a row that is found again, and removing bytes that are gone does nothing.
Rows that somebody else has locked are skipped: another replica is at work on them, or a job is
about to use them.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from generation_svc.domain.retention import Expired
from generation_svc.storage.attempt_state import is_live
from generation_svc.storage.connection import Connection
from generation_svc.storage.media_kind import IS_VIDEO

MOST_ROWS = 1000
"""How many rows of a table one statement removes."""
_HAS_ENDED = "job.state IN ('succeeded', 'failed', 'cancelled')"


class PostgresRetentionStore:
    """The `RetentionStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def clock_error(self, local: datetime) -> timedelta:
        cursor = await self._connection.execute("SELECT now() - %s::timestamptz AS ahead", (local,))
        row = await cursor.fetchone()
        return cast(timedelta, row["ahead"]) if row else timedelta(0)

    async def expired_media(
        self, *, is_video: bool, older_than: timedelta, after: Expired | None = None, limit: int
    ) -> Sequence[Expired]:
        statement = _EXPIRED_MEDIA.format(kind=IS_VIDEO if is_video else f"NOT {IS_VIDEO}")
        return await self._expired(statement, after=after, age=older_than, limit=limit)

    async def lock_media(self, media_id: UUID) -> str | None:
        return await self._key(
            # Found without a lock, so another replica may have removed it since: looked at again,
            # locked.
            "SELECT key FROM media WHERE id = %s AND remove_time IS NULL FOR UPDATE SKIP LOCKED",
            media_id,
        )

    async def media_removed(self, media_id: UUID) -> None:
        await self._connection.execute(_MEDIA_REMOVED, (media_id,))

    async def expired_uploads(
        self, *, after: Expired | None = None, limit: int
    ) -> Sequence[Expired]:
        return await self._expired(_EXPIRED_UPLOADS, after=after, limit=limit)

    async def lock_upload(self, upload_id: UUID) -> str | None:
        return await self._key(
            "SELECT key FROM upload WHERE id = %s AND remove_time IS NULL"
            " AND expire_time <= now() FOR UPDATE SKIP LOCKED",
            upload_id,
        )

    async def upload_removed(self, upload_id: UUID) -> None:
        await self._connection.execute(
            "UPDATE upload SET remove_time = now() WHERE id = %s", (upload_id,)
        )

    async def shorten_uploads(self, *, lifetime: timedelta, limit: int) -> int:
        """Release 0.1.0 kept those that a job used for 400 days."""
        return await self._count(
            "UPDATE upload SET expire_time = now() + %(lifetime)s WHERE id = ANY(ARRAY("
            " SELECT id FROM upload WHERE remove_time IS NULL"
            " AND expire_time > now() + %(lifetime)s::interval"
            " ORDER BY expire_time DESC LIMIT %(limit)s FOR UPDATE SKIP LOCKED))",
            lifetime=lifetime,
            limit=limit,
        )

    async def forget_uploads(self, *, older_than: timedelta, limit: int) -> int:
        return await self._count(_FORGET_UPLOADS, age=older_than, limit=limit)

    async def forgettable_jobs(
        self, *, older_than: timedelta, after: Expired | None = None, limit: int
    ) -> Sequence[Expired]:
        return await self._expired(_FORGETTABLE_JOBS, after=after, age=older_than, limit=limit)

    async def forget_job(self, job_id: UUID) -> bool:
        # Found without a lock, as above: a result that is late may have come since, or come now.
        if await self._count(_LOCK_FORGETTABLE, job=job_id) == 0:
            return False
        for statement in _FORGET_PARTS:
            # In pieces, so that no single statement runs into its timeout over a job with many
            # events.
            while await self._count(statement, job=job_id, most=MOST_ROWS) == MOST_ROWS:
                continue
        await self._connection.execute("DELETE FROM job WHERE id = %s", (job_id,))
        return True

    async def forget_callbacks(self, *, older_than: timedelta, limit: int) -> int:
        return await self._count(_FORGET_CALLBACKS, age=older_than, limit=limit)

    async def _expired(
        self, statement: str, *, after: Expired | None, **values: Any
    ) -> list[Expired]:
        time = after.time if after else datetime.min.replace(tzinfo=UTC)
        cursor = await self._connection.execute(statement, {**values, "after": time})
        return [Expired(**row) for row in await cursor.fetchall()]

    async def _key(self, statement: str, row_id: UUID) -> str | None:
        cursor = await self._connection.execute(statement, (row_id,))
        row = await cursor.fetchone()
        return str(row["key"]) if row else None

    async def _count(self, statement: str, **values: Any) -> int:
        return (await self._connection.execute(statement, values)).rowcount


# A batch goes on behind a time, as the indexes do, so it ends with all of one time: the files of a
# result have the same, and uploads whose lifetime was shortened at once.
#
# The clock of media starts with the end of its job, which is what callers are told. It may have
# been fetched earlier, where other files were late: so both are asked, the first by its index.
_EXPIRED_MEDIA = f"""
SELECT media.id, media.create_time AS time FROM media JOIN job ON job.id = media.job_id
WHERE media.remove_time IS NULL AND {{kind}} AND media.create_time <= now() - %(age)s::interval
  AND {_HAS_ENDED} AND job.update_time <= now() - %(age)s::interval
  AND media.create_time > %(after)s
ORDER BY media.create_time FETCH FIRST (%(limit)s) ROWS WITH TIES
"""

# Only what was counted is taken off: counting and removing may happen in either order.
_MEDIA_REMOVED = """
WITH removed AS (
    UPDATE media SET remove_time = now() WHERE id = %s AND remove_time IS NULL
    RETURNING job_id, size_bytes, is_counted
)
UPDATE storage_usage SET size_bytes = storage_usage.size_bytes - removed.size_bytes
FROM removed JOIN job ON job.id = removed.job_id
WHERE removed.is_counted
  AND storage_usage.caller = job.caller AND storage_usage.owner = job.owner
"""

_EXPIRED_UPLOADS = """
SELECT id, expire_time AS time FROM upload WHERE remove_time IS NULL AND expire_time <= now()
  AND expire_time > %(after)s
ORDER BY expire_time FETCH FIRST (%(limit)s) ROWS WITH TIES
"""

# An array of ids, not a subquery after IN: of that the planner makes a join, and may read the whole
# table for it.
_FORGET_UPLOADS = """
DELETE FROM upload WHERE id = ANY(ARRAY(
    SELECT id FROM upload WHERE expire_time <= now() - %(age)s::interval
      AND remove_time IS NOT NULL
    ORDER BY expire_time LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
"""

_FORGETTABLE_JOBS = f"""
SELECT id, update_time AS time FROM job
WHERE {_HAS_ENDED} AND update_time <= now() - %(age)s::interval AND update_time > %(after)s
  AND NOT EXISTS (SELECT FROM media WHERE media.job_id = job.id AND media.remove_time IS NULL)
ORDER BY update_time FETCH FIRST (%(limit)s) ROWS WITH TIES
"""

_LOCK_FORGETTABLE = f"""
SELECT id FROM job WHERE id = %(job)s
  AND NOT EXISTS (SELECT FROM media WHERE media.job_id = job.id AND media.remove_time IS NULL)
  AND NOT EXISTS (SELECT FROM attempt WHERE attempt.job_id = job.id AND {is_live("attempt.state")})
FOR UPDATE OF job SKIP LOCKED
"""

_FORGET_PARTS = tuple(
    f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE {belongs} LIMIT %(most)s)"
    for table, belongs in (
        (
            "callback_receipt",
            "attempt_id = ANY(ARRAY(SELECT id FROM attempt WHERE job_id = %(job)s))",
        ),
        ("media", "job_id = %(job)s"),
        ("delivery", "job_id = %(job)s"),
        ("job_event", "job_id = %(job)s"),
        ("attempt", "job_id = %(job)s"),
    )
)
"""What belongs to a job, in the order in which it can go: what refers to another row goes first."""

_FORGET_CALLBACKS = """
DELETE FROM callback_receipt WHERE id = ANY(ARRAY(
    SELECT id FROM callback_receipt WHERE receive_time <= now() - %(age)s::interval
    ORDER BY receive_time LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
"""
