"""Request keys on PostgreSQL."""

from datetime import timedelta
from uuid import UUID

from generation_svc.domain.port.request import RequestKey
from generation_svc.storage.connection import Connection


class PostgresRequestStore:
    """The `RequestStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def remember(self, key: RequestKey, *, job_id: UUID) -> tuple[UUID, bytes] | None:
        """A second transaction with the same key waits here until the first one has ended."""
        bound = await self._connection.execute(
            "INSERT INTO request_key (caller, request_id, content_hash, job_id, create_time)"
            " VALUES (%s, %s, %s, %s, now()) ON CONFLICT DO NOTHING",
            (key.caller, key.request_id, key.content_hash, job_id),
        )
        # Whoever made us wait has committed by now, and a new statement sees what it wrote.
        return None if bound.rowcount else await self.find(key.request_id, caller=key.caller)

    async def find(self, request_id: str, *, caller: str) -> tuple[UUID, bytes] | None:
        cursor = await self._connection.execute(
            "SELECT job_id, content_hash FROM request_key WHERE caller = %s AND request_id = %s",
            (caller, request_id),
        )
        row = await cursor.fetchone()
        return (row["job_id"], row["content_hash"]) if row else None

    async def forget(self, *, older_than: timedelta, limit: int) -> int:
        forgotten = await self._connection.execute(
            "DELETE FROM request_key WHERE (caller, request_id) IN (SELECT caller, request_id"
            " FROM request_key WHERE create_time <= now() - %s::interval LIMIT %s"
            " FOR UPDATE SKIP LOCKED)",
            (older_than, limit),
        )
        return forgotten.rowcount
