"""A start that must change the schema waits for whoever is in the way, and says for whom."""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from generation_svc.storage import migration_watch
from generation_svc.storage.migrate import migrate
from generation_svc.storage.schema_state import MigrationStopped
from tests.integration.test_upgrade_lock import (
    has_webhooks,
    invalid_indexes,
    newest_revision,
    revision_of,
)
from tests.release import make_schema

INDEX = "delivery_due_webhook"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Say at once what is waited for, and say it again soon."""
    monkeypatch.setattr(migration_watch, "FIRST_SECONDS", 0.2)
    monkeypatch.setattr(migration_watch, "AGAIN_SECONDS", 0.5)


@pytest.fixture
def index_url(old_database_url: str) -> str:
    """A database that lacks nothing but the indexes."""
    make_schema(old_database_url, revision="0002")
    return old_database_url


@contextmanager
def a_backup(url: str) -> Iterator[int]:
    """Hold a snapshot and read a table as pg_dump does; give the pid."""
    with psycopg.connect(url, application_name="pg_dump") as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("LOCK TABLE delivery IN ACCESS SHARE MODE")
        connection.execute("SELECT count(*) FROM delivery")
        yield connection.info.backend_pid
        connection.rollback()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads to migrate in, as a start does; the backups end before they do."""
    with ThreadPoolExecutor(2) as threads:
        yield threads


def until(condition: Callable[[], bool], *, what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def index_id(url: str) -> int | None:
    with psycopg.connect(url) as connection:
        query = "SELECT indexrelid::int FROM pg_index WHERE indexrelid = to_regclass(%s)"
        found = connection.execute(query, (INDEX,)).fetchone()
    return found[0] if found else None


def waits(logs: Iterable[Mapping[str, Any]]) -> list[str]:
    return [each["blocked_by"] for each in logs if each["event"] == "the migration is waiting"]


def test_an_index_is_built_once_however_long_a_backup_takes(
    index_url: str, pool: ThreadPoolExecutor
) -> None:
    with capture_logs() as logs, a_backup(index_url) as pid:
        start = pool.submit(migrate, index_url)
        until(lambda: len(waits(logs)) >= 4, what="four lines about what is waited for")
        begun = index_id(index_url)
        until(lambda: len(waits(logs)) >= 9, what="nine of them")  # longer than any lock_timeout
        assert index_id(index_url) == begun, "it was begun anew"
        assert not start.done()
    start.result(timeout=30)

    assert waits(logs)[0].startswith(f"pid {pid} (pg_dump), idle in transaction since 20")
    assert waits(logs)[0].endswith(", SELECT")
    assert invalid_indexes(index_url) == []
    assert revision_of(index_url) == newest_revision()
    assert index_id(index_url) == begun


def test_a_table_is_changed_after_the_backup(
    old_database_url: str, pool: ThreadPoolExecutor
) -> None:
    with capture_logs() as logs:
        with a_backup(old_database_url) as pid:
            start = pool.submit(migrate, old_database_url)
            until(lambda: len(waits(logs)) >= 5, what="five lines about what is waited for")
            assert not start.done()
        start.result(timeout=30)

    assert all(f"pid {pid} (pg_dump)" in each for each in waits(logs))
    assert has_webhooks(old_database_url)


def test_a_replica_that_waits_for_another_says_so(index_url: str, pool: ThreadPoolExecutor) -> None:
    with capture_logs() as logs, a_backup(index_url):
        first = pool.submit(migrate, index_url)
        until(lambda: bool(waits(logs)), what="the first one waits")
        second = pool.submit(migrate, index_url)
        until(
            lambda: any("(atelier migration)" in each for each in waits(logs)),
            what="the second one waits for the first",
        )
        assert not second.done()
    first.result(timeout=30)
    second.result(timeout=30)
    assert revision_of(index_url) == newest_revision()


def test_a_start_that_waits_can_be_stopped_and_begun_again(
    index_url: str, pool: ThreadPoolExecutor
) -> None:
    stopping = threading.Event()
    with a_backup(index_url), capture_logs() as logs:
        start = pool.submit(migrate, index_url, stopping=stopping)
        until(lambda: bool(waits(logs)), what="it waits")
        stopping.set()
        with pytest.raises(MigrationStopped):
            start.result(timeout=10)
        assert invalid_indexes(index_url) == [INDEX]

    migrate(index_url)

    assert invalid_indexes(index_url) == []
    assert revision_of(index_url) == newest_revision()


def test_nothing_is_said_where_nobody_is_in_the_way(
    index_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with capture_logs() as logs:
        migrate(index_url)
    assert waits(logs) == []


def test_a_service_that_waits_for_its_schema_ends_when_asked(
    index_url: str, tmp_path: Path
) -> None:
    env = {"PATH": os.environ["PATH"], "KIE_API_KEY": "a-key", "DATABASE_URL": index_url}
    with a_backup(index_url) as pid, (tmp_path / "log").open("wb") as log:
        service = subprocess.Popen(
            [sys.executable, "-m", "generation_svc"], cwd=tmp_path, env=env, stderr=log
        )
        said = (tmp_path / "log").read_text
        until(lambda: f"pid {pid} (pg_dump)" in said(), what="it says for whom it waits")
        service.terminate()
        assert service.wait(20) == 1
    assert said().splitlines()[-1] == "Asked to stop before the schema was up to date."
