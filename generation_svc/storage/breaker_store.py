"""The breakers and balances of accounts on PostgreSQL, shared by all replicas.

The breaker of the first account stands in a table of its own: the release 0.1.0 reads and writes
whatever row it finds there.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from psycopg import AsyncCursor, sql

from generation_svc.domain.account import Account
from generation_svc.domain.job import DelayReason
from generation_svc.domain.port.breaker import CLOSED, BreakerState
from generation_svc.storage.account import FIRST_ACCOUNT
from generation_svc.storage.connection import Connection, Row

FIRST_NAME = "provider"
"""What the release 0.1.0 calls the only breaker that it knows."""


class PostgresBreakerStore:
    """The `BreakerStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def states(self, accounts: Sequence[Account]) -> Mapping[Account, BreakerState]:
        names = {_place(account): account for account in accounts}
        cursor = await self._connection.execute(_STATES, {"names": [name for _, name in names]})
        found = {(row["breaker"], row["name"]): row for row in await cursor.fetchall()}
        return {account: _state(found.get(place)) for place, account in names.items()}

    async def claim_probe(self, account: Account, *, interval: timedelta) -> bool:
        # Of two at once the second waits for the row, and then finds a probe that is not due.
        statement = (
            "UPDATE {breaker} SET probe_time = now() + %(interval)s"
            " WHERE name = %(name)s AND reason IS NOT NULL AND probe_time <= now()"
        )
        cursor = await self._execute(statement, account, interval=interval)
        return cursor.rowcount == 1

    async def trip(
        self, account: Account, *, reason: DelayReason, threshold: int, interval: timedelta
    ) -> None:
        values = {"reason": str(reason), "threshold": threshold, "interval": interval}
        await self._execute(_TRIP, account, **values)

    async def end_probe(self, account: Account, *, interval: timedelta) -> None:
        statement = (
            "UPDATE {breaker} SET probe_time = least(probe_time, now() + %(interval)s)"
            " WHERE name = %(name)s AND reason IS NOT NULL"
        )
        await self._execute(statement, account, interval=interval)

    async def close(self, account: Account) -> bool:
        cursor = await self._execute(_CLOSE, account)
        row = await cursor.fetchone()
        return row is not None and row["reason"] is not None

    async def recent(self, *, within: timedelta) -> Sequence[Account]:
        cursor = await self._connection.execute(
            "SELECT provider, account FROM account_balance WHERE read_time > now() - %s::interval",
            (within,),
        )
        return [Account(row["provider"], row["account"]) for row in await cursor.fetchall()]

    async def claim_balance(self, account: Account, *, interval: timedelta) -> bool:
        claimed = await self._connection.execute(
            # One upsert decides which replica asks: for the others the WHERE fails and no row is
            # changed.
            "INSERT INTO account_balance AS b (provider, account, read_time) VALUES (%s, %s, now())"
            " ON CONFLICT (provider, account) DO UPDATE SET read_time = now()"
            " WHERE b.read_time <= now() - %s::interval",
            (account.provider, account.name, interval),
        )
        return claimed.rowcount == 1

    async def keep_balance(self, account: Account, balance: Decimal) -> None:
        await self._connection.execute(
            "INSERT INTO account_balance (provider, account, balance, read_time, balance_time)"
            " VALUES (%s, %s, %s, now(), now()) ON CONFLICT (provider, account) DO UPDATE SET"
            " balance = excluded.balance, read_time = now(), balance_time = now()",
            (account.provider, account.name, balance),
        )

    async def balances(
        self, accounts: Sequence[Account], *, within: timedelta | None = None
    ) -> Mapping[Account, Decimal]:
        cursor = await self._connection.execute(
            "SELECT provider, account, balance FROM account_balance WHERE balance IS NOT NULL"
            " AND (%(within)s::interval IS NULL OR balance_time > now() - %(within)s::interval)",
            {"within": within},
        )
        rows = {Account(row["provider"], row["account"]): row for row in await cursor.fetchall()}
        return {account: rows[account]["balance"] for account in accounts if account in rows}

    async def _execute(self, statement: str, account: Account, **values: Any) -> "AsyncCursor[Row]":
        breaker, name = _place(account)
        query = sql.SQL(statement).format(breaker=sql.Identifier(breaker))
        return await self._connection.execute(query, {"name": name, **values})


def breaker_name(account: Account) -> str:
    """Return under which name the breaker of an account stands; no two tables share one."""
    return FIRST_NAME if account == FIRST_ACCOUNT else str(account)


def _place(account: Account) -> tuple[str, str]:
    """Return in which table the breaker of an account stands, and under which name."""
    table = "breaker" if account == FIRST_ACCOUNT else "account_breaker"
    return table, breaker_name(account)


def _state(row: Row | None) -> BreakerState:
    if row is None or row["reason"] is None:
        return CLOSED
    return BreakerState(DelayReason(row["reason"]), is_probe_due=row["is_probe_due"])


_STATES = """
SELECT 'breaker' AS breaker, name, reason, probe_time <= now() AS is_probe_due FROM breaker
WHERE name = ANY(%(names)s)
UNION ALL
SELECT 'account_breaker', name, reason, probe_time <= now() FROM account_breaker
WHERE name = ANY(%(names)s)
"""
# RETURNING has only the new values before PostgreSQL 18, so the old ones are read, and locked, in a
# subquery.
_CLOSE = """
UPDATE {breaker} AS b SET failures = 0, reason = NULL, probe_time = NULL, update_time = now()
FROM (SELECT name, reason FROM {breaker}
      WHERE name = %(name)s AND (failures > 0 OR reason IS NOT NULL) FOR UPDATE) AS before
WHERE b.name = before.name RETURNING before.reason
"""
# A fault while the breaker is open may bring the next probe forward but never puts it off: those
# of tasks that are still read would keep it open for ever.
_TRIP = """
INSERT INTO {breaker} AS b (name, failures, reason, probe_time, update_time)
SELECT %(name)s, 1, reason, CASE WHEN reason IS NOT NULL THEN next_probe END, now()
FROM (SELECT CASE WHEN %(threshold)s::int <= 1 THEN %(reason)s::text END AS reason,
             now() + %(interval)s::interval AS next_probe) AS fault
ON CONFLICT (name) DO UPDATE SET
    failures = b.failures + 1, update_time = now(),
    reason = CASE WHEN b.failures + 1 >= %(threshold)s::int THEN %(reason)s::text
                  ELSE b.reason END,
    probe_time = CASE WHEN b.failures + 1 >= %(threshold)s::int OR b.reason IS NOT NULL
                      THEN least(b.probe_time, now() + %(interval)s::interval) END
"""
