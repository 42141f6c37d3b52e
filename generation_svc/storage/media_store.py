"""Media and uploads on PostgreSQL: everything but the bytes."""

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from generation_svc.domain.attempt import Attempt
from generation_svc.domain.media import Media, Upload
from generation_svc.domain.port.media import FIRST_COVER_POSITION, StoredFile, StoredMedia
from generation_svc.storage.connection import Connection, Row
from generation_svc.storage.media_row import media_from_row


class PostgresMediaStore:
    """The `MediaRows` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def insert_media(
        self, files: Sequence[StoredFile], *, attempt: Attempt
    ) -> Sequence[Media]:
        """Write results of an attempt, and return those that were not ours, without covers."""
        if not files:
            return ()
        rows = [
            {**_columns(each.media), "title": each.media.title, "cover_id": each.media.cover_id}
            | {"position": each.position, "key": each.key}
            for each in files
        ]
        cursor = await self._connection.execute(
            _INSERT_MEDIA,
            {
                "job_id": attempt.job_id,
                "attempt_id": attempt.id,
                "rows": Jsonb(rows, dumps=_dumped),
                "covers": FIRST_COVER_POSITION,
            },
        )
        written = {row["position"] for row in await cursor.fetchall()}
        ordered = sorted(files, key=lambda each: each.position)
        return [_as_kept(each.media) for each in ordered if each.position in written]

    async def media_of(self, attempt_id: UUID) -> Sequence[Media]:
        """Read the results of an attempt in order, without their covers."""
        cursor = await self._connection.execute(
            "SELECT * FROM media WHERE attempt_id = %s AND position < %s ORDER BY position",
            (attempt_id, FIRST_COVER_POSITION),
        )
        return [media_from_row(row) for row in await cursor.fetchall()]

    async def positions_of(self, attempt_id: UUID) -> Collection[int]:
        """Read which results of an attempt are ours already."""
        cursor = await self._connection.execute(
            "SELECT position FROM media WHERE attempt_id = %s", (attempt_id,)
        )
        return frozenset(row["position"] for row in await cursor.fetchall())

    async def known_results(self, attempt_ids: Collection[UUID]) -> Collection[str]:
        """Return the keys of the results of these attempts that are to be kept."""
        cursor = await self._connection.execute(
            "SELECT key FROM media WHERE attempt_id = ANY(%s) AND remove_time IS NULL",
            (list(attempt_ids),),
        )
        return {row["key"] for row in await cursor.fetchall()}

    async def known_uploads(self, upload_ids: Collection[UUID]) -> Collection[str]:
        """Return the keys of these uploads that are to be kept."""
        cursor = await self._connection.execute(
            "SELECT key FROM upload WHERE id = ANY(%s) AND remove_time IS NULL", (list(upload_ids),)
        )
        return {row["key"] for row in await cursor.fetchall()}

    async def find_media(
        self, media_id: UUID, *, caller: str | None, bots: Collection[int] = ()
    ) -> StoredMedia | None:
        """Find media of this caller (None: of any), or of a job sent by one of the bots."""
        cursor = await self._connection.execute(
            "SELECT media.*, greatest(media.create_time, job.update_time) AS end_time"
            " FROM media JOIN job ON job.id = media.job_id"
            " WHERE media.id = %(id)s AND (job.caller = coalesce(%(caller)s, job.caller)"
            " OR EXISTS (SELECT FROM delivery WHERE delivery.job_id = job.id"
            " AND delivery.bot_id = ANY(%(bots)s::bigint[])))",
            {"id": media_id, "caller": caller, "bots": list(bots)},
        )
        row = await cursor.fetchone()
        return _stored(row) if row else None

    async def insert_upload(
        self, upload: Upload, *, caller: str, owner: str, key: str, lifetime: timedelta
    ) -> bool:
        """Write an upload that is forgotten after its lifetime; False if there is one of its id."""
        written = await self._connection.execute(
            "INSERT INTO upload (id, caller, owner, key, mime_type, size_bytes, width, height,"
            " sha256, create_time, expire_time, duration_ms) VALUES (%(id)s, %(caller)s, %(owner)s,"
            " %(key)s, %(mime_type)s, %(size_bytes)s, %(width)s, %(height)s, %(sha256)s, now(),"
            " now() + %(lifetime)s, %(duration_ms)s) ON CONFLICT (id) DO NOTHING",
            {
                **_columns(upload),
                "caller": caller,
                "owner": owner,
                "key": key,
                "lifetime": lifetime,
            },
        )
        return bool(written.rowcount)

    async def find_upload(self, upload_id: UUID, *, caller: str) -> StoredMedia | None:
        """Find an upload of this caller, expired or not, while anything is known of it."""
        cursor = await self._connection.execute(
            "SELECT *, create_time AS end_time FROM upload WHERE id = %s AND caller = %s",
            (upload_id, caller),
        )
        row = await cursor.fetchone()
        return _stored(row) if row else None

    async def keep_upload(self, upload_id: UUID, *, lifetime: timedelta) -> bool:
        """Lengthen the life of an upload that a job uses; False if its time is over.

        Whoever removes its bytes at this moment has its row locked, and is waited for.
        """
        kept = await self._connection.execute(
            "UPDATE upload SET expire_time = greatest(expire_time, now() + %s) WHERE id = %s"
            " AND expire_time > now() AND remove_time IS NULL",
            (lifetime, upload_id),
        )
        return bool(kept.rowcount)


def _columns(value: Media) -> dict[str, Any]:
    names = ("id", "mime_type", "size_bytes", "width", "height", "sha256")
    duration_ms = None if value.duration is None else value.duration // timedelta(milliseconds=1)
    return {**{name: getattr(value, name) for name in names}, "duration_ms": duration_ms}


# A fetch whose process was killed before its commit comes again, and so may its first row.
_INSERT_MEDIA = """
WITH written AS (
    INSERT INTO media (id, job_id, attempt_id, position, key, mime_type, size_bytes, width, height,
                       sha256, create_time, duration_ms, title, cover_id)
    SELECT id, %(job_id)s, %(attempt_id)s, position, key, mime_type, size_bytes, width, height,
           sha256, now(), duration_ms, title, cover_id
    FROM jsonb_to_recordset(%(rows)s) AS file (
        id uuid, position smallint, key text, mime_type text, size_bytes bigint, width int,
        height int, sha256 text, duration_ms bigint, title text, cover_id uuid)
    ON CONFLICT (attempt_id, position) DO NOTHING RETURNING position)
SELECT position FROM written WHERE position < %(covers)s
"""


def _dumped(rows: object) -> str:
    return json.dumps(rows, default=str)  # ids are written as text


def _as_kept(media: Media) -> Media:
    """Return what would be read: the playing time is kept in milliseconds."""
    if media.duration is None:
        return media
    millisecond = timedelta(milliseconds=1)
    return replace(media, duration=media.duration // millisecond * millisecond)


def _stored(row: Row) -> StoredMedia:
    return StoredMedia(
        media=media_from_row(row),
        key=row["key"],
        is_removed=row["remove_time"] is not None,
        end_time=row["end_time"],
    )
