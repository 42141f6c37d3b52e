import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg import sql

from generation_svc.domain.delivery import Destination, Queue, Telegram
from generation_svc.domain.event import JobEventKind
from generation_svc.domain.failure import Failure, FailureReason
from generation_svc.domain.fair_queue import entry_of
from generation_svc.domain.job import DelayReason, Job, JobState, Result
from generation_svc.domain.job_filter import Condition, JobField, Operator
from generation_svc.domain.media import Media
from generation_svc.domain.port.request import RequestKey
from generation_svc.domain.transition import is_allowed
from generation_svc.lifecycle.record import revise, settle
from generation_svc.storage.document import result_from_document
from generation_svc.storage.job_page import page_statement
from tests.lifecycle import CHAT, Harness

LEASE = timedelta(seconds=60)
RESULT = Result(
    media=(Media(id=uuid4(), mime_type="image/png", size_bytes=3, width=1, height=2, sha256="ab"),),
    text="words",
)
FAILURE = Failure(FailureReason.CONTENT_REFUSED, "Not allowed.")
OUTCOMES: dict[JobState, dict[str, Any]] = {
    JobState.SUCCEEDED: {"result": RESULT},
    JobState.FAILED: {"failure": FAILURE},
}


async def put_in(harness: Harness, job: Job, *, state: JobState) -> Job:
    """Bring a fresh job into a state by the table's own ways."""
    if state is JobState.QUEUED:
        return job
    changed = replace(job, state=state, revision=2, **OUTCOMES.get(state, {}))
    async with harness.transaction() as tx:
        await tx.jobs.save(changed, event=JobEventKind.DELAYED)
    return changed


async def test_a_job_is_read_as_it_was_written(harness: Harness) -> None:
    job = await harness.accept(inputs={"prompt": "Кот, 🐱"}, owner="user:7")

    async with harness.transaction() as tx:
        assert await tx.jobs.get(job.id) == job
        assert await tx.jobs.get(job.id, caller=job.caller) == job
        assert await tx.jobs.get(job.id, caller="another") is None
        assert await tx.jobs.get(uuid4()) is None
        assert await tx.jobs.get_all([job.id, uuid4()]) == {job.id: job}
        assert await tx.jobs.lock(job.id) == job
        assert await tx.jobs.destination(job.id) == CHAT


@pytest.mark.parametrize("destination", [CHAT, Telegram(1, -100), Queue("feed"), None], ids=repr)
async def test_a_destination_is_read_as_it_was_written(
    harness: Harness, destination: Destination | None
) -> None:
    job = await harness.accept(destination=destination)

    async with harness.transaction() as tx:
        assert await tx.jobs.destination(job.id) == destination


@pytest.mark.parametrize("source", JobState)
async def test_the_update_refuses_what_the_table_refuses(
    harness: Harness, source: JobState
) -> None:
    for target in JobState:
        job = await put_in(harness, await harness.accept(), state=source)
        changed = replace(
            job,
            state=target,
            revision=job.revision + 1,
            **{"result": None, "failure": None, **OUTCOMES.get(target, {})},
        )
        before = await harness.query("SELECT * FROM job WHERE id = %s", job.id)
        try:
            async with harness.transaction() as tx:
                await tx.jobs.save(changed, event=JobEventKind.DELAYED)
        except RuntimeError:
            assert not is_allowed(source, target)
            assert await harness.query("SELECT * FROM job WHERE id = %s", job.id) == before
        else:
            assert is_allowed(source, target)
            assert await harness.job(job) == changed


async def test_a_revision_that_is_not_the_next_one_is_refused(harness: Harness) -> None:
    job = await harness.accept()
    for revision in (1, 3):
        with pytest.raises(RuntimeError):
            async with harness.transaction() as tx:
                await tx.jobs.save(replace(job, revision=revision), event=JobEventKind.DELAYED)
    assert await harness.history(job) == [(1, "queued")]


async def test_revisions_are_read_from_their_snapshots(harness: Harness) -> None:
    job = await harness.accept()
    second = replace(job, revision=2, delay_reason=DelayReason.PROVIDER_BUSY)
    third = replace(
        job,
        revision=3,
        state=JobState.RUNNING,
        finish_deadline_time=datetime.now(UTC),
        update_time=datetime.now(UTC),
    )
    last = replace(third, revision=4, state=JobState.SUCCEEDED, result=RESULT)
    for each in (second, third, last):
        async with harness.transaction() as tx:
            await tx.jobs.save(each, event=JobEventKind.UNKNOWN, detail={"attempt": 1})
            await tx.jobs.note(job.id, event=JobEventKind.SUBMITTING, detail={"attempt": 1})

    async with harness.transaction() as tx:
        assert await tx.jobs.revisions(job, after=0, limit=10) == [job, second, third, last]
        assert await tx.jobs.revisions(last, after=1, limit=2) == [second, third]
        assert await tx.jobs.revisions(job, after=4, limit=2) == []
    assert (await harness.events(job)).count("submitting") == 3


async def test_a_request_key_is_bound_once_and_forgotten_after_its_time(harness: Harness) -> None:
    key, first, second = RequestKey("edge", "r-1", b"hash"), uuid4(), uuid4()

    async with harness.transaction() as tx:
        assert await tx.requests.find("r-1", caller="edge") is None
        assert await tx.requests.remember(key, job_id=first) is None
    async with harness.transaction() as tx:
        assert await tx.requests.remember(key, job_id=second) == (first, b"hash")
        assert await tx.requests.remember(replace(key, caller="b"), job_id=second) is None

    await harness.later(days=399)
    await harness.sweep()
    assert len(await harness.query("SELECT * FROM request_key")) == 2
    await harness.later(days=2)
    await harness.sweep()
    assert await harness.query("SELECT * FROM request_key") == []


async def test_jobs_are_listed_newest_first_in_pages(harness: Harness) -> None:
    jobs = [await harness.accept(owner=f"user:{n % 2}") for n in range(5)]
    newest = [job.id for job in reversed(jobs)]

    async def page(owner: str | None, before: UUID | None) -> list[UUID]:
        async with harness.transaction() as tx:
            found = await tx.jobs.page(caller="edge", owner=owner, before=before, limit=2)
        return [job.id for job in found]

    assert await page(None, None) == newest[:2]
    assert await page(None, newest[1]) == newest[2:4]
    assert await page(None, newest[4]) == []
    assert await page("user:1", None) == [newest[1], newest[3]]
    async with harness.transaction() as tx:
        assert await tx.jobs.page(caller="b", owner=None, before=None, limit=9) == []


FAILED = (Condition(JobField.STATE, Operator.EQUAL, "failed"),)
NOT_FAILED = (Condition(JobField.STATE, Operator.UNEQUAL, "failed"),)
EITHER_MODEL = (
    Condition(JobField.MODEL_ID, Operator.EQUAL, "z-image"),
    Condition(JobField.MODEL_ID, Operator.EQUAL, "qwen/text-to-image"),
)


def changed(operator: Operator, time: datetime) -> tuple[Condition, ...]:
    return (Condition(JobField.UPDATE_TIME, operator, time),)


async def test_jobs_are_listed_by_state_model_and_time(harness: Harness) -> None:
    first = await harness.accept()
    second = await harness.accept(model_id="qwen/text-to-image")
    third = await harness.accept()
    async with harness.transaction() as tx:
        await settle(tx, await tx.jobs.lock(first.id), FAILURE, event=JobEventKind.SETTLED)
    last = (await harness.job(first)).update_time

    async def found(*choices: tuple[Condition, ...]) -> list[UUID]:
        async with harness.transaction() as tx:
            jobs = await tx.jobs.page(
                caller="edge", owner=None, job_filter=choices, before=None, limit=9
            )
        return [job.id for job in jobs]

    assert await found(FAILED) == [first.id]
    assert await found(NOT_FAILED) == [third.id, second.id]
    assert await found(EITHER_MODEL, NOT_FAILED) == [third.id, second.id]
    assert await found(EITHER_MODEL[:1]) == [third.id, first.id]
    assert await found((*EITHER_MODEL[1:], *FAILED)) == [second.id, first.id]
    assert await found(changed(Operator.AT_LEAST, last)) == [first.id]
    assert await found(changed(Operator.ABOVE, last)) == []
    assert await found(changed(Operator.BELOW, last)) == [third.id, second.id]
    assert await found(changed(Operator.AT_MOST, second.update_time)) == [second.id]


async def test_what_changed_is_found_by_its_index(harness: Harness) -> None:
    job = await harness.accept()
    columns = await harness.query(
        "SELECT string_agg(quote_ident(column_name), ', ') AS names FROM"
        " information_schema.columns WHERE table_name = 'job'"
        " AND column_name NOT IN ('id', 'update_time', 'state', 'dispatch_time', 'failure')"
    )
    names = columns[0]["names"]
    await harness.query(
        f"INSERT INTO job (id, update_time, state, failure, {names})"
        " SELECT gen_random_uuid(), now() - n * interval '1 minute', 'failed', '{}',"
        f" {names} FROM job, generate_series(1, 20000) AS n"
    )
    await harness.query("ANALYZE job")
    since = changed(Operator.AT_LEAST, job.update_time - timedelta(hours=1))
    statement, values = page_statement(
        caller="edge", owner=None, job_filter=(since,), before=None, limit=21
    )
    plan = await harness.connection.execute(sql.SQL("EXPLAIN {}").format(statement), values)
    assert "job_changed" in str(await plan.fetchall())


async def test_a_claim_is_exclusive_until_its_lease_ends(harness: Harness) -> None:
    job = await harness.accept()
    async with harness.transaction() as tx:
        claim = await harness.claim(tx, most_active=9)
    assert claim is not None
    assert claim.job == job
    assert claim.attempts == 0

    async with harness.transaction() as tx:
        assert await harness.claim(tx, most_active=9) is None
        assert await tx.queue.hold_claim(claim) == job
    await harness.later(seconds=61)
    async with harness.transaction() as tx:
        assert await tx.queue.hold_claim(claim) is None
        second = await harness.claim(tx, most_active=9)
    assert second is not None
    async with harness.transaction() as tx:
        await tx.queue.release(claim, due=timedelta(0))  # no longer its own: nothing happens
        assert await tx.queue.hold_claim(second) is not None
        await tx.queue.release(second, due=timedelta(seconds=5))
        assert await harness.claim(tx, most_active=9) is None
    await harness.later(seconds=6)
    async with harness.transaction() as tx:
        assert await harness.claim(tx, most_active=9) is not None


async def test_claims_at_once_are_for_different_jobs_and_keep_to_the_most(harness: Harness) -> None:
    for _ in range(12):
        await harness.accept()

    async def claim() -> UUID | None:
        async with harness.transaction() as tx:
            claimed = await harness.claim(tx, most_active=7)
        return claimed.job.id if claimed else None

    claimed = [job for job in await asyncio.gather(*(claim() for _ in range(20))) if job]

    assert len(claimed) == len(set(claimed)) == 7


async def test_owners_with_little_under_way_go_first(harness: Harness) -> None:
    greedy = [await harness.accept(owner="greedy") for _ in range(4)]
    modest = [await harness.accept(owner=f"modest:{n}") for n in range(2)]

    order = []
    for _ in range(6):
        async with harness.transaction() as tx:
            claim = await harness.claim(tx, most_active=99)
        assert claim is not None
        order.append(claim.job.id)

    assert order == [job.id for job in (greedy[0], *modest, *greedy[1:])]


async def test_places_in_the_queue_are_counted(harness: Harness) -> None:
    jobs = [await harness.accept() for _ in range(3)]
    await put_in(harness, await harness.accept(), state=JobState.RUNNING)

    async with harness.transaction() as tx:
        line = await tx.queue.read()
        places = [line.place(entry_of(job.id, fair_round=job.fair_round)) for job in jobs]
        assert places == [0, 1, 2]
        assert (len(line), line.lengths) == (3, {"edge": 3})


async def test_jobs_past_their_start_and_with_a_wrong_label_are_found(harness: Harness) -> None:
    plain, busy = await harness.accept(), await harness.accept()
    async with harness.transaction() as tx:
        busy = replace(busy, revision=2, delay_reason=DelayReason.PROVIDER_BUSY)
        await tx.jobs.save(busy, event=JobEventKind.DELAYED)

    async with harness.transaction() as tx:
        assert await tx.queue.mislabelled(None, limit=9) == []
        reason = DelayReason.PROVIDER_ACCOUNT
        assert await tx.queue.mislabelled(reason, limit=9) == [plain.id]
        assert await tx.queue.overdue_to_start(limit=9) == []
    await harness.later(hours=3)
    async with harness.transaction() as tx:
        assert set(await tx.queue.overdue_to_start(limit=9)) == {plain.id, busy.id}
        assert await harness.claim(tx, most_active=9) is None


async def test_unknown_attempts_use_up_the_tasks_only_for_a_while(harness: Harness) -> None:
    taken = await harness.run(owner="a")
    await harness.query("UPDATE attempt SET state = 'unknown', read_time = NULL")
    await harness.accept(owner="b")

    async with harness.transaction() as tx:
        assert await harness.claim(tx, most_active=1) is None
    await harness.later(minutes=11)
    async with harness.transaction() as tx:
        claim = await harness.claim(tx, most_active=1)

    assert claim is not None
    assert claim.job.id != taken.id


async def test_what_the_release_before_does_not_know_is_written_where_it_does_not_look(
    harness: Harness,
) -> None:
    """It raises an error for a delay reason that is new to it."""
    job = await harness.run()
    until = datetime.now(UTC) + timedelta(minutes=5)
    reason = DelayReason.RESULT_DELAYED
    async with harness.transaction() as tx:
        locked = await tx.jobs.lock(job.id)
        await revise(
            tx, locked, event=JobEventKind.DELAYED, delay_reason=reason, delay_until_time=until
        )

    delayed = await harness.job(job)
    (row,) = await harness.query("SELECT delay_reason FROM job WHERE id = %s", job.id)
    (event,) = await harness.query("SELECT snapshot FROM job_event WHERE kind = 'delayed'")
    assert (delayed.delay_reason, delayed.delay_until_time) == (reason, until)
    assert row["delay_reason"] is None
    assert event["snapshot"]["delay_reason"] is None


async def test_a_delay_that_an_older_release_left_behind_is_none(harness: Harness) -> None:
    """It settles a job and knows nothing of the newer columns."""
    job = await harness.run()
    await harness.query(
        "UPDATE job SET state = 'cancelled', further_delay_reason = 'result_delayed',"
        " delay_until_time = now() WHERE id = %s",
        job.id,
    )
    cancelled = await harness.job(job)
    assert (cancelled.delay_reason, cancelled.delay_until_time) == (None, None)


async def test_a_result_that_the_release_before_wrote_is_whole(harness: Harness) -> None:
    assert result_from_document({"media": [], "text": "la"}) == Result(text="la")
