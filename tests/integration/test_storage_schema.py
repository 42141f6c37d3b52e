import asyncio
import subprocess
import sys
import time

import psycopg
import pytest

from generation_svc.storage.migrate import engine_of, migrate
from generation_svc.storage.migration_watch import LOCK_KEY
from generation_svc.storage.schema_state import MigrationTimeout
from generation_svc.storage.table.schema import metadata

ASPECTS = {
    "columns": """
        SELECT table_name, column_name, data_type, udt_name, is_nullable, column_default,
               is_identity, identity_generation, numeric_precision, numeric_scale,
               character_maximum_length
        FROM information_schema.columns WHERE table_schema = 'public'
          AND table_name <> 'alembic_version'""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, contype, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
          AND conrelid::regclass::text <> 'alembic_version'""",
    "indexes": """
        SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
          AND tablename <> 'alembic_version'""",
    "options": """
        SELECT relname, reloptions::text FROM pg_class WHERE relkind = 'r'
          AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'""",
}


def catalog_of(url: str, aspect: str) -> set[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return set(connection.execute(ASPECTS[aspect]))


@pytest.mark.parametrize("aspect", ASPECTS)
def test_the_migrated_schema_is_the_described_one(
    aspect: str, database_url: str, empty_database_url: str
) -> None:
    metadata.create_all(engine_of(empty_database_url))

    migrated = catalog_of(database_url, aspect)

    assert len(migrated) > 10
    assert migrated == catalog_of(empty_database_url, aspect)


async def test_replicas_that_start_at_once_migrate_once(empty_database_url: str) -> None:
    await asyncio.gather(*(asyncio.to_thread(migrate, empty_database_url) for _ in range(4)))

    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)


def test_a_migration_killed_in_the_middle_is_done_again(
    database_url: str, empty_database_url: str
) -> None:
    with psycopg.connect(empty_database_url) as obstacle:
        obstacle.execute("CREATE TABLE upload (id int)")  # not committed: the migration waits here
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"from generation_svc.storage.migrate import migrate; "
                f"migrate({empty_database_url!r})",
            ]
        )
        _wait_until_blocked(empty_database_url)
        process.kill()
        process.wait()
        obstacle.rollback()

    migrate(empty_database_url)

    assert catalog_of(empty_database_url, "columns") == catalog_of(database_url, "columns")


def test_a_service_that_migrated_keeps_no_sqlmodel_in_memory(empty_database_url: str) -> None:
    """A release's first replica migrates in its own process, which then serves for weeks."""
    program = (
        "import sys; from generation_svc.storage.migrate import migrate; "
        f"migrate({empty_database_url!r}); "
        "assert 'alembic' in sys.modules; sys.exit('sqlmodel' in sys.modules)"
    )

    subprocess.run([sys.executable, "-c", program], check=True)


def test_an_older_release_leaves_a_newer_schema_alone(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()

        migrate(database_url)

        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)


def test_a_migration_that_gets_no_turn_says_so(database_url: str) -> None:
    with psycopg.connect(database_url) as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", (LOCK_KEY,))

        with pytest.raises(MigrationTimeout):
            migrate(database_url, timeout_seconds=0.2)


def _wait_until_blocked(url: str) -> None:
    deadline = time.monotonic() + 30
    with psycopg.connect(url, autocommit=True) as watcher:
        while not watcher.execute(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock'"
        ).fetchone():
            assert time.monotonic() < deadline
            time.sleep(0.02)
