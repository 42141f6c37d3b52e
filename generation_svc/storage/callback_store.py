"""Stored callbacks on PostgreSQL."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from psycopg.types.json import Jsonb

from generation_svc.domain.port.callback import StoredCallback
from generation_svc.storage.batch import batch_of
from generation_svc.storage.connection import Connection


class PostgresCallbackStore:
    """The `CallbackStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def insert(
        self,
        callback: StoredCallback,
        *,
        task_id: str | None,
        headers: Mapping[str, str],
        outcome: str | None = None,
    ) -> None:
        await self._connection.execute(
            "INSERT INTO callback_receipt (id, attempt_id, task_id, body, headers, is_trusted,"
            " receive_time, outcome, apply_time) VALUES (%(id)s, %(attempt_id)s, %(task_id)s,"
            " %(body)s, %(headers)s, %(is_trusted)s, now(), %(outcome)s::text,"
            " CASE WHEN %(outcome)s::text IS NOT NULL THEN now() END)"
            # Stored once more after a commit whose answer was lost: that may have taken place.
            " ON CONFLICT (id) DO NOTHING",
            {
                "id": callback.id,
                "attempt_id": callback.attempt_id,
                "task_id": task_id,
                "body": callback.body,
                "headers": Jsonb({_plain(name): _plain(value) for name, value in headers.items()}),
                "is_trusted": callback.is_trusted,
                "outcome": outcome,
            },
        )

    async def finish(self, callback_id: UUID, *, outcome: str) -> None:
        await self._connection.execute(
            "UPDATE callback_receipt SET apply_time = now(), outcome = %s WHERE id = %s",
            (outcome, callback_id),
        )

    async def pending(
        self, *, older_than: timedelta, after: UUID | None = None, limit: int
    ) -> Sequence[StoredCallback]:
        values = {"older_than": older_than, "after": after, "limit": limit}
        cursor = await self._connection.execute(_PENDING, values)
        return [StoredCallback(*(row[name] for name in _READ)) for row in await cursor.fetchall()]

    async def trim(self, *, keep: int) -> None:
        await self._connection.execute(
            # A bound by number and not by age: anybody who knows the address can post at any rate.
            "DELETE FROM callback_receipt WHERE NOT is_trusted AND receive_time <="
            " (SELECT receive_time FROM callback_receipt WHERE NOT is_trusted"
            " ORDER BY receive_time DESC OFFSET %s LIMIT 1)",
            (keep,),
        )


_READ = ("id", "body", "attempt_id", "is_trusted")
# A replica of release 0.1.0 stores them first, and may be applying younger ones.
_PENDING = batch_of(
    "callback_receipt",
    "SELECT id FROM callback_receipt"
    " WHERE apply_time IS NULL AND receive_time <= now() - %(older_than)s::interval",
)


def _plain(text: str) -> str:
    """Return a text as PostgreSQL can keep it."""
    # Neither text nor jsonb can hold U+0000.
    return text.replace("\0", "")
