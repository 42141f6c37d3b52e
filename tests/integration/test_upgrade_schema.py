"""A revision only adds: what a release reads and writes is there under the next one's schema."""

from itertools import pairwise
from typing import Any

import psycopg
import pytest
from alembic.script import ScriptDirectory
from psycopg.rows import dict_row

from generation_svc.storage.migrate import alembic_config
from tests.release import make_schema

_OLDEST_FIRST = [
    script.revision
    for script in reversed([*ScriptDirectory.from_config(alembic_config()).walk_revisions()])
]
STEPS = [*pairwise(_OLDEST_FIRST)]

Column = dict[str, Any]


def columns_of(url: str) -> dict[tuple[str, str], Column]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        rows = connection.execute(
            "SELECT table_name, column_name, data_type, is_nullable, column_default, is_identity,"
            " character_maximum_length, numeric_precision, numeric_scale"
            " FROM information_schema.columns WHERE table_schema = 'public'"
        ).fetchall()
    return {(row["table_name"], row["column_name"]): row for row in rows}


def narrowings(before: Column | None, after: Column | None) -> str:
    """Say what of a column stops an older release, if anything does."""
    if after is None:
        return "is gone"
    if before is None:
        may_be_left_out = after["is_nullable"] == "YES" or after["column_default"]
        return "" if may_be_left_out or after["is_identity"] == "YES" else "must be given"
    if before["is_nullable"] == "YES" and after["is_nullable"] == "NO":
        return "may not be null any more"
    kept = ("data_type", "character_maximum_length", "numeric_precision", "numeric_scale")
    return "has another type" if any(before[name] != after[name] for name in kept) else ""


def stops_of(before: dict[tuple[str, str], Column], after: dict[tuple[str, str], Column]) -> Any:
    """Name the columns, of tables that an older release knows, which stop it."""
    known = {table for table, _ in before}
    names = [name for name in {**before, **after} if name[0] in known]
    stops = {".".join(name): narrowings(before.get(name), after.get(name)) for name in names}
    return {name: stop for name, stop in stops.items() if stop}


@pytest.mark.parametrize(("older", "newer"), STEPS)
def test_a_revision_takes_nothing_away(older: str, newer: str, empty_database_url: str) -> None:
    make_schema(empty_database_url, revision=older)
    before = columns_of(empty_database_url)
    make_schema(empty_database_url, revision=newer)

    assert len(before) > 50
    assert stops_of(before, columns_of(empty_database_url)) == {}


@pytest.mark.parametrize(
    ("statement", "stop"),
    [
        ("ALTER TABLE job DROP COLUMN owner", {"job.owner": "is gone"}),
        (
            "ALTER TABLE breaker RENAME COLUMN reason TO cause",
            {"breaker.reason": "is gone"},
        ),
        ("ALTER TABLE job ADD COLUMN mood text NOT NULL", {"job.mood": "must be given"}),
        ("ALTER TABLE upload ALTER size_bytes TYPE int", {"upload.size_bytes": "has another type"}),
        (
            "ALTER TABLE delivery ALTER queue SET NOT NULL",
            {"delivery.queue": "may not be null any more"},
        ),
        ("ALTER TABLE job ADD COLUMN mood text NOT NULL DEFAULT ''", {}),
        ("CREATE TABLE mood (word text NOT NULL)", {}),
    ],
    ids=["column", "name", "needed", "type", "null", "default", "new"],
)
def test_what_would_stop_an_older_release_is_found(
    statement: str, stop: dict[str, str], database_url: str
) -> None:
    before = columns_of(database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute(statement.encode())

    assert stops_of(before, columns_of(database_url)) == stop
