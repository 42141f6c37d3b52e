"""What the database holds: the event rows, and levers on its clock and its commits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import DictRow, dict_row

from tests.e2e.program import until

OWN_NAME = "history"
"""What the database calls the connections of a test."""
_HELD = 8_120_001
"""The advisory lock at which a held statement waits."""


class History:
    """Reads the service's rows; every test's own connection, none of the service's."""

    def __init__(self, connection: psycopg.AsyncConnection[DictRow]) -> None:
        self._connection = connection

    async def close(self) -> None:
        await self._connection.close()

    async def reconnect(self, database_url: str) -> None:
        """Connect again, to a database that was made anew."""
        await self.close()
        self._connection = await _connected(database_url)

    async def rows(self, query: str, **values: Any) -> list[DictRow]:
        """Run a query and return its rows."""
        cursor = await self._connection.execute(query.encode(), values)
        return await cursor.fetchall() if cursor.description else []

    async def value(self, query: str, **values: Any) -> Any:
        """Run a query and return the first column of its first row."""
        return next(iter((await self.rows(query, **values))[0].values()))

    async def job_of(self, prompt: str) -> str:
        """Wait for the job with this prompt and return its id."""
        query = "SELECT id::text FROM job WHERE inputs->>'prompt' = %(prompt)s"

        async def found() -> list[DictRow]:
            return await self.rows(query, prompt=prompt)

        jobs = await until(found, within_s=20, what=f"a job with the prompt {prompt!r}")
        assert len(jobs) == 1, f"{len(jobs)} jobs with the prompt {prompt!r}"
        return str(jobs[0]["id"])

    async def job(self, job_id: str) -> DictRow:
        return (await self.rows("SELECT * FROM job WHERE id = %(id)s", id=job_id))[0]

    async def events(self, job_id: str) -> list[DictRow]:
        """Return a job's events in their order."""
        query = "SELECT * FROM job_event WHERE job_id = %(id)s ORDER BY id"
        return await self.rows(query, id=job_id)

    async def kinds(self, job_id: str) -> list[str]:
        """Return the kinds of a job's events in their order."""
        return [each["kind"] for each in await self.events(job_id)]

    async def settled(self, job_id: str, *, within_s: float = 30) -> DictRow:
        """Wait until a job is final and return its row."""

        async def final() -> DictRow | None:
            job = await self.job(job_id)
            return job if job["state"] in ("succeeded", "failed", "cancelled") else None

        return await until(final, within_s=within_s, what=f"the end of job {job_id}")

    async def run_out_leases(self) -> None:
        """Let the time of every lease be over, as if its holder had been away for long."""
        await self.rows(
            "UPDATE delivery SET due_time = now() - interval '1 s'"
            " WHERE state IN ('leased', 'begun')"
        )
        await self.rows("UPDATE update_lease SET expire_time = now() - interval '1 s'")

    async def forbid_writing(self) -> None:
        """Let every other session of the database be one that can only read, as on a standby."""
        await self._alter_database("SET default_transaction_read_only = on")
        await self.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    async def allow_writing(self) -> None:
        """Let new sessions write again."""
        await self._alter_database("RESET default_transaction_read_only")

    async def _alter_database(self, change: LiteralString) -> None:
        name = sql.Identifier(await self.value("SELECT current_database()"))
        await self._connection.execute(sql.SQL("ALTER DATABASE {} ").format(name) + sql.SQL(change))

    @asynccontextmanager
    async def holding(self, table: str, *, event: str, when: str) -> AsyncIterator[None]:
        """Keep the service's statements on a table waiting, where `when` (of NEW) holds.

        The context opens with the trap set; `caught` waits until a statement is in it. What is
        in the trap when the context ends, and still has a client, goes on.
        """
        await self.rows("SELECT pg_advisory_lock(%(key)s)", key=_HELD)
        await self._connection.execute(_trap(table, event=event, when=when))
        try:
            yield
        finally:
            # In this order: dropping the trigger waits for who is held in it.
            await self.rows("SELECT pg_advisory_unlock(%(key)s)", key=_HELD)
            await self._connection.execute(_release(table))

    async def caught(self, *, count: int = 1) -> None:
        """Wait until so many statements are held."""

        async def is_waiting() -> bool:
            return len(await self._waiting()) >= count

        await until(is_waiting, within_s=20, what="a statement in the trap")

    async def drop_caught(self) -> None:
        """Break off what is held, as a connection that is lost would."""

        async def is_gone() -> bool:
            for row in await self._waiting():
                await self.rows("SELECT pg_terminate_backend(%(pid)s)", pid=row["pid"])
            return not await self._waiting()

        await until(is_gone, within_s=10, what="the end of what was held")

    async def _waiting(self) -> list[DictRow]:
        return await self.rows(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            " AND objid = %(key)s AND database ="
            " (SELECT oid FROM pg_database WHERE datname = current_database())",
            key=_HELD,
        )


@asynccontextmanager
async def history(database_url: str) -> AsyncIterator[History]:
    """Open a connection of the test's own."""
    found = History(await _connected(database_url))
    try:
        yield found
    finally:
        await found.close()


async def _connected(database_url: str) -> psycopg.AsyncConnection[DictRow]:
    return await psycopg.AsyncConnection.connect(
        database_url, autocommit=True, row_factory=dict_row, application_name=OWN_NAME
    )


def _trap(table: str, *, event: str, when: str) -> sql.Composed:
    return sql.SQL(
        "CREATE OR REPLACE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_advisory_xact_lock({key}); RETURN NEW; END $$;"
        " CREATE TRIGGER hold BEFORE {event} ON {table} FOR EACH ROW WHEN ({when})"
        " EXECUTE FUNCTION hold()"
    ).format(
        key=sql.Literal(_HELD),
        event=sql.SQL(event),
        table=sql.Identifier(table),
        when=sql.SQL(when),
    )


def _release(table: str) -> sql.Composed:
    return sql.SQL("DROP TRIGGER hold ON {}").format(sql.Identifier(table))
