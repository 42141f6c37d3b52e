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
from generation_svc.domain.ledger import (
    MILLI,
    AccountKind,
    Currency,
    Delivered,
    Grant,
    Hold,
    HoldState,
    Transfer,
    TransferKind,
    Wallet,
)
from generation_svc.domain.port.ledger import EndedHold
from generation_svc.storage.attempt_state import is_live
from generation_svc.storage.connection import Connection, Row
from generation_svc.storage.daily_report import DAILY, daily_line
from generation_svc.storage.hold import END, LOWER

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
        return _wallet(row) if row else Wallet(owner)

    async def lock(self, owners: Sequence[str]) -> Mapping[str, Wallet]:
        cursor = await self._connection.execute(_LOCK, {"owners": sorted(set(owners))})
        return {row["owner"]: _wallet(row) for row in await cursor.fetchall()}

    async def block(self, owner: str, *, is_blocked: bool, reason: str) -> None:
        await self._connection.execute(
            "UPDATE wallet SET is_blocked = %s, block_reason = %s, update_time = now()"
            " WHERE owner = %s",
            (is_blocked, reason, owner),
        )

    async def note_grant(self, grant: Grant) -> tuple[Grant, bool]:
        cursor = await self._connection.execute(_NOTE_GRANT, asdict(grant))
        row = await cursor.fetchone()
        assert row is not None  # it was written here or before
        return _grant(row), row["is_new"]

    async def move(self, transfers: Sequence[Transfer]) -> int:
        rows = [_columns(each) | {"number": n} for n, each in enumerate(transfers)]
        cursor = await self._connection.execute(_MOVE, {"transfers": Jsonb(rows)})
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
        return [_transfer(row) for row in await cursor.fetchall()]

    async def statement(
        self, owner: str, *, start: datetime, end: datetime, limit: int
    ) -> tuple[int, Sequence[Transfer]]:
        asked = {"owner": owner, "start": start, "end": end, "limit": limit}
        cursor = await self._connection.execute(_STATEMENT, asked)
        found: list[Transfer] = []
        while rows := await cursor.fetchmany(_PIECE):
            found += map(_transfer, rows)
            await asyncio.sleep(0)  # thousands of rows at once would keep every other call waiting
        found.reverse()
        asked["first"] = found[0].id if found else None
        cursor = await self._connection.execute(_OPENING, asked)
        row = await cursor.fetchone()
        return (row["balance_after"] if row else 0), found

    async def find(self, cause: str) -> Sequence[Transfer]:
        cursor = await self._connection.execute(
            "SELECT * FROM transfer WHERE cause = %s ORDER BY id", (cause,)
        )
        return [_transfer(row) for row in await cursor.fetchall()]

    async def hold_of(self, job_id: UUID) -> Hold | None:
        cursor = await self._connection.execute("SELECT * FROM hold WHERE job_id = %s", (job_id,))
        row = await cursor.fetchone()
        return _hold(row) if row else None

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
        cursor = await self._connection.execute(_BOOK_COST, values)
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
        found = [_excess(row) for row in await cursor.fetchall()]
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
        cursor = await self._connection.execute(_OVER, values)
        return [EndedHold(**row) for row in await cursor.fetchall()]


# From number to number and not from time to time: a clock that was set back leaves no gap.
_STATEMENT = """
SELECT * FROM transfer WHERE owner = %(owner)s
    AND id >= (SELECT min(id) FROM transfer WHERE owner = %(owner)s
        AND time >= %(start)s AND time < %(end)s)
    AND id <= (SELECT max(id) FROM transfer WHERE owner = %(owner)s
        AND time >= %(start)s AND time < %(end)s)
ORDER BY id DESC LIMIT %(limit)s
"""
_OPENING = """
SELECT balance_after FROM transfer WHERE owner = %(owner)s AND CASE
    WHEN %(first)s::bigint IS NULL THEN time < %(start)s ELSE id < %(first)s::bigint END
ORDER BY id DESC LIMIT 1
"""
# An update of nothing, since it locks and reads what was there, and one statement is enough. In the
# order of the names, as everybody locks several.
_LOCK = """
INSERT INTO wallet (owner, update_time) SELECT owner, now() FROM unnest(%(owners)s::text[])
    AS given (owner) ORDER BY owner
ON CONFLICT (owner) DO UPDATE SET update_time = wallet.update_time RETURNING *
"""
# An update of nothing, since it waits for whoever is writing the row, and reads what was written.
_NOTE_GRANT = """
INSERT INTO credit_grant (id, owner, credits, actor, reason, time)
VALUES (%(id)s, %(owner)s, %(credits)s, %(actor)s, %(reason)s, now())
ON CONFLICT (id) DO UPDATE SET id = excluded.id RETURNING *, xmax = 0 AS is_new
"""
# A debt is what an account below zero lacks.
_MOVE = f"""
WITH given AS (
    SELECT given.*, sum(change) OVER (PARTITION BY owner ORDER BY number) AS change_so_far
    FROM jsonb_to_recordset(%(transfers)s) AS given (number int, currency text, amount bigint,
        source text, target text, owner text, change bigint, kind text, cause text, actor text,
        reason text, detail jsonb)
    WHERE NOT EXISTS (SELECT FROM transfer WHERE transfer.cause = given.cause
        AND transfer.kind = given.kind AND transfer.source = given.source
        AND transfer.target = given.target)
), moved AS (
    INSERT INTO transfer (time, currency, amount, source, target, owner, balance_after, kind, cause,
        actor, reason, detail)
    SELECT clock_timestamp(), currency, amount, source, target, given.owner,
        wallet.balance + change_so_far, kind, cause, actor, reason, detail
    FROM given LEFT JOIN LATERAL (SELECT granted + paid AS balance FROM wallet
        WHERE wallet.owner = given.owner LIMIT 1) AS wallet ON true ORDER BY number
    ON CONFLICT DO NOTHING RETURNING currency, amount, source, target, owner
), change AS (
    SELECT owner, account, sum(amount)::bigint AS amount FROM (
        SELECT owner, target AS account, amount, currency FROM moved UNION ALL
        SELECT owner, source, -amount, currency FROM moved) AS entry
    WHERE owner IS NOT NULL AND currency = '{Currency.CREDIT}' GROUP BY owner, account
), total AS (
    SELECT owner, {
    ", ".join(
        f"coalesce(sum(amount) FILTER (WHERE account = '{kind}'), 0)::bigint AS {kind}"
        for kind in ("granted", "paid", "held", "debt")
    )
} FROM change GROUP BY owner
), changed AS (
    UPDATE wallet SET granted = wallet.granted + total.granted, paid = wallet.paid + total.paid,
        held = wallet.held + total.held, debt = wallet.debt - total.debt, update_time = now()
    FROM total WHERE wallet.owner = total.owner
        AND wallet.owner = ANY (ARRAY(SELECT owner FROM total))
)
SELECT count(*) AS written FROM moved
"""
# With the model, since the attempt and its job are forgotten after some weeks.
_BOOK_COST = f"""
INSERT INTO transfer (time, currency, amount, source, target, kind, cause, actor, reason, detail)
SELECT clock_timestamp(), '{Currency.KIE_MILLI}', %(amount)s, '{AccountKind.PROVIDER}',
    CASE WHEN %(is_success)s AND hold.state = '{HoldState.RELEASED}'
        THEN '{AccountKind.LATE_RESULTS}' ELSE '{AccountKind.PROVIDER_COST}' END,
    '{TransferKind.PROVIDER_COST}', attempt.id::text, 'service', '',
    jsonb_build_object('model_id', job.model_id, 'is_free', job.is_free)
FROM attempt JOIN job ON job.id = attempt.job_id LEFT JOIN hold ON hold.job_id = attempt.job_id
WHERE attempt.id = %(id)s AND NOT EXISTS (SELECT FROM transfer
    WHERE cause = %(id)s::text AND kind = '{TransferKind.PROVIDER_COST}')
ON CONFLICT DO NOTHING
"""
_OVER = f"""
SELECT job_id, create_time, EXISTS (SELECT FROM attempt WHERE attempt.job_id = found.job_id
    AND attempt.state = 'settled') AS is_stored
FROM (SELECT job_id, create_time FROM hold
    WHERE state = '{HoldState.OPEN}' AND (create_time, job_id) > (%(time)s, %(job_id)s)
    ORDER BY create_time, job_id) AS found
WHERE NOT EXISTS (SELECT FROM attempt WHERE attempt.job_id = found.job_id
        AND {is_live("attempt.state")})
    AND NOT EXISTS (SELECT FROM job WHERE job.id = found.job_id
        AND job.state IN ('queued', 'running'))
ORDER BY create_time, job_id LIMIT %(limit)s
"""


def _worth(job_id: UUID, delivered: Delivered) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "count": delivered.count,
        "missing": delivered.missing,
        "cost": delivered.measured_cost,
    }


def _columns(transfer: Transfer) -> dict[str, Any]:
    return {
        "currency": transfer.currency,
        "amount": transfer.amount,
        "source": transfer.source,
        "target": transfer.target,
        "owner": transfer.owner,
        "change": transfer.change,
        "kind": transfer.kind,
        "cause": transfer.cause,
        "actor": transfer.actor,
        "reason": transfer.reason,
        "detail": dict(transfer.detail),
    }


def _transfer(row: Row) -> Transfer:
    return Transfer(
        id=row["id"],
        time=row["time"],
        kind=TransferKind(row["kind"]),
        source=AccountKind(row["source"]),
        target=AccountKind(row["target"]),
        amount=row["amount"],
        currency=Currency(row["currency"]),
        owner=row["owner"],
        cause=row["cause"],
        actor=row["actor"],
        reason=row["reason"],
        detail=row["detail"],
        balance_after=row["balance_after"],
    )


def _excess(row: Row) -> CostExcess:
    return CostExcess(
        attempt_id=row["attempt_id"],
        model_id=row["model_id"],
        quoted=row["quoted"],
        taken=row["taken"],
    )


def _wallet(row: Row) -> Wallet:
    return Wallet(
        owner=row["owner"],
        granted=row["granted"],
        paid=row["paid"],
        held=row["held"],
        debt=row["debt"],
        is_blocked=row["is_blocked"],
        block_reason=row["block_reason"],
        lent=row["lent"],
        lent_month=row["lent_month"],
    )


def _grant(row: Row) -> Grant:
    return Grant(
        id=row["id"],
        owner=row["owner"],
        credits=row["credits"],
        actor=row["actor"],
        reason=row["reason"],
    )


def _hold(row: Row) -> Hold:
    return Hold(
        job_id=row["job_id"],
        owner=row["owner"],
        model_id=row["model_id"],
        granted=row["granted"],
        paid=row["paid"],
        margin=row["margin"],
        promised=row["promised"],
        state=HoldState(row["state"]),
        captured=row["captured"],
        lent=row["lent"],
    )
