"""A migration stands in nobody's way for long, survives its death, and says what stops it."""

import asyncio
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from alembic.script import ScriptDirectory

from generation_svc.storage.migrate import alembic_config, migrate
from generation_svc.storage.schema_state import MigrationTimeout
from tests.release import make_schema, wait_until_blocked

LONGEST_WAIT_SECONDS = 2.5
"""lock_timeout, and room for a busy machine."""


@contextmanager
def a_long_transaction(
    url: str, *, mode: str, table: str = "delivery"
) -> Iterator[psycopg.Connection]:
    """Keep a table, as such that of revision 0002, from being changed, but not from being used."""
    with psycopg.connect(url) as connection:
        connection.execute(f"LOCK TABLE {table} IN {mode} MODE".encode())
        yield connection
        connection.rollback()


def revision_of(url: str) -> str:
    with psycopg.connect(url) as connection:
        (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone() or ()
    return str(revision)


def newest_revision() -> str:
    return str(ScriptDirectory.from_config(alembic_config()).get_current_head())


def has_webhooks(url: str) -> bool:
    with psycopg.connect(url) as connection:
        query = "SELECT to_regclass('webhook_endpoint') IS NOT NULL"
        return connection.execute(query).fetchone() == (True,)


def invalid_indexes(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        query = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
        return [name for (name,) in connection.execute(query).fetchall()]


def index_ids(url: str) -> dict[str, int]:
    with psycopg.connect(url) as connection:
        query = (
            "SELECT relname, oid FROM pg_class"
            " WHERE relkind = 'i' AND relnamespace = 'public'::regnamespace"
        )
        return dict(connection.execute(query).fetchall())


def longest_look(url: str, *, seconds: float) -> float:
    """Read and write the table for a while as the service does; return the longest wait."""
    longest, end = 0.0, time.monotonic() + seconds
    with psycopg.connect(url, autocommit=True) as traffic:
        while (began := time.monotonic()) < end:
            traffic.execute("UPDATE delivery SET try_number = try_number WHERE state = 'idle'")
            longest = max(longest, time.monotonic() - began)
    return longest


@pytest.mark.parametrize("mode", ["ACCESS SHARE", "ROW EXCLUSIVE"])
async def test_traffic_goes_on_while_a_migration_waits_for_a_table(
    old_database_url: str, mode: str
) -> None:
    with a_long_transaction(old_database_url, mode=mode):
        migration = asyncio.create_task(asyncio.to_thread(migrate, old_database_url))
        await asyncio.to_thread(wait_until_blocked, old_database_url)
        longest = await asyncio.to_thread(longest_look, old_database_url, seconds=2.5)
        assert not migration.done()
    await migration

    assert longest < LONGEST_WAIT_SECONDS
    assert has_webhooks(old_database_url)


def test_a_migration_that_never_gets_a_table_names_who_has_it(old_database_url: str) -> None:
    with a_long_transaction(old_database_url, mode="ACCESS SHARE") as holder:
        pid = holder.info.backend_pid
        with pytest.raises(
            MigrationTimeout, match=rf"^A table .* stays locked; .*: pid {pid} \(.*\), .*, LOCK\.$"
        ):
            migrate(old_database_url, timeout_seconds=0.1)
    assert not has_webhooks(old_database_url)
    assert revision_of(old_database_url) == "0001"


def test_a_migration_killed_inside_revision_0002_is_completed(old_database_url: str) -> None:
    # `spawn`, for a fork would share this process's connections.
    process = multiprocessing.get_context("spawn").Process(target=migrate, args=(old_database_url,))
    with a_long_transaction(old_database_url, mode="ACCESS SHARE"):
        process.start()
        wait_until_blocked(old_database_url)
        process.kill()
        process.join()
    assert not has_webhooks(old_database_url)

    migrate(old_database_url)

    assert has_webhooks(old_database_url)


def test_an_index_whose_building_was_killed_is_built_anew(old_database_url: str) -> None:
    make_schema(old_database_url, revision="0002")
    process = multiprocessing.get_context("spawn").Process(target=migrate, args=(old_database_url,))
    with a_long_transaction(old_database_url, mode="ROW EXCLUSIVE") as other:
        process.start()
        wait_until_blocked(old_database_url)
        process.kill()
        process.join()
        other.execute(  # its session would wait on, and end well
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'CREATE INDEX%'"
        )
    assert invalid_indexes(old_database_url) == ["delivery_due_webhook"]

    migrate(old_database_url)

    assert invalid_indexes(old_database_url) == []
    assert revision_of(old_database_url) == newest_revision()


@pytest.mark.parametrize(
    ("revision", "busy", "other_table"),
    [
        ("0006", "upload", "media"),
        ("0007", "job", "attempt"),
        ("0009", "attempt", "media"),
        ("0024", "star_transaction", "top_up"),
        ("0030", "top_up", "money_state"),
    ],
)
def test_what_waits_for_one_table_keeps_nobody_from_another(
    old_database_url: str, revision: str, busy: str, other_table: str
) -> None:
    make_schema(old_database_url, revision=revision)
    process = multiprocessing.get_context("spawn").Process(target=migrate, args=(old_database_url,))
    with a_long_transaction(old_database_url, mode="ROW EXCLUSIVE", table=busy) as other:
        process.start()
        wait_until_blocked(old_database_url)
        other.execute("SET lock_timeout = '100ms'")
        other.execute(
            f"LOCK TABLE {other_table} IN ROW EXCLUSIVE MODE".encode()
        )  # in the other order, even
    process.join()
    assert revision_of(old_database_url) == newest_revision()


def test_an_index_that_was_built_before_the_kill_is_kept(old_database_url: str) -> None:
    make_schema(old_database_url, revision="0006")
    process = multiprocessing.get_context("spawn").Process(target=migrate, args=(old_database_url,))
    with a_long_transaction(old_database_url, mode="ROW EXCLUSIVE", table="callback_receipt") as it:
        process.start()
        wait_until_blocked(old_database_url)
        process.kill()
        process.join()
        it.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'CREATE INDEX%'"
        )
    assert revision_of(old_database_url) == "0006"
    assert invalid_indexes(old_database_url) == ["callback_by_time"]
    built = index_ids(old_database_url)

    migrate(old_database_url)

    kept = {name: index_ids(old_database_url)[name] for name in built}
    assert built.pop("callback_by_time") != kept.pop("callback_by_time")
    assert built == kept
    assert {"job_ended", "media_kept", "upload_kept"} <= built.keys()
    assert invalid_indexes(old_database_url) == []


async def test_replicas_that_start_at_once_upgrade_once(old_database_url: str) -> None:
    starts = [asyncio.to_thread(migrate, old_database_url) for _ in range(4)]
    await asyncio.gather(*starts)
    assert has_webhooks(old_database_url)
