"""Balances of an earlier bot on PostgreSQL."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from psycopg.types.json import Jsonb

from generation_svc.domain.imported_balance import (
    MAX_ROUNDS,
    ImportRow,
    ImportState,
    Key,
    KnownImport,
)
from generation_svc.domain.ledger import TransferKind
from generation_svc.storage.connection import Connection, Row

TURN_LOCK = 0x494D_504F
"""The advisory lock under which balances are imported and undone ("IMPO")."""


class PostgresWalletImportStore:
    """The `WalletImportStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def take_turn(self) -> None:
        await self._connection.execute("SELECT pg_advisory_xact_lock(%s)", (TURN_LOCK,))

    async def known(self, keys: Sequence[Key]) -> Mapping[Key, KnownImport]:
        cursor = await self._connection.execute(_KNOWN, _columns(keys))
        found = [_known(row) for row in await cursor.fetchall()]
        return {each.row.key: each for each in found}

    async def add(self, rows: Sequence[ImportRow], *, batch: UUID, actor: str) -> None:
        given = [
            {"source": r.source, "user_id": r.user_id, "owner": r.owner, "credits": r.credits}
            for r in rows
        ]
        values = {"rows": Jsonb(given), "batch": batch, "actor": actor}
        await self._connection.execute(_ADD, values)

    async def of_batch(
        self, batch: UUID, *, after: Key | None, limit: int
    ) -> Sequence[KnownImport]:
        source, user_id = after or ("", "")
        values = {"batch": batch, "source": source, "user_id": user_id, "limit": limit}
        cursor = await self._connection.execute(_OF_BATCH, values)
        return [_known(row) for row in await cursor.fetchall()]

    async def undo(self, keys: Sequence[Key]) -> None:
        await self._connection.execute(_UNDO, _columns(keys))


# How often a balance was undone is told by the transfers, which nobody changes.
_ROUND = f"""
(SELECT count(*) FROM transfer WHERE kind = '{TransferKind.IMPORT_UNDO}' AND cause = ANY (ARRAY(
    SELECT known.source || '/' || known.user_id || CASE number WHEN 1 THEN '' ELSE '/' || number END
    FROM generate_series(1, {MAX_ROUNDS}) AS number)))
    + CASE state WHEN '{ImportState.IMPORTED}' THEN 1 ELSE 0 END AS round
"""
_KEYS = "(SELECT * FROM unnest(%(sources)s::text[], %(user_ids)s::text[]))"
_KNOWN = f"""
SELECT known.*, {_ROUND} FROM wallet_import AS known WHERE (source, user_id) IN {_KEYS}
"""
_ADD = f"""
INSERT INTO wallet_import AS known
    (source, user_id, batch, owner, credits, state, actor, create_time)
SELECT source, user_id, %(batch)s, owner, credits, '{ImportState.IMPORTED}', %(actor)s, now()
FROM jsonb_to_recordset(%(rows)s) AS given (source text, user_id text, owner text, credits bigint)
ON CONFLICT (source, user_id) DO UPDATE SET batch = EXCLUDED.batch, owner = EXCLUDED.owner,
    credits = EXCLUDED.credits, state = EXCLUDED.state, actor = EXCLUDED.actor,
    create_time = EXCLUDED.create_time, undo_time = NULL
WHERE known.state = '{ImportState.UNDONE}'
"""
_OF_BATCH = f"""
SELECT known.*, {_ROUND} FROM wallet_import AS known
WHERE batch = %(batch)s AND state = '{ImportState.IMPORTED}'
    AND (source, user_id) > (%(source)s::text, %(user_id)s::text)
ORDER BY source, user_id LIMIT %(limit)s
"""
_UNDO = f"""
UPDATE wallet_import SET state = '{ImportState.UNDONE}', undo_time = now()
WHERE (source, user_id) IN {_KEYS}
"""


def _columns(keys: Sequence[Key]) -> dict[str, list[str]]:
    return {"sources": [key[0] for key in keys], "user_ids": [key[1] for key in keys]}


def _known(row: Row) -> KnownImport:
    return KnownImport(
        ImportRow(row["source"], row["user_id"], row["owner"], row["credits"]),
        batch=row["batch"],
        state=ImportState(row["state"]),
        round=row["round"],
    )
