"""What the release before this one left is all there after the upgrade, and is gone on with."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from generation_svc.domain.delivery import Sent
from generation_svc.domain.job import Job, JobState
from generation_svc.domain.observation import Observation
from generation_svc.domain.port.session import SessionRecord
from generation_svc.storage.migrate import migrate
from generation_svc.usecase import lease_delivery
from tests.lifecycle import CALLER, SUCCESS, Harness
from tests.release import make_schema

Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture
def database_url(old_database_url: str) -> str:
    """The harness's database: the old one, upgraded."""
    migrate(old_database_url)
    return old_database_url


def rows_of(url: str) -> Rows:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        tables = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        ).fetchall()
        names = {row["table_name"] for row in tables} - {"alembic_version"}
        return {
            name: connection.execute(
                sql.SQL("SELECT * FROM {0} ORDER BY {0}::text").format(sql.Identifier(name))
            ).fetchall()
            for name in names
        }


def sorted_part(rows: list[dict[str, Any]], *, columns: list[str]) -> list[str]:
    return sorted(str([row[column] for column in columns]) for row in rows)


async def job_of(harness: Harness, prompt: str) -> Job:
    (row,) = await harness.query("SELECT id FROM job WHERE inputs->>'prompt' = %s", prompt)
    return await harness.job(UUID(str(row["id"])))


async def finish(harness: Harness, prompt: str) -> Job:
    """Let the provider say that the task of a job is done, and fetch its result."""
    job = await job_of(harness, prompt)
    for attempt in await harness.attempts(job):
        harness.provider.tasks[attempt["task_id"]] = SUCCESS
    await harness.later(minutes=10)
    await harness.poll_all()
    await harness.fetch_all()
    return await harness.job(job)


def test_every_row_is_as_it_was(old_database_url: str) -> None:
    before = rows_of(old_database_url)
    migrate(old_database_url)
    after = rows_of(old_database_url)

    assert len(before) == 12
    for table, rows in before.items():
        assert rows, f"{table} was left empty"
        columns = list(rows[0])
        assert sorted_part(after[table], columns=columns) == sorted_part(rows, columns=columns)


def test_a_delivery_that_was_parked_for_ever_is_due_again(old_database_url: str) -> None:
    with psycopg.connect(old_database_url) as connection:
        parked = connection.execute(
            "UPDATE delivery SET due_time = '9987-03-04' WHERE state = 'pending'"
        )
    assert parked.rowcount
    migrate(old_database_url)
    with psycopg.connect(old_database_url) as connection:
        late = connection.execute("SELECT FROM delivery WHERE due_time > now() + interval '1 day'")
    assert late.rowcount == 0


def test_an_address_that_was_gone_stays_so(empty_database_url: str) -> None:
    make_schema(empty_database_url, revision="0003")
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(
            "INSERT INTO webhook_endpoint VALUES ('shop', 'https://a.example', now())"
        )
    migrate(empty_database_url)
    (gone,) = rows_of(empty_database_url)["webhook_endpoint"]
    assert gone["disable_time"] == gone["create_time"] == gone["attempt_time"] is not None
    assert (gone["disable_reason"], gone["attempt_status"]) == ("HTTP 410", 410)


async def test_every_job_reads_as_it_did(harness: Harness) -> None:
    rows = await harness.query("SELECT id, state, revision FROM job")
    jobs = [await harness.job(row["id"]) for row in rows]
    assert [(each.state, each.revision) for each in jobs] == [
        (row["state"], row["revision"]) for row in rows
    ]
    assert {each.state for each in jobs} == set(JobState)
    for job in jobs:
        async with harness.transaction() as tx:
            revisions = await tx.jobs.revisions(job, after=0, limit=100)
        assert (revisions[-1].state, revisions[-1].result) == (job.state, job.result)


@pytest.mark.parametrize("prompt", ["queued", "postponed"])
async def test_a_queued_job_is_sent(harness: Harness, prompt: str) -> None:
    await harness.later(seconds=90)
    await harness.dispatch_all()
    assert (await job_of(harness, prompt)).state is JobState.RUNNING
    assert (await finish(harness, prompt)).state is JobState.SUCCEEDED


@pytest.mark.parametrize("prompt", ["running", "shown"])
async def test_a_running_job_is_read_to_its_end(harness: Harness, prompt: str) -> None:
    assert (await finish(harness, prompt)).state is JobState.SUCCEEDED
    assert not harness.provider.created


async def test_a_result_that_was_not_fetched_is_fetched(harness: Harness) -> None:
    await harness.later(minutes=5)
    await harness.fetch_all()
    assert (await job_of(harness, "fetching")).state is JobState.SUCCEEDED


@pytest.mark.parametrize("prompt", ["running", "unknown", "submitting"])
async def test_a_callback_under_way_finds_its_attempt(harness: Harness, prompt: str) -> None:
    told = Observation(SUCCESS.state, word="success", results=SUCCESS.results)
    outcome = await harness.callback(told, token=f"token-{prompt}", task_id=f"task-{prompt}")
    await harness.fetch_all()
    assert outcome == "applied"
    assert (await job_of(harness, prompt)).state is JobState.SUCCEEDED


async def test_a_callback_that_was_only_stored_is_applied(harness: Harness) -> None:
    await harness.later(minutes=5)
    await harness.sweep()
    assert not await harness.query("SELECT id FROM callback_receipt WHERE apply_time IS NULL")


@pytest.mark.parametrize("prompt", ["leased", "begun"])
async def test_a_delivery_under_lease_is_reported_by_its_holder(
    harness: Harness, prompt: str
) -> None:
    job = await job_of(harness, prompt)
    if prompt == "leased":
        await lease_delivery.begin(harness.deps, f"lease-{prompt}")
    await lease_delivery.report(harness.deps, f"lease-{prompt}", outcome=Sent(2000, is_edit=False))
    assert (await harness.deliveries(job))["outcome"]["state"] == "sent"


@pytest.mark.parametrize(
    ("prompt", "bot_id", "queue"), [("pending", 15, None), ("queue", None, "feed")]
)
async def test_what_was_due_is_offered(
    harness: Harness, prompt: str, bot_id: int | None, queue: str | None
) -> None:
    wanted = lease_delivery.Wanted(
        CALLER, bot_id=bot_id, queue=queue, limit=10, span=timedelta(minutes=1)
    )
    (delivery,) = await lease_delivery.lease(harness.deps, wanted, wait=timedelta(0))
    assert delivery.job == await job_of(harness, prompt)


async def test_a_request_repeated_across_the_upgrade_gives_its_job(harness: Harness) -> None:
    (row,) = await harness.query("SELECT id FROM job WHERE inputs->>'prompt' = 'cancelled'")
    repeated = await harness.accept(
        request_id="request-cancelled", inputs={"prompt": "cancelled"}, destination=None
    )
    assert repeated.id == row["id"]


async def test_a_conversation_and_an_upload_are_kept(harness: Harness) -> None:
    async with harness.transaction() as tx:
        session = await tx.edge.get_session(7, key="42", caller="edge")
        changed = SessionRecord(7, "42", b"a newer draft", session.version, None)
        assert (await tx.edge.put_session(changed, caller="edge")).version == session.version + 1
    assert session.data == b"a draft"
    (upload,) = await harness.query("SELECT key FROM upload WHERE expire_time > now()")
    assert upload["key"] == "upload/kept"
