"""The bytes in use, on PostgreSQL.

Uploads of an owner are summed over an index that holds their sizes: they are few. Results are many,
so they are counted in a row per owner. Settling a job does not touch that row, or all jobs of an
owner would wait for each other: a result is written uncounted, and counted by a step of maintenance
in the transaction that marks it so. Each is therefore counted once, also one that the release 0.1.0
wrote, and one that is removed before that never is.
"""

from typing import Any

from generation_svc.storage.connection import Connection

USAGE_LOCK = 0x5553_4147
"""The class of the advisory locks under which the bytes of one owner are reserved."""

OWNER_BYTES = """(
    coalesce((SELECT size_bytes FROM storage_usage AS known
              WHERE known.caller = {caller} AND known.owner = {owner}), 0)
    + coalesce((SELECT sum(size_bytes) FROM upload WHERE upload.caller = {caller}
                AND upload.owner = {owner} AND upload.remove_time IS NULL), 0))"""
"""The bytes of an owner, as an expression over two others."""


class PostgresUsageStore:
    """The `UsageStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def count_media(self, *, limit: int) -> int:
        return await self._number(_COUNT_MEDIA, limit=limit)

    async def of_owner(self, owner: str, *, caller: str) -> int:
        return await self._number(_OF_OWNER, caller=caller, owner=owner)

    async def reserve(self, owner: str, *, caller: str) -> int:
        await self._connection.execute(
            "SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (USAGE_LOCK, f"{caller}/{owner}")
        )
        return await self.of_owner(owner, caller=caller)

    async def overall(self) -> int:
        return await self._number(_OVERALL)

    async def _number(self, statement: str, **values: Any) -> int:
        cursor = await self._connection.execute(statement, values)
        row = await cursor.fetchone()
        assert row is not None  # each statement gives one number
        return int(row["number"])


# Owners are taken in one order, so that two replicas that count never wait for each other.
_COUNT_MEDIA = """
WITH due AS (
    SELECT media.id, job.caller, job.owner, media.size_bytes
    FROM media JOIN job ON job.id = media.job_id
    WHERE NOT media.is_counted AND media.remove_time IS NULL
    LIMIT %(limit)s FOR UPDATE OF media SKIP LOCKED
), marked AS (
    UPDATE media SET is_counted = true FROM due WHERE media.id = due.id
), counted AS (
    INSERT INTO storage_usage AS known (caller, owner, size_bytes)
    SELECT caller, owner, sum(size_bytes) FROM due GROUP BY caller, owner ORDER BY caller, owner
    ON CONFLICT (caller, owner) DO UPDATE SET size_bytes = known.size_bytes + excluded.size_bytes
)
SELECT count(*) AS number FROM due
"""

_OF_OWNER = f"SELECT {OWNER_BYTES.format(caller='%(caller)s', owner='%(owner)s')} AS number"

_OVERALL = """
SELECT coalesce((SELECT sum(size_bytes) FROM storage_usage), 0)
     + coalesce((SELECT sum(size_bytes) FROM upload WHERE remove_time IS NULL), 0) AS number
"""
