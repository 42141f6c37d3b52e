"""The ledger on PostgreSQL."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from generation_svc.domain.cost_excess import CostExcess
from generation_svc.domain.daily_report import DailyLine
from generation_svc.domain.ledger import MILLI, Delivered, Grant, Transfer, Wallet
from generation_svc.domain.port.ledger import EndedHold
from generation_svc.storage.connection import Connection
from generation_svc.storage.money import ledger_query as sql
from generation_svc.storage.money.daily_report import DAILY, daily_line
from generation_svc.storage.money.hold import END, LOWER
from generation_svc.storage.money.ledger_row import (
    excess_from_row,
    grant_from_row,
    transfer_columns,
    transfer_from_row,
    wallet_from_row,
)

_NOTHING = Delivered(0)
_PIECE = 100
"""How many of many rows are turned into transfers at a time."""


class PostgresLedgerStore:
    """The `LedgerStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def wallet(self, owner: str) -> Wallet:
        cursor = await self._connection.execute("SELECT * FROM wallet WHERE owner = %s", (owner,))
        row = await cursor.fetchone()
        return wallet_from_row(row) if row else Wallet(owner)

    async def lock(self, owners: Sequence[str]) -> Mapping[str, Wallet]:
        cursor = await self._connection.execute(sql.LOCK, {"owners": sorted(set(owners))})
        return {row["owner"]: wallet_from_row(row) for row in await cursor.fetchall()}

    async def block(self, owner: str, *, is_blocked: bool, reason: str) -> None:
        await self._connection.execute(
            "UPDATE wallet SET is_blocked = %s, block_reason = %s, update_time = now()"
            " WHERE owner = %s",
            (is_blocked, reason, owner),
        )

    async def note_grant(self, grant: Grant) -> tuple[Grant, bool]:
        cursor = await self._connection.execute(sql.NOTE_GRANT, asdict(grant))
        row = await cursor.fetchone()
        assert row is not None  # it was written here or before
        return grant_from_row(row), row["is_new"]

    async def move(self, transfers: Sequence[Transfer]) -> int:
        rows = [transfer_columns(each) | {"number": n} for n, each in enumerate(transfers)]
        cursor = await self._connection.execute(sql.MOVE, {"transfers": Jsonb(rows)})
        row = await cursor.fetchone()
        return row["written"] if row else 0

    async def transfers(
        self, owner: str, *, before: int | None = None, limit: int
    ) -> Sequence[Transfer]:
        cursor = await self._connection.execute(
            "SELECT * FROM transfer WHERE owner = %s AND id < coalesce(%s::bigint, 1::bigint << 62)"
            " ORDER BY id DESC LIMIT %s",
            (owner, before, limit),
        )
        return [transfer_from_row(row) for row in await cursor.fetchall()]

    async def statement(
        self, owner: str, *, start: datetime, end: datetime, limit: int
    ) -> tuple[int, Sequence[Transfer]]:
        asked = {"owner": owner, "start": start, "end": end, "limit": limit}
        cursor = await self._connection.execute(sql.STATEMENT, asked)
        found: list[Transfer] = []
        while rows := await cursor.fetchmany(_PIECE):
            found += map(transfer_from_row, rows)
            await asyncio.sleep(0)  # thousands of rows at once would keep every other call waiting
        found.reverse()
        asked["first"] = found[0].id if found else None
        cursor = await self._connection.execute(sql.OPENING, asked)
        row = await cursor.fetchone()
        return (row["balance_after"] if row else 0), found

    async def find(self, cause: str) -> Sequence[Transfer]:
        cursor = await self._connection.execute(
            "SELECT * FROM transfer WHERE cause = %s ORDER BY id", (cause,)
        )
        return [transfer_from_row(row) for row in await cursor.fetchall()]

    async def capture(self, job_id: UUID, delivered: Delivered) -> int | None:
        return await self._end(job_id, delivered, is_over=True)

    async def release(self, job_id: UUID, *, is_over: bool = True) -> bool:
        return await self._end(job_id, _NOTHING, is_over=is_over) is not None

    async def lower(self, job_id: UUID, delivered: Delivered) -> int | None:
        return await self._captured(LOWER, _worth(job_id, delivered))

    async def _end(self, job_id: UUID, delivered: Delivered, *, is_over: bool) -> int | None:
        return await self._captured(END, _worth(job_id, delivered) | {"is_over": is_over})

    async def _captured(self, statement: str, values: dict[str, Any]) -> int | None:
        row = await (await self._connection.execute(statement.encode(), values)).fetchone()
        return row["captured"] if row else None

    async def book_cost(self, attempt_id: UUID, cost: Decimal, *, is_success: bool) -> bool:
        amount = int((cost * MILLI).to_integral_value(ROUND_HALF_UP))
        if amount <= 0:
            return False
        values = {"id": attempt_id, "amount": amount, "is_success": is_success}
        cursor = await self._connection.execute(sql.BOOK_COST, values)
        return cursor.rowcount > 0

    async def note_excess(self, excess: CostExcess) -> None:
        await self._connection.execute(
            "INSERT INTO cost_excess (attempt_id, model_id, quoted, taken, time)"
            " VALUES (%s, %s, %s, %s, now()) ON CONFLICT DO NOTHING",
            (excess.attempt_id, excess.model_id, excess.quoted, excess.taken),
        )

    async def dear_models(self) -> Sequence[str]:
        cursor = await self._connection.execute(
            "SELECT DISTINCT model_id FROM cost_excess ORDER BY model_id"
        )
        return [row["model_id"] for row in await cursor.fetchall()]

    async def take_excess(self, model_id: str) -> CostExcess | None:
        cursor = await self._connection.execute(
            "DELETE FROM cost_excess WHERE model_id = %s RETURNING *", (model_id,)
        )
        found = [excess_from_row(row) for row in await cursor.fetchall()]
        return max(found, key=lambda each: each.taken - each.quoted, default=None)

    async def daily_lines(
        self, *, start: datetime, end: datetime, limit: int
    ) -> Sequence[DailyLine]:
        values = {"start": start, "end": end, "limit": limit}
        cursor = await self._connection.execute(DAILY, values)
        return [daily_line(row) for row in await cursor.fetchall()]

    async def over(self, *, after: EndedHold | None = None, limit: int) -> Sequence[EndedHold]:
        values = {
            "time": after.create_time if after else datetime.min.replace(tzinfo=UTC),
            "job_id": after.job_id if after else UUID(int=0),
            "limit": limit,
        }
        cursor = await self._connection.execute(sql.OVER, values)
        return [EndedHold(**row) for row in await cursor.fetchall()]


def _worth(job_id: UUID, delivered: Delivered) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "count": delivered.count,
        "missing": delivered.missing,
        "cost": delivered.measured_cost,
    }
