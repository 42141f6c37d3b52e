"""The state of the money and the margins on PostgreSQL."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

from generation_svc.domain.attempt import AttemptState
from generation_svc.domain.daily_cap import DailyCost
from generation_svc.domain.identifier import first_id
from generation_svc.domain.money import MarginRule, MarginScope, MoneyMode, MoneyState
from generation_svc.storage.attempt_state import is_live
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

    async def set_sales(self, closed_reason: str | None) -> MoneyState | None:
        cursor = await self._connection.execute(
            "UPDATE money_state SET sales_closed_reason = %(reason)s, update_time = now(),"
            # Whoever says otherwise why they are closed does not close them anew.
            " sales_close_time = CASE WHEN %(reason)s::text IS NULL THEN NULL"
            " WHEN sales_closed_reason IS NULL THEN now() ELSE sales_close_time END"
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


def _state(row: Row) -> MoneyState:
    return MoneyState(
        mode=MoneyMode(row["mode"]),
        sales_closed_reason=row["sales_closed_reason"],
        is_restored=row["restored"] is not None,
        sales_close_time=row["sales_close_time"],
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
