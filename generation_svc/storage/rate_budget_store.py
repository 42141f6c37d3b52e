"""Budgets of calls on PostgreSQL, shared by all replicas.

A budget of N calls per window is N rows. A call takes the row that was taken longest ago, and only
if that was a window ago: so no window, wherever it begins, holds more than N calls.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta

from generation_svc.domain.account import Account
from generation_svc.storage.account import budget_name
from generation_svc.storage.connection import Connection

LEAST_WAIT = timedelta(milliseconds=20)
"""What to wait when every free row is being taken at this moment."""
DELAY_LOCK = 0x4445_4C41
"""The class of the advisory locks under which the late calls of a budget are moved."""


class PostgresRateBudgetStore:
    """The `RateBudgetStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def take(
        self, budget: str, *, limit: int, window: timedelta, account: Account | None = None
    ) -> timedelta:
        values = {"budget": budget_name(budget, account), "limit": limit, "window": window}
        taken = await self._connection.execute(_TAKE, values)
        if taken.rowcount:
            return timedelta(0)
        # Only when none was free.
        await self._connection.execute(_FILL, {"budgets": [values["budget"]], "limit": limit})
        cursor = await self._connection.execute(_WAIT, values)
        row = await cursor.fetchone()
        # A wait of zero would be a busy loop: the row is free, but somebody is taking it right now.
        return max(row["wait"], LEAST_WAIT) if row else LEAST_WAIT

    async def take_several(
        self, budget: str, *, calls: Mapping[Account, int], limit: int, window: timedelta
    ) -> Mapping[Account, int]:
        taken = await self._take_free(budget, Counter(calls), limit=limit, window=window)
        left = Counter(calls) - taken
        if left:
            await self._fill(budget, left, limit=limit)
            taken += await self._take_free(budget, left, limit=limit, window=window)
        return taken

    async def _take_free(
        self, budget: str, calls: Counter[Account], *, limit: int, window: timedelta
    ) -> Counter[Account]:
        names = {budget_name(budget, account): account for account in calls}
        values = {"budgets": list(names), "calls": list(calls.values())}
        cursor = await self._connection.execute(
            _TAKE_SEVERAL, {**values, "limit": limit, "window": window}
        )
        return Counter(names[row["budget"]] for row in await cursor.fetchall())

    async def _fill(self, budget: str, accounts: Iterable[Account], *, limit: int) -> None:
        """Write rows that are missing: once, and again when the limit grows."""
        names = [budget_name(budget, account) for account in accounts]
        await self._connection.execute(_FILL, {"budgets": names, "limit": limit})

    async def delay(
        self, budget: str, *, window: timedelta, account: Account | None = None
    ) -> None:
        """Let a call that was taken within this window count from now.

        Whose it was does not matter: of several the one taken first is moved, so that what is left
        is never less than what was taken.
        """
        values = {"budget": budget_name(budget, account), "window": window}
        # One after the other, for the calls of a batch are late together: two that look at the same
        # moment would move the same row, and a call would be lost.
        await self._connection.execute(_TAKE_TURN, (DELAY_LOCK, values["budget"]))
        await self._connection.execute(_DELAY, values)


# SKIP LOCKED: those who take at the same moment get different rows instead of waiting for one.
_TAKE = """
UPDATE budget_slot SET take_time = clock_timestamp()
WHERE budget = %(budget)s AND position = (
    SELECT position FROM budget_slot
    WHERE budget = %(budget)s AND position < %(limit)s
      AND take_time <= clock_timestamp() - %(window)s::interval
    ORDER BY take_time LIMIT 1 FOR UPDATE SKIP LOCKED)
"""
# The rows are locked where they are chosen, before the update: there the planner could run the
# subquery more than once, and lock more of them.
_TAKE_SEVERAL = """
WITH free AS MATERIALIZED (
    SELECT wanted.budget, slot.position
    FROM unnest(%(budgets)s::text[], %(calls)s::int[]) AS wanted (budget, calls),
    LATERAL (SELECT position FROM budget_slot AS s
             WHERE s.budget = wanted.budget AND position < %(limit)s
               AND take_time <= clock_timestamp() - %(window)s::interval
             ORDER BY take_time LIMIT wanted.calls FOR UPDATE SKIP LOCKED) AS slot)
UPDATE budget_slot SET take_time = clock_timestamp() FROM free
WHERE budget_slot.budget = free.budget AND budget_slot.position = free.position
RETURNING budget_slot.budget
"""
_TAKE_TURN = "SELECT pg_advisory_xact_lock(%s, hashtext(%s))"
# The whole window is looked at: what a process says of when it took its call is older by the time
# that this statement was under way, and a row that is missed by a moment would not be moved at all.
_DELAY = """
UPDATE budget_slot SET take_time = clock_timestamp()
WHERE budget = %(budget)s AND position = (
    SELECT position FROM budget_slot
    WHERE budget = %(budget)s AND take_time > clock_timestamp() - %(window)s::interval
    ORDER BY take_time LIMIT 1 FOR UPDATE SKIP LOCKED)
"""
# Replicas may fill at the same moment; a row that is there already is left as it is. One that can
# be seen is not tried at all: while somebody takes it, a conflict with it would have to wait.
_FILL = """
INSERT INTO budget_slot (budget, position, take_time)
SELECT wanted.budget, place, '-infinity'
FROM unnest(%(budgets)s::text[]) AS wanted (budget), generate_series(0, %(limit)s - 1) AS place
WHERE NOT EXISTS (SELECT FROM budget_slot AS s
                  WHERE s.budget = wanted.budget AND s.position = place)
ON CONFLICT DO NOTHING
"""
# A row at -infinity was never taken. While there is one, nothing is to be waited for but its lock.
_WAIT = """
SELECT min(take_time) + %(window)s::interval - clock_timestamp() AS wait FROM budget_slot
WHERE budget = %(budget)s AND position < %(limit)s AND isfinite(take_time)
HAVING count(*) = %(limit)s
"""
