"""The state of the money and the margins on PostgreSQL."""

from collections.abc import Sequence
from uuid import uuid4

from generation_svc.domain.money import MarginRule, MarginScope, MoneyMode, MoneyState
from generation_svc.storage.connection import Connection, Row


class PostgresMoneyStore:
    """The `MoneyStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def state(self) -> MoneyState | None:
        cursor = await self._connection.execute("SELECT * FROM money_state WHERE name = 'money'")
        row = await cursor.fetchone()
        return _state(row) if row else None

    async def mark(self, mode: MoneyMode) -> MoneyState:
        await self._connection.execute(
            "INSERT INTO money_state (name, mode, epoch, create_time, update_time)"
            " VALUES ('money', %s, %s, now(), now()) ON CONFLICT DO NOTHING",
            (mode, uuid4()),
        )
        state = await self.state()
        assert state is not None  # it was written here or before
        return state

    async def set_sales(self, closed_reason: str | None) -> MoneyState:
        cursor = await self._connection.execute(
            "UPDATE money_state SET sales_closed_reason = %s, update_time = now()"
            " WHERE name = 'money' RETURNING *",
            (closed_reason,),
        )
        row = await cursor.fetchone()
        assert row is not None  # a process with money marked the database when it started
        return _state(row)

    async def margins(self) -> Sequence[MarginRule]:
        cursor = await self._connection.execute(
            "SELECT DISTINCT ON (scope, scope_id) * FROM margin_rule"
            " ORDER BY scope, scope_id, id DESC"
        )
        return [_rule(row) for row in await cursor.fetchall()]

    async def add_margin(self, rule: MarginRule) -> MarginRule:
        cursor = await self._connection.execute(
            "INSERT INTO margin_rule (scope, scope_id, margin, time, actor, reason)"
            " VALUES (%s, %s, %s, clock_timestamp(), %s, %s) RETURNING *",
            (rule.scope, rule.scope_id, rule.margin, rule.actor, rule.reason),
        )
        row = await cursor.fetchone()
        assert row is not None  # it was written just now
        return _rule(row)


def _state(row: Row) -> MoneyState:
    return MoneyState(
        mode=MoneyMode(row["mode"]),
        epoch=row["epoch"],
        sales_closed_reason=row["sales_closed_reason"],
        receipt_series=row["receipt_series"],
    )


def _rule(row: Row) -> MarginRule:
    return MarginRule(
        scope=MarginScope(row["scope"]),
        scope_id=row["scope_id"],
        margin=row["margin"],
        actor=row["actor"],
        reason=row["reason"],
        time=row["time"],
    )
