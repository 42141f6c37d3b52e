"""The provider's limits and its breaker on PostgreSQL, shared by all replicas.

A budget of N calls per window is N rows. A call takes the row that was taken longest ago, and only
if that was a window ago: so no window, wherever it begins, holds more than N calls.
"""

from datetime import timedelta

from generation_svc.domain.job import DelayReason
from generation_svc.domain.port.rate_budget import BreakerState
from generation_svc.storage.connection import Connection

LEAST_WAIT = timedelta(milliseconds=20)
"""What to wait when every free row is being taken at this moment."""


class PostgresBudgetStore:
    """The `BudgetStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def wait(
        self, budget: str, *, limit: int, window: timedelta, ahead: int = 0
    ) -> timedelta:
        """Return when a call can be taken, after `ahead` others; it takes none."""
        cursor = await self._connection.execute(
            _NEXT_FREE, {"budget": budget, "limit": limit, "window": window, "ahead": ahead}
        )
        row = await cursor.fetchone()
        return row["wait"] if row else window / limit  # all are spoken for; one ends now and then

    async def take(self, budget: str, *, limit: int, window: timedelta) -> timedelta:
        """Take one call of a sliding window; zero means taken, more is the time to wait."""
        values = {"budget": budget, "limit": limit, "window": window}
        taken = await self._connection.execute(_TAKE, values)
        if taken.rowcount:
            return timedelta(0)
        # Only when none was free: a budget's rows are missing once, and again when its limit grows.
        await self._connection.execute(_FILL, values)
        cursor = await self._connection.execute(_WAIT, values)
        row = await cursor.fetchone()
        return max(row["wait"], LEAST_WAIT) if row else LEAST_WAIT

    async def delay(self, budget: str, *, since: timedelta) -> None:
        """Let a call that was taken within this time count from now.

        Whose it was does not matter: of several the one taken first is moved, so that what is left
        is never less than what was taken.
        """
        await self._connection.execute(_DELAY, {"budget": budget, "since": since})

    async def breaker(self) -> BreakerState:
        """Read the breaker."""
        cursor = await self._connection.execute(
            "SELECT reason, probe_time <= now() AS is_probe_due FROM breaker"
        )
        row = await cursor.fetchone()
        if row is None or row["reason"] is None:
            return BreakerState(reason=None, is_probe_due=False)
        return BreakerState(reason=DelayReason(row["reason"]), is_probe_due=row["is_probe_due"])

    async def claim_probe(self, *, interval: timedelta) -> bool:
        """Take the right to the one probe that is due."""
        cursor = await self._connection.execute(
            # Of two at once the second waits for the row, looks again and finds a probe that is not
            # due.
            "UPDATE breaker SET probe_time = now() + %s"
            " WHERE reason IS NOT NULL AND probe_time <= now()",
            (interval,),
        )
        return cursor.rowcount == 1

    async def trip(self, reason: DelayReason, *, threshold: int, interval: timedelta) -> None:
        """Count a fault; open the breaker when the threshold is reached."""
        await self._connection.execute(
            _TRIP, {"reason": str(reason), "threshold": threshold, "interval": interval}
        )

    async def end_probe(self, *, interval: timedelta) -> None:
        """Let the next probe come an interval from now, if the breaker is still open."""
        await self._connection.execute(
            "UPDATE breaker SET probe_time = least(probe_time, now() + %s)"
            " WHERE reason IS NOT NULL",
            (interval,),
        )

    async def close_breaker(self) -> bool:
        """Note that the provider works; return whether the breaker was open."""
        cursor = await self._connection.execute(
            # RETURNING has only the new values before PostgreSQL 18, so the old ones are read, and
            # locked, in a subquery.
            "UPDATE breaker SET failures = 0, reason = NULL, probe_time = NULL, update_time = now()"
            " FROM (SELECT name, reason FROM breaker WHERE failures > 0 OR reason IS NOT NULL"
            " FOR UPDATE) AS before WHERE breaker.name = before.name RETURNING before.reason"
        )
        row = await cursor.fetchone()
        return row is not None and row["reason"] is not None


# A row that was never written is free.
_NEXT_FREE = """
SELECT greatest(interval '0', CASE WHEN isfinite(take_time)
    THEN take_time + %(window)s::interval - clock_timestamp() END) AS wait
FROM generate_series(0, %(limit)s - 1) AS place
LEFT JOIN budget_slot ON budget = %(budget)s AND position = place
ORDER BY take_time NULLS FIRST OFFSET %(ahead)s LIMIT 1
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
_DELAY = """
UPDATE budget_slot SET take_time = clock_timestamp()
WHERE budget = %(budget)s AND position = (
    SELECT position FROM budget_slot
    WHERE budget = %(budget)s AND take_time >= clock_timestamp() - %(since)s::interval
    ORDER BY take_time LIMIT 1 FOR UPDATE SKIP LOCKED)
"""
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
# A fault while the breaker is open may bring the next probe forward but never puts it off: those
# of tasks that are still read would keep it open for ever.
_TRIP = """
INSERT INTO breaker AS b (name, failures, reason, probe_time, update_time)
SELECT 'provider', 1, reason, CASE WHEN reason IS NOT NULL THEN next_probe END, now()
FROM (SELECT CASE WHEN %(threshold)s::int <= 1 THEN %(reason)s::text END AS reason,
             now() + %(interval)s::interval AS next_probe) AS fault
ON CONFLICT (name) DO UPDATE SET
    failures = b.failures + 1, update_time = now(),
    reason = CASE WHEN b.failures + 1 >= %(threshold)s::int THEN %(reason)s::text
                  ELSE b.reason END,
    probe_time = CASE WHEN b.failures + 1 >= %(threshold)s::int OR b.reason IS NOT NULL
                      THEN least(b.probe_time, now() + %(interval)s::interval) END
"""
