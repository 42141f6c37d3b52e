"""The epoch of the money on PostgreSQL, and what is done where it does not fit."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from generation_svc.domain.epoch import KnownEpoch, Restored, StoredEpoch
from generation_svc.storage.connection import Connection, Row
from generation_svc.storage.dispatch_store import CLAIM_LOCK


class PostgresEpochStore:
    """The `EpochStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def lock(self) -> KnownEpoch | None:
        await self._connection.execute("SELECT FROM money_state FOR UPDATE")
        # A statement of its own: its snapshot sees the transfers of those who had the lock.
        return await self.get()

    async def get(self) -> KnownEpoch | None:
        cursor = await self._connection.execute(_EPOCH)
        row = await cursor.fetchone()
        return _epoch(row) if row else None

    async def name_next(self, series: int) -> StoredEpoch:
        cursor = await self._connection.execute(
            "UPDATE money_state SET next_epoch = coalesce(next_epoch, gen_random_uuid()),"
            " receipt_series = %s"
            " RETURNING next_epoch, coalesce((SELECT max(id) FROM transfer), 0) AS transfer,"
            " create_time",
            (series,),
        )
        row = await cursor.fetchone()
        assert row is not None  # it is locked
        return StoredEpoch(row["next_epoch"], series, row["transfer"], _origin(row))

    async def begin(self, epoch: StoredEpoch) -> None:
        await self._connection.execute(
            "UPDATE money_state SET epoch = next_epoch, next_epoch = NULL, update_time = now(),"
            " epoch_transfer = %s WHERE next_epoch = %s",
            (epoch.transfer, epoch.epoch),
        )

    async def close_restored(self, reason: str) -> None:
        cursor = await self._connection.execute(_CLOSE, {"reason": reason})
        if cursor.rowcount:
            # Claimers take turns by this lock, so that none is at its jobs.
            await self._connection.execute("SELECT pg_advisory_xact_lock(%s)", (CLAIM_LOCK,))
            await self._connection.execute(_HOLD_QUEUE)
            await self._connection.execute(_DOUBT_DELIVERIES)

    async def end_recovery(self) -> None:
        await self._connection.execute(
            "UPDATE money_state SET restored = NULL, update_time = now(), sales_closed_reason ="
            " nullif(sales_closed_reason, restored ->> 'reason'), sales_close_time = CASE"
            " WHEN sales_closed_reason <> restored ->> 'reason' THEN sales_close_time END"
        )

    async def queued_at_restore(self, *, limit: int) -> Sequence[UUID]:
        cursor = await self._connection.execute(_QUEUED_AT_RESTORE, (limit,))
        return [row["id"] for row in await cursor.fetchall()]

    async def unknown_attempts(self, attempt_ids: Collection[UUID]) -> Collection[UUID]:
        cursor = await self._connection.execute(
            "SELECT id FROM attempt WHERE id = ANY (%s)", (list(attempt_ids),)
        )
        known = {row["id"] for row in await cursor.fetchall()}
        return set(attempt_ids) - known


# Transfers of a transaction that ends late may have a lower number; the next ones are noticed.
_EPOCH = """
SELECT *, coalesce((SELECT max(id) FROM transfer), 0) > coalesce(epoch_transfer, 0) AS has_moved
FROM money_state
"""
# It is noted once, with what the database said then. Whoever closed sales before keeps them closed.
_CLOSE = """
UPDATE money_state SET sales_closed_reason = coalesce(sales_closed_reason, %(reason)s),
    sales_close_time = CASE WHEN sales_closed_reason IS NULL THEN now() ELSE sales_close_time END,
    restored = jsonb_build_object('time', clock_timestamp(), 'reason', %(reason)s::text,
    'balances', coalesce((SELECT jsonb_object_agg(provider || '/' || account,
        balance::text) FROM account_balance WHERE balance IS NOT NULL), '{}'::jsonb))
WHERE restored IS NULL
"""
# Nobody knows which of them were sent since the backup. They are put off until it is too late for
# them, as jobs are that wait for nothing but an earlier answer; whoever holds a claim has lost it.
_HOLD_QUEUE = """
UPDATE job SET dispatch_time = start_deadline_time, claim_token = NULL, claim_account = NULL
WHERE id IN (SELECT id FROM job WHERE state = 'queued' ORDER BY id FOR NO KEY UPDATE)
"""
# What was on its way may have arrived since the backup: it becomes no new message.
_DOUBT_DELIVERIES = """
UPDATE delivery SET maybe_sent = true WHERE kind = 'outcome' AND id IN (SELECT id FROM delivery
    WHERE state IN ('pending', 'leased', 'begun') ORDER BY id FOR NO KEY UPDATE)
"""
_QUEUED_AT_RESTORE = """
SELECT id FROM job WHERE state = 'queued' AND create_time < (
    SELECT (restored ->> 'time')::timestamptz FROM money_state) LIMIT %s
"""


def _epoch(row: Row) -> KnownEpoch:
    restored = row["restored"]
    return KnownEpoch(
        epoch=row["epoch"],
        series=row["receipt_series"],
        next_epoch=row["next_epoch"],
        is_stored=row["epoch_transfer"] is not None,
        has_moved=row["has_moved"],
        restored=_restored(restored) if restored else None,
        origin=_origin(row),
        transfer=row["epoch_transfer"] or 0,
    )


def _restored(document: dict[str, Any]) -> Restored:
    time = datetime.fromisoformat(document["time"])
    return Restored(time, document["balances"], document["reason"])


def _origin(row: Row) -> str:
    time: datetime = row["create_time"]
    return time.astimezone(UTC).isoformat()
