"""The state of the money and the margins on PostgreSQL."""

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from generation_svc.domain.attempt import AttemptState
from generation_svc.domain.daily_cap import DailyCost
from generation_svc.domain.epoch import KnownEpoch, Restored, StoredEpoch
from generation_svc.domain.identifier import first_id
from generation_svc.domain.money import MarginRule, MarginScope, MoneyMode, MoneyState
from generation_svc.storage.attempt_state import is_live
from generation_svc.storage.connection import Connection, Row
from generation_svc.storage.dispatch_store import CLAIM_LOCK


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

    async def set_sales(self, closed_reason: str | None) -> MoneyState | None:
        cursor = await self._connection.execute(
            "UPDATE money_state SET sales_closed_reason = %(reason)s, update_time = now()"
            " WHERE name = 'money' AND (restored IS NULL OR %(reason)s::text IS NOT NULL)"
            " RETURNING *",
            {"reason": closed_reason},
        )
        row = await cursor.fetchone()
        return _state(row) if row else None

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

    async def daily_cost(self, day: datetime) -> DailyCost:
        cursor = await self._connection.execute(_DAILY_COST, {"first_id": first_id(day)})
        row = await cursor.fetchone()
        assert row is not None  # sums always make a row
        return DailyCost(day.date(), row["free"], row["overall"])

    async def open_cost(self, *, within: timedelta) -> Decimal:
        cursor = await self._connection.execute(_OPEN_COST, {"within": within})
        row = await cursor.fetchone()
        assert row is not None  # sums always make a row
        cost: Decimal = row["cost"]
        return cost

    async def claim_day(self, name: str, *, day: date) -> bool:
        cursor = await self._connection.execute(
            "INSERT INTO money_cursor AS known (name, position, time) VALUES (%s, %s, now())"
            " ON CONFLICT (name) DO UPDATE SET position = excluded.position, time = now()"
            " WHERE known.position < excluded.position",
            (name, day.toordinal()),
        )
        return cursor.rowcount == 1

    async def lock_epoch(self) -> KnownEpoch | None:
        await self._connection.execute("SELECT FROM money_state FOR UPDATE")
        # A statement of its own: its snapshot sees the transfers of those who had the lock.
        return await self.epoch()

    async def epoch(self) -> KnownEpoch | None:
        cursor = await self._connection.execute(_EPOCH)
        row = await cursor.fetchone()
        return _epoch(row) if row else None

    async def name_epoch(self, series: int) -> StoredEpoch:
        cursor = await self._connection.execute(
            "UPDATE money_state SET next_epoch = coalesce(next_epoch, gen_random_uuid()),"
            " receipt_series = %s"
            " RETURNING next_epoch, coalesce((SELECT max(id) FROM transfer), 0) AS transfer,"
            " create_time",
            (series,),
        )
        row = await cursor.fetchone()
        assert row is not None  # it is locked
        return StoredEpoch(row["next_epoch"], series, row["transfer"], _origin(row))

    async def begin_epoch(self, epoch: StoredEpoch) -> None:
        await self._connection.execute(
            "UPDATE money_state SET epoch = next_epoch, next_epoch = NULL, update_time = now(),"
            " epoch_transfer = %s WHERE next_epoch = %s",
            (epoch.transfer, epoch.epoch),
        )

    async def close_restored(self, reason: str) -> None:
        cursor = await self._connection.execute(_CLOSE, {"reason": reason})
        if cursor.rowcount:
            # Claimers take turns by this lock, so that none is at its jobs.
            await self._connection.execute("SELECT pg_advisory_xact_lock(%s)", (CLAIM_LOCK,))
            await self._connection.execute(_HOLD_QUEUE)
            await self._connection.execute(_DOUBT_DELIVERIES)

    async def end_recovery(self) -> None:
        await self._connection.execute(
            "UPDATE money_state SET restored = NULL, update_time = now(), sales_closed_reason ="
            " nullif(sales_closed_reason, restored ->> 'reason')"
        )

    async def queued_at_restore(self, *, limit: int) -> Sequence[UUID]:
        cursor = await self._connection.execute(_QUEUED_AT_RESTORE, (limit,))
        return [row["id"] for row in await cursor.fetchall()]

    async def unknown_attempts(self, attempt_ids: Collection[UUID]) -> Collection[UUID]:
        cursor = await self._connection.execute(
            "SELECT id FROM attempt WHERE id = ANY (%s)", (list(attempt_ids),)
        )
        known = {row["id"] for row in await cursor.fetchall()}
        return set(attempt_ids) - known


# Ids of jobs begin with the time, so that the primary key finds those of a day. What a task took is
# known from its attempt, where nothing is sold as well; until it is told, it is what was quoted.
_DAILY_COST = f"""
SELECT coalesce(sum(cost), 0) AS overall,
    coalesce(sum(cost) FILTER (WHERE is_free), 0) AS free
FROM job, LATERAL (
    SELECT coalesce(sum(attempt.cost), 0) + CASE
        WHEN job.state = 'queued' OR bool_or(attempt.cost IS NULL
            AND ({is_live("attempt.state")} OR attempt.state = '{AttemptState.SETTLED}'))
        THEN coalesce(job.quoted_cost, 0) ELSE 0 END AS cost
    FROM attempt WHERE attempt.job_id = job.id) AS known
WHERE job.id >= %(first_id)s
"""
# The provider takes its price when it takes a job, so a balance that was told later shows it.
_OPEN_COST = f"""
SELECT coalesce((SELECT sum(quoted_cost) FROM job WHERE state = 'queued'), 0) + coalesce((
    SELECT sum(job.quoted_cost) FROM attempt JOIN job ON job.id = attempt.job_id
    WHERE {is_live("attempt.state")} AND job.state = 'running' AND attempt.submit_time > (
        SELECT min(balance_time) FROM account_balance
        WHERE balance_time > now() - %(within)s::interval)), 0) AS cost
"""
# Transfers of a transaction that ends late may have a lower number; the next ones are noticed.
_EPOCH = """
SELECT *, coalesce((SELECT max(id) FROM transfer), 0) > coalesce(epoch_transfer, 0) AS has_moved
FROM money_state
"""
# It is noted once, with what the database said then. Whoever closed sales before keeps them closed.
_CLOSE = """
UPDATE money_state SET sales_closed_reason = coalesce(sales_closed_reason, %(reason)s),
    restored = jsonb_build_object('time', clock_timestamp(), 'reason', %(reason)s::text,
    'balances', coalesce((SELECT jsonb_object_agg(provider || '/' || account,
        balance::text) FROM account_balance WHERE balance IS NOT NULL), '{}'::jsonb))
WHERE restored IS NULL
"""
# Nobody knows which of them were sent since the backup. They are put off until it is too late for
# them, as jobs are that wait for nothing but an earlier answer; whoever holds a claim has lost it.
_HOLD_QUEUE = """
UPDATE job SET dispatch_time = start_deadline_time, claim_token = NULL, claim_account = NULL
WHERE id IN (SELECT id FROM job WHERE state = 'queued' ORDER BY id FOR NO KEY UPDATE)
"""
# What was on its way may have arrived since the backup: it becomes no new message.
_DOUBT_DELIVERIES = """
UPDATE delivery SET maybe_sent = true WHERE kind = 'outcome' AND id IN (SELECT id FROM delivery
    WHERE state IN ('pending', 'leased', 'begun') ORDER BY id FOR NO KEY UPDATE)
"""
_QUEUED_AT_RESTORE = """
SELECT id FROM job WHERE state = 'queued' AND create_time < (
    SELECT (restored ->> 'time')::timestamptz FROM money_state) LIMIT %s
"""


def _epoch(row: Row) -> KnownEpoch:
    restored = row["restored"]
    return KnownEpoch(
        epoch=row["epoch"],
        series=row["receipt_series"],
        next_epoch=row["next_epoch"],
        is_stored=row["epoch_transfer"] is not None,
        has_moved=row["has_moved"],
        restored=_restored(restored) if restored else None,
        origin=_origin(row),
        transfer=row["epoch_transfer"] or 0,
    )


def _restored(document: dict[str, Any]) -> Restored:
    time = datetime.fromisoformat(document["time"])
    return Restored(time, document["balances"], document["reason"])


def _origin(row: Row) -> str:
    time: datetime = row["create_time"]
    return time.astimezone(UTC).isoformat()


def _state(row: Row) -> MoneyState:
    return MoneyState(
        mode=MoneyMode(row["mode"]),
        epoch=row["epoch"],
        sales_closed_reason=row["sales_closed_reason"],
        receipt_series=row["receipt_series"],
        is_restored=row["restored"] is not None,
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
