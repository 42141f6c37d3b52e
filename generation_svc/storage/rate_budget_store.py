"""Budgets of calls on PostgreSQL, shared by all replicas.

A budget of N calls per window is N rows. A call takes the row that was taken longest ago, and only
if that was a window ago: so no window, wherever it begins, holds more than N calls.
"""

from datetime import timedelta

from generation_svc.domain.account import Account
from generation_svc.domain.port.rate_budget import BudgetView
from generation_svc.storage.account import budget_name
from generation_svc.storage.connection import Connection

LEAST_WAIT = timedelta(milliseconds=20)
"""What to wait when every free row is being taken at this moment."""


class PostgresRateBudgetStore:
    """The `RateBudgetStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def look(
        self,
        budget: str,
        *,
        limit: int,
        window: timedelta,
        account: Account | None = None,
        ahead: int = 0,
    ) -> BudgetView:
        name = budget_name(budget, account)
        values = {"budget": name, "limit": limit, "window": window, "ahead": ahead}
        cursor = await self._connection.execute(_LOOK, values)
        row = await cursor.fetchone()
        assert row is not None  # it selects two numbers
        wait = row["wait"]  # none where all are spoken for; one ends now and then
        return BudgetView(free=row["free"], wait=window / limit if wait is None else wait)

    async def take(
        self, budget: str, *, limit: int, window: timedelta, account: Account | None = None
    ) -> timedelta:
        values = {"budget": budget_name(budget, account), "limit": limit, "window": window}
        taken = await self._connection.execute(_TAKE, values)
        if taken.rowcount:
            return timedelta(0)
        # Only when none was free: a budget's rows are missing once, and again when its limit grows.
        await self._connection.execute(_FILL, values)
        cursor = await self._connection.execute(_WAIT, values)
        row = await cursor.fetchone()
        # A wait of zero would be a busy loop: the row is free, but somebody is taking it right now.
        return max(row["wait"], LEAST_WAIT) if row else LEAST_WAIT

    async def delay(
        self, budget: str, *, window: timedelta, account: Account | None = None
    ) -> None:
        """Let a call that was taken within this window count from now.

        Whose it was does not matter: of several the one taken first is moved, so that what is left
        is never less than what was taken.
        """
        values = {"budget": budget_name(budget, account), "window": window}
        await self._connection.execute(_DELAY, values)


# A row that was never written is free.
_LOOK = """
WITH slot AS (
    SELECT greatest(interval '0', CASE WHEN isfinite(take_time)
        THEN take_time + %(window)s::interval - clock_timestamp() END) AS wait
    FROM generate_series(0, %(limit)s - 1) AS place
    LEFT JOIN budget_slot ON budget = %(budget)s AND position = place
)
SELECT (SELECT count(*) FROM slot WHERE wait = interval '0') AS free,
       (SELECT wait FROM slot ORDER BY wait OFFSET %(ahead)s LIMIT 1) AS wait
"""
# SKIP LOCKED: those who take at the same moment get different rows instead of waiting for one.
_TAKE = """
UPDATE budget_slot SET take_time = clock_timestamp()
WHERE budget = %(budget)s AND position = (
    SELECT position FROM budget_slot
    WHERE budget = %(budget)s AND position < %(limit)s
      AND take_time <= clock_timestamp() - %(window)s::interval
    ORDER BY take_time LIMIT 1 FOR UPDATE SKIP LOCKED)
"""
# The whole window is looked at: what a process says of when it took its call is older by the time
# that this statement was under way, and a row that is missed by a moment would not be moved at all.
_DELAY = """
UPDATE budget_slot SET take_time = clock_timestamp()
WHERE budget = %(budget)s AND position = (
    SELECT position FROM budget_slot
    WHERE budget = %(budget)s AND take_time > clock_timestamp() - %(window)s::interval
    ORDER BY take_time LIMIT 1 FOR UPDATE SKIP LOCKED)
"""
# Replicas may fill at the same moment; a row that is there already is left as it is.
_FILL = """
INSERT INTO budget_slot (budget, position, take_time)
SELECT %(budget)s, position, '-infinity' FROM generate_series(0, %(limit)s - 1) AS position
ON CONFLICT DO NOTHING
"""
# A row at -infinity was never taken. While there is one, nothing is to be waited for but its lock.
_WAIT = """
SELECT min(take_time) + %(window)s::interval - clock_timestamp() AS wait FROM budget_slot
WHERE budget = %(budget)s AND position < %(limit)s AND isfinite(take_time)
HAVING count(*) = %(limit)s
"""
