"""The state of the money and the margins on PostgreSQL."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID, uuid4

from generation_svc.domain.epoch import RESTORED, KnownEpoch, Restored, StoredEpoch
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

    async def lock_epoch(self) -> KnownEpoch | None:
        await self._connection.execute("SELECT FROM money_state FOR UPDATE")
        # A statement of its own: its snapshot sees the transfers of those who had the lock.
        cursor = await self._connection.execute(_EPOCH)
        row = await cursor.fetchone()
        return _epoch(row) if row else None

    async def name_epoch(self, series: int) -> StoredEpoch:
        cursor = await self._connection.execute(
            "UPDATE money_state SET next_epoch = coalesce(next_epoch, gen_random_uuid()),"
            " receipt_series = %s"
            " RETURNING next_epoch, coalesce((SELECT max(id) FROM transfer), 0) AS transfer",
            (series,),
        )
        row = await cursor.fetchone()
        assert row is not None  # it is locked
        return StoredEpoch(row["next_epoch"], series, row["transfer"])

    async def begin_epoch(self, epoch: StoredEpoch) -> None:
        await self._connection.execute(
            "UPDATE money_state SET epoch = next_epoch, next_epoch = NULL, update_time = now(),"
            " epoch_transfer = %s WHERE next_epoch = %s",
            (epoch.transfer, epoch.epoch),
        )

    async def close_restored(self) -> None:
        await self._connection.execute(_CLOSE, (RESTORED,))

    async def end_recovery(self) -> None:
        await self._connection.execute(
            "UPDATE money_state SET restored = NULL, update_time = now(), sales_closed_reason ="
            " nullif(sales_closed_reason, %s)",
            (RESTORED,),
        )

    async def unknown_attempts(self, attempt_ids: Collection[UUID]) -> Collection[UUID]:
        cursor = await self._connection.execute(
            "SELECT id FROM attempt WHERE id = ANY (%s)", (list(attempt_ids),)
        )
        known = {row["id"] for row in await cursor.fetchall()}
        return set(attempt_ids) - known


# Transfers of a transaction that ends late may have a lower number; the next ones are noticed.
_EPOCH = """
SELECT *, coalesce((SELECT max(id) FROM transfer), 0) > coalesce(epoch_transfer, 0) AS has_moved
FROM money_state
"""
_CLOSE = """
UPDATE money_state SET sales_closed_reason = %s, restored = coalesce(restored, jsonb_build_object(
    'time', now(), 'balances', coalesce((SELECT jsonb_object_agg(provider || '/' || account,
        balance::text) FROM account_balance WHERE balance IS NOT NULL), '{}'::jsonb)))
"""


def _epoch(row: Row) -> KnownEpoch:
    restored = row["restored"]
    return KnownEpoch(
        epoch=row["epoch"],
        series=row["receipt_series"],
        next_epoch=row["next_epoch"],
        is_stored=row["epoch_transfer"] is not None,
        has_moved=row["has_moved"],
        restored=Restored(datetime.fromisoformat(restored["time"]), restored["balances"])
        if restored
        else None,
    )


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
