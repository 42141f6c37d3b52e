"""The check of the ledger on PostgreSQL."""

from collections.abc import Sequence
from datetime import timedelta

from generation_svc.domain.ledger_audit import Difference, Piece
from generation_svc.storage.audit.hold import HOLDS
from generation_svc.storage.audit.imported_balance import IMPORTED_BALANCES
from generation_svc.storage.audit.job import JOBS
from generation_svc.storage.audit.receipt import RECEIPTS
from generation_svc.storage.audit.star import STARS
from generation_svc.storage.audit.top_up import TOP_UPS
from generation_svc.storage.audit.transfer import TRANSFERS
from generation_svc.storage.audit.wallet import WALLETS
from generation_svc.storage.connection import Connection

PARTS = {
    "transfer": TRANSFERS,
    "wallet": WALLETS,
    "hold": HOLDS,
    "job": JOBS,
    "top_up": TOP_UPS,
    "receipt": RECEIPTS,
    "star": STARS,
    "import": IMPORTED_BALANCES,
}
"""The statement of each part of the ledger."""
_CURSOR = "ledger check"
_MOST_SUBJECT, _MOST_PROBLEM = 200, 500


class PostgresAuditStore:
    """The `AuditStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def parts(self) -> Sequence[str]:
        return tuple(PARTS)

    async def look(self, part: str, *, after: str | None, limit: int) -> Piece:
        await self._connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        cursor = await self._connection.execute(PARTS[part], {"after": after, "limit": limit})
        row = await cursor.fetchone()
        assert row is not None  # counts always make a row
        found = tuple(
            Difference(rule, subject[:_MOST_SUBJECT], problem[:_MOST_PROBLEM])
            for rule, subject, problem in row["differences"]
        )
        return Piece(row["count"], row["last"] if row["count"] >= limit else None, found)

    async def claim(self, *, interval: timedelta) -> bool:
        cursor = await self._connection.execute(_CLAIM, (_CURSOR, interval))
        return await cursor.fetchone() is not None

    async def keep(self, *, differences: int) -> None:
        await self._connection.execute(
            "UPDATE money_cursor SET position = %s WHERE name = %s", (differences, _CURSOR)
        )

    async def last(self) -> int | None:
        cursor = await self._connection.execute(
            "SELECT position FROM money_cursor WHERE name = %s AND position >= 0", (_CURSOR,)
        )
        row = await cursor.fetchone()
        return row["position"] if row else None


# Of replicas that ask at once one gets the row.
_CLAIM = """
INSERT INTO money_cursor AS known (name, position, time) VALUES (%s, -1, now())
ON CONFLICT (name) DO UPDATE SET time = now() WHERE known.time <= now() - %s::interval
RETURNING name
"""
