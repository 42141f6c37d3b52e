"""Star transactions, and how far they were read, on PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from generation_svc.domain.star import (
    StarDifference,
    StarDirection,
    StarPartner,
    StarState,
    StarTransaction,
)
from generation_svc.storage.connection import Connection, Row
from generation_svc.storage.money import star_query as sql

READINGS = 2
"""How often a list is read to its end until an order is carried out.

What an edge reported first it may have read before the order.
"""
GRACE = timedelta(hours=1)
"""How late Telegram may list what the ledger has."""


class PostgresStarStore:
    """The `StarStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def take_turn(self, bot_id: int) -> int:
        # An update that changes nothing locks the row, also one that was made just now.
        (row,) = await self._all(sql.TAKE_TURN, name=_name(bot_id))
        return int(row["position"])

    async def cursor(self, bot_id: int) -> int:
        rows = await self._all(
            "SELECT position FROM money_cursor WHERE name = %(name)s", name=_name(bot_id)
        )
        return int(rows[0]["position"]) if rows else 0

    async def set_cursor(self, bot_id: int, offset: int) -> None:
        await self._run(sql.SET_CURSOR, name=_name(bot_id), offset=offset)

    async def note_end(self, bot_id: int, *, time: datetime, is_ordered: bool) -> None:
        await self._run(sql.NOTE_END, name=_end(bot_id), time=time)
        if is_ordered:
            await self._run(sql.COUNT_DOWN, name=_order(bot_id))

    async def read_again(self, bots: Sequence[int] = ()) -> Sequence[int]:
        rows = await self._all(sql.BOTS, bots=list(bots))
        known = [int(row["bot_id"]) for row in rows]
        for bot_id in known:
            await self.set_cursor(bot_id, 0)
        return known

    async def order(self, bots: Sequence[int] = ()) -> Sequence[int]:
        known = await self.read_again(bots)
        for bot_id in known:
            await self._run(sql.SET_CURSOR, name=_order(bot_id), offset=READINGS)
        return known

    async def is_ordered(self, bot_id: int) -> bool:
        return bool(await self._all(sql.IS_ORDERED, name=_order(bot_id)))

    async def ordered(self) -> Sequence[int]:
        return [int(row["bot_id"]) for row in await self._all(sql.ORDERED)]

    async def unread(self, bots: Sequence[int], *, since: datetime) -> Sequence[int]:
        names = {_end(bot_id): bot_id for bot_id in bots}
        rows = await self._all(
            "SELECT name FROM money_cursor WHERE name = ANY (%(names)s) AND time > %(since)s",
            names=list(names),
            since=since,
        )
        read = {row["name"] for row in rows}
        return [bot_id for name, bot_id in names.items() if name not in read]

    async def find(
        self, bot_id: int, star_id: str, *, direction: StarDirection
    ) -> StarTransaction | None:
        rows = await self._all(sql.FIND, bot_id=bot_id, id=star_id, direction=direction)
        return _transaction(rows[0]) if rows else None

    async def lock(
        self, bot_id: int, star_id: str, *, direction: StarDirection
    ) -> StarTransaction | None:
        rows = await self._all(
            sql.FIND + "FOR UPDATE", bot_id=bot_id, id=star_id, direction=direction
        )
        return _transaction(rows[0]) if rows else None

    async def settle(
        self, transaction: StarTransaction, *, state: StarState, actor: str, reason: str
    ) -> None:
        await self._run(
            sql.SETTLE,
            **_key(transaction),
            settled_as=transaction.settled_as,
            state=state,
            actor=actor,
            reason=reason,
        )

    async def position(self, transaction: StarTransaction) -> int | None:
        rows = await self._all(
            "SELECT position FROM star_transaction WHERE (bot_id, id, direction)"
            " = (%(bot_id)s, %(id)s, %(direction)s)",
            **_key(transaction),
        )
        return rows[0]["position"] if rows else None

    async def keep(
        self, transactions: Sequence[StarTransaction], *, offset: int
    ) -> Sequence[StarTransaction]:
        rows = [_columns(each, offset + n) for n, each in enumerate(transactions)]
        kept = await self._all(sql.KEEP, rows=Jsonb(rows))
        return [_transaction(row) for row in sorted(kept, key=lambda row: int(row["position"]))]

    async def open(self, bot_id: int, *, limit: int) -> Sequence[StarTransaction]:
        rows = await self._all(sql.OPEN, bot_id=bot_id, limit=limit)
        return [_transaction(row) for row in rows]

    async def judge(
        self, transaction: StarTransaction, *, state: StarState, problem: str = ""
    ) -> None:
        await self._run(sql.JUDGE, **_key(transaction), state=state, problem=problem)

    async def has_come_back(self, failed: StarTransaction) -> bool:
        (row,) = await self._all(
            sql.CAME_BACK, bot_id=failed.bot_id, amount=failed.amount, nano=failed.nano
        )
        return bool(row["has_come_back"])

    async def attribute(
        self, stranger: StarTransaction, *, top_up_id: UUID | None = None
    ) -> UUID | None:
        rows = await self._all(
            sql.ATTRIBUTE, **_key(stranger), amount=stranger.amount, top_up_id=top_up_id
        )
        return rows[0]["top_up_id"] if rows else None

    async def differences(self, *, limit: int) -> Sequence[StarDifference]:
        rows = await self._all(sql.DIFFERENCES, limit=limit, grace=GRACE)
        return [StarDifference(_transaction(row), row["problem"]) for row in rows]

    async def balances(self) -> tuple[int, int]:
        (row,) = await self._all(sql.BALANCE)
        return int(row["booked"]), int(row["listed"])

    async def _all(self, statement: str, **values: Any) -> list[Row]:
        cursor = await self._connection.execute(statement.encode(), values)
        return await cursor.fetchall()

    async def _run(self, statement: str, **values: Any) -> None:
        await self._connection.execute(statement.encode(), values)


def _name(bot_id: int) -> str:
    return f"stars/{bot_id}"


def _order(bot_id: int) -> str:
    return f"stars_order/{bot_id}"


def _end(bot_id: int) -> str:
    return f"stars_end/{bot_id}"


def _key(transaction: StarTransaction) -> dict[str, Any]:
    return {name: getattr(transaction, name) for name in ("bot_id", "id", "direction")}


def _columns(each: StarTransaction, position: int) -> dict[str, Any]:
    return _key(each) | {
        "amount": each.amount,
        "nano": each.nano,
        "partner": each.partner,
        "time": each.time.isoformat(),
        "user_id": each.user_id,
        "transaction_type": each.transaction_type,
        "payload": each.payload or None,
        "document": dict(each.document),
        "position": position,
    }


def _transaction(row: Row) -> StarTransaction:
    return StarTransaction(
        bot_id=row["bot_id"],
        id=row["id"],
        direction=StarDirection(row["direction"]),
        amount=row["amount"],
        nano=row["nano"],
        time=row["time"],
        partner=StarPartner(row["partner"]),
        user_id=row["user_id"],
        transaction_type=row["transaction_type"],
        payload=row["payload"] or "",
        document=row["document"],
        state=StarState(row["state"]),
        problem=row["problem"],
        settled_as=row.get("settled_as") or "",
    )
