"""Top-ups, packs and receipts on PostgreSQL."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from generation_svc.domain.money import ClosedSales
from generation_svc.domain.top_up import Pack, Standing, TopUp, TopUpState
from generation_svc.storage.connection import Connection, Row
from generation_svc.storage.money import top_up_query as sql

TURN_LOCK = 0x5355_5450
"""The advisory lock under which the credits of a day are counted ("SUTP")."""
RECEIPT_LOCK = 0x5443_5052
"""The advisory lock under which receipts are numbered ("RPCT")."""

PATIENCE = timedelta(minutes=1)
"""How long an update of what Telegram lists is waited for before its owner is told without it."""


class PostgresTopUpStore:
    """The `TopUpStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def offer(self, packs: Sequence[Pack]) -> None:
        ids, credits_, stars = ([getattr(each, k) for each in packs] for k in sql.PACK_COLUMNS)
        await self._connection.execute(sql.OFFER, {"ids": ids, "credits": credits_, "stars": stars})

    async def offered(self, pack_id: str) -> Sequence[Pack]:
        cursor = await self._connection.execute(
            "SELECT id, credits, stars FROM pack WHERE id = %s ORDER BY time DESC", (pack_id,)
        )
        return [Pack(**row) for row in await cursor.fetchall()]

    async def standing(self, owner: str, *, caller: str) -> Standing:
        row = await self._one(sql.STANDING, {"owner": owner, "caller": caller})
        assert row is not None  # there always is one
        reason = row["closed_reason"]
        closed = reason and ClosedSales(reason, row["is_restored"], row["close_time"])
        return Standing(row["is_blocked"], closed, row["unconfirmed"])

    async def take_turn(self, caller: str) -> int:
        await self._connection.execute("SELECT pg_advisory_xact_lock(%s)", (TURN_LOCK,))
        row = await self._one(f"SELECT ({sql.UNCONFIRMED}) AS unconfirmed", {"caller": caller})
        return int(row["unconfirmed"]) if row else 0

    async def add(self, top_up: TopUp, *, is_untold: bool = False) -> bool:
        values = {name: getattr(top_up, name) for name in sql.ADDED}
        values |= {"is_untold": is_untold, "patience": PATIENCE}
        return await self._one(sql.ADD, values) is not None

    async def find(self, provider: str, external_id: str) -> TopUp | None:
        where = "top_up.provider = %(provider)s AND top_up.external_id = %(external_id)s"
        values = {"provider": provider, "external_id": external_id}
        return _top_up(await self._one(sql.SELECT.format(where=where), values))

    async def get(self, top_up_id: UUID) -> TopUp | None:
        return _top_up(
            await self._one(sql.SELECT.format(where="top_up.id = %(id)s"), {"id": top_up_id})
        )

    async def lock(self, top_up_id: UUID) -> TopUp | None:
        await self._connection.execute("SELECT FROM top_up WHERE id = %s FOR UPDATE", (top_up_id,))
        return await self.get(top_up_id)

    async def page(self, owner: str, *, after: UUID | None, limit: int) -> Sequence[TopUp]:
        values = {"owner": owner, "after": after, "limit": limit}
        cursor = await self._connection.execute(sql.PAGE, values)
        return [_from_row(row) for row in await cursor.fetchall()]

    async def begin_refund(
        self,
        top_up: TopUp,
        *,
        state: TopUpState,
        actor: str,
        reason: str,
        is_forced: bool,
        is_untold: bool,
    ) -> TopUp:
        values = {
            "id": top_up.id,
            "state": state,
            "actor": actor,
            "reason": reason,
            "is_forced": is_forced,
            "is_untold": is_untold,
            "patience": PATIENCE,
        }
        await self._connection.execute(sql.BEGIN_REFUND, values)
        return await self._known(top_up.id)

    async def end_refund(self, top_up: TopUp, *, state: TopUpState, error: str = "") -> TopUp:
        values = {"id": top_up.id, "state": state, "error": error or None}
        await self._connection.execute(sql.END_REFUND, values)
        return await self._known(top_up.id)

    async def return_again(self, top_up: TopUp) -> bool:
        return await self._one(sql.RETURN_AGAIN, {"id": top_up.id}) is not None

    async def end_return(self, top_up: TopUp, *, error: str = "") -> TopUp:
        await self._connection.execute(
            "UPDATE top_up SET is_due_again = false, refund_error = %s WHERE id = %s",
            (error or None, top_up.id),
        )
        return await self._known(top_up.id)

    async def lease_refunds(self, bot_id: int, *, span: timedelta, limit: int) -> Sequence[TopUp]:
        values = {"bot_id": bot_id, "span": span, "limit": limit}
        cursor = await self._connection.execute(sql.LEASE, values)
        return [_from_row(row) for row in await cursor.fetchall()]

    async def lease_untold(self, bot_id: int, *, span: timedelta, limit: int) -> Sequence[TopUp]:
        values = {"bot_id": bot_id, "span": span, "limit": limit}
        cursor = await self._connection.execute(sql.LEASE_UNTOLD, values)
        return [_from_row(row) for row in await cursor.fetchall()]

    async def told(self, top_up_id: UUID, *, state: TopUpState) -> None:
        await self._connection.execute(
            "UPDATE top_up SET tell_time = NULL WHERE id = %s AND state = %s", (top_up_id, state)
        )

    async def number_receipts(self, *, limit: int) -> int | None:
        lock = await self._one(
            "SELECT pg_try_advisory_xact_lock(%(lock)s) AS is_mine", {"lock": RECEIPT_LOCK}
        )
        if not lock or not lock["is_mine"]:
            return None
        # A statement of its own: its snapshot sees what the one before in the lock committed.
        row = await self._one(sql.NUMBER, {"limit": limit})
        return int(row["given"]) if row else 0

    async def _known(self, top_up_id: UUID) -> TopUp:
        found = await self.get(top_up_id)
        assert found is not None  # it is locked
        return found

    async def _one(self, statement: str, values: dict[str, Any]) -> Row | None:
        cursor = await self._connection.execute(statement.encode(), values)
        return await cursor.fetchone()


def _top_up(row: Row | None) -> TopUp | None:
    return _from_row(row) if row else None


def _from_row(row: Row) -> TopUp:
    same = {name: row[name] for name in sql.ADDED if name != "state"}
    return TopUp(
        **same,
        state=TopUpState(row["state"]),
        create_time=row["create_time"],
        refund_time=row["refund_time"],
        refund_count=row["refund_count"],
        is_refundable=row["is_refundable"],
        lease_token=row["lease_token"],
        is_due_again=row["is_due_again"],
        receipt=row["receipt"] or "",
        refund_receipt=row["refund_receipt"] or "",
    )
