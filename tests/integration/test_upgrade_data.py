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
from generation_svc.domain.port import SessionRecord
from generation_svc.lifecycle import deliver
from generation_svc.storage.migrate import migrate
from tests.lifecycle import CALLER, SUCCESS, Bench
from tests.release import make_schema

Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture
def database_url(old_database_url: str) -> str:
    """The bench's database: the old one, upgraded."""
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


async def job_of(bench: Bench, prompt: str) -> Job:
    (row,) = await bench.query("SELECT id FROM job WHERE inputs->>'prompt' = %s", prompt)
    return await bench.job(UUID(str(row["id"])))


async def finish(bench: Bench, prompt: str) -> Job:
    """Let the provider say that the task of a job is done, and fetch its result."""
    job = await job_of(bench, prompt)
    for attempt in await bench.attempts(job):
        bench.provider.tasks[attempt["task_id"]] = SUCCESS
    await bench.later(minutes=10)
    await bench.poll_all()
    await bench.fetch_all()
    return await bench.job(job)


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


async def test_every_job_reads_as_it_did(bench: Bench) -> None:
    rows = await bench.query("SELECT id, state, revision FROM job")
    jobs = [await bench.job(row["id"]) for row in rows]
    assert [(each.state, each.revision) for each in jobs] == [
        (row["state"], row["revision"]) for row in rows
    ]
    assert {each.state for each in jobs} == set(JobState)
    for job in jobs:
        async with bench.transaction() as tx:
            revisions = await tx.jobs.revisions(job.id, after=0, limit=100)
        assert (revisions[-1].state, revisions[-1].result) == (job.state, job.result)


@pytest.mark.parametrize("prompt", ["queued", "postponed"])
async def test_a_queued_job_is_sent(bench: Bench, prompt: str) -> None:
    await bench.later(seconds=90)
    await bench.dispatch_all()
    assert (await job_of(bench, prompt)).state is JobState.RUNNING
    assert (await finish(bench, prompt)).state is JobState.SUCCEEDED


@pytest.mark.parametrize("prompt", ["running", "shown"])
async def test_a_running_job_is_read_to_its_end(bench: Bench, prompt: str) -> None:
    assert (await finish(bench, prompt)).state is JobState.SUCCEEDED
    assert not bench.provider.created


async def test_a_result_that_was_not_fetched_is_fetched(bench: Bench) -> None:
    await bench.later(minutes=5)
    await bench.fetch_all()
    assert (await job_of(bench, "fetching")).state is JobState.SUCCEEDED


@pytest.mark.parametrize("prompt", ["running", "unknown", "submitting"])
async def test_a_callback_under_way_finds_its_attempt(bench: Bench, prompt: str) -> None:
    told = Observation(SUCCESS.state, word="success", result_urls=SUCCESS.result_urls)
    outcome = await bench.callback(told, token=f"token-{prompt}", task_id=f"task-{prompt}")
    await bench.fetch_all()
    assert outcome == "applied"
    assert (await job_of(bench, prompt)).state is JobState.SUCCEEDED


async def test_a_callback_that_was_only_stored_is_applied(bench: Bench) -> None:
    await bench.later(minutes=5)
    await bench.sweep()
    assert not await bench.query("SELECT id FROM callback_receipt WHERE apply_time IS NULL")


@pytest.mark.parametrize("prompt", ["leased", "begun"])
async def test_a_delivery_under_lease_is_reported_by_its_holder(bench: Bench, prompt: str) -> None:
    job = await job_of(bench, prompt)
    if prompt == "leased":
        await deliver.begin(bench.context, f"lease-{prompt}")
    await deliver.report(bench.context, f"lease-{prompt}", outcome=Sent(2000, is_edit=False))
    assert (await bench.deliveries(job))["outcome"]["state"] == "sent"


@pytest.mark.parametrize(
    ("prompt", "bot_id", "queue"), [("pending", 15, None), ("queue", None, "feed")]
)
async def test_what_was_due_is_offered(
    bench: Bench, prompt: str, bot_id: int | None, queue: str | None
) -> None:
    wanted = deliver.Wanted(CALLER, bot_id=bot_id, queue=queue, limit=10, span=timedelta(minutes=1))
    (delivery,) = await deliver.lease(bench.context, wanted, wait=timedelta(0))
    assert delivery.job == await job_of(bench, prompt)


async def test_a_request_repeated_across_the_upgrade_gives_its_job(bench: Bench) -> None:
    (row,) = await bench.query("SELECT id FROM job WHERE inputs->>'prompt' = 'cancelled'")
    repeated = await bench.accept(
        request_id="request-cancelled", inputs={"prompt": "cancelled"}, destination=None
    )
    assert repeated.id == row["id"]


async def test_a_conversation_and_an_upload_are_kept(bench: Bench) -> None:
    async with bench.transaction() as tx:
        session = await tx.edge.get_session(7, key="42", caller="edge")
        changed = SessionRecord(7, "42", b"a newer draft", session.version, None)
        assert (await tx.edge.put_session(changed, caller="edge")).version == session.version + 1
    assert session.data == b"a draft"
    (upload,) = await bench.query("SELECT key FROM upload WHERE expire_time > now()")
    assert upload["key"] == "upload/kept"
