import asyncio
from datetime import timedelta
from uuid import uuid4

from generation_svc.domain.account import Account, AccountLoad
from generation_svc.domain.attempt import AttemptState, Trouble
from generation_svc.domain.error import ProviderSilent
from generation_svc.domain.job import Job
from generation_svc.domain.observation import Observation, ProviderState
from generation_svc.domain.port.callback import StoredCallback
from generation_svc.storage.account import FIRST_ACCOUNT
from runtime.token import token_hash
from tests.lifecycle import PENDING, SUCCESS, Harness
from tests.step import dispatch

LEASE = timedelta(seconds=30)
NO_TIME = timedelta(0)
ODD = Observation(
    ProviderState.UNKNOWN, task_id="t", word="слово", fail_code="1", fail_message="why"
)


async def unanswered(harness: Harness) -> Job:
    """A job whose createTask gave no answer."""
    harness.provider.refuse(ProviderSilent())
    job = await harness.accept()
    await dispatch(harness.deps)
    harness.provider.refuse(None)
    return job


async def test_an_attempt_is_found_by_token_and_by_task(harness: Harness) -> None:
    job = await harness.run()

    async with harness.transaction() as tx:
        (attempt,) = await tx.attempts.live(job.id)
        assert (attempt.number, attempt.state) == (1, AttemptState.ACCEPTED)
        assert attempt.task_id == "task-1"
        assert attempt.accept_time is not None
        assert await tx.attempts.find_by_token(token_hash(harness.provider.token())) == attempt
        assert await tx.attempts.find_by_token(token_hash("")) is None
        assert await tx.attempts.find_by_task("task-1", provider="kie") == attempt
        assert await tx.attempts.find_by_task("task-2", provider="kie") is None
        assert await tx.attempts.lock(attempt.id) == attempt
        assert await tx.attempts.count(job.id) == 1


async def test_the_token_itself_is_nowhere_in_the_database(harness: Harness) -> None:
    job = await harness.run()
    await harness.callback(SUCCESS)
    token = harness.provider.token()

    for table in ("job", "job_event", "attempt", "callback_receipt", "delivery"):
        rows = await harness.query(f"SELECT t::text AS line FROM {table} AS t")
        assert rows
        assert not any(token in row["line"] for row in rows), table
        assert not any(token.encode().hex() in row["line"] for row in rows), table
    assert job.revision == 2


async def test_what_the_provider_said_is_read_as_it_was_written(harness: Harness) -> None:
    job = await harness.run()

    async with harness.transaction() as tx:
        (attempt,) = await tx.attempts.live(job.id)
        for observation in (PENDING, ODD):
            await tx.attempts.see(attempt.id, observation)
            assert (await tx.attempts.lock(attempt.id)).observation == observation
        await tx.attempts.succeed(attempt.id, SUCCESS, source="callback")
        succeeded = await tx.attempts.lock(attempt.id)
    assert succeeded.observation == SUCCESS
    assert succeeded.state is AttemptState.SUCCEEDED
    assert succeeded.task_id == "task-1"


async def test_a_due_read_is_claimed_by_one_reader(harness: Harness) -> None:
    job = await harness.run()

    async def claim() -> bool:
        async with harness.transaction() as tx:
            claimed, _ = await tx.attempts.claim_reads(
                lease=LEASE, readable=(FIRST_ACCOUNT,), limit=3
            )
        return bool(claimed)

    assert not await claim()
    await harness.later(seconds=60)
    assert sum(await asyncio.gather(*(claim() for _ in range(10)))) == 1
    await harness.later(seconds=31)
    assert await claim()  # the reader vanished

    async with harness.transaction() as tx:
        (attempt,) = await tx.attempts.live(job.id)
        assert attempt.read_tries == 2
        await tx.attempts.schedule_read(attempt.id, due=NO_TIME)
    assert await claim()


async def test_a_hint_moves_the_read_once_per_interval(harness: Harness) -> None:
    job = await harness.run()
    (row,) = await harness.attempts(job)

    async def hasten() -> bool:
        async with harness.transaction() as tx:
            return await tx.attempts.hasten_read(row["id"], interval=timedelta(seconds=10))

    assert sum(await asyncio.gather(*(hasten() for _ in range(10)))) == 1
    await harness.later(seconds=9)
    assert not await hasten()
    await harness.later(seconds=2)
    assert await hasten()


async def test_a_due_fetch_is_claimed_by_one_worker(harness: Harness) -> None:
    await harness.run()
    await harness.callback(SUCCESS)

    async def claim() -> bool:
        async with harness.transaction() as tx:
            claimed, _ = await tx.attempts.claim_fetches(lease=LEASE, limit=3)
        return bool(claimed)

    assert sum(await asyncio.gather(*(claim() for _ in range(10)))) == 1
    await harness.later(seconds=31)
    async with harness.transaction() as tx:
        (attempt,), _ = await tx.attempts.claim_fetches(lease=LEASE, limit=3)
        assert attempt.fetch_tries == 2
        await tx.attempts.schedule_fetch(attempt.id, due=timedelta(seconds=5))
    await harness.later(seconds=6)
    assert await claim()


async def test_attempts_end_once_and_are_touched_no_more(harness: Harness) -> None:
    job = await harness.run()

    async with harness.transaction() as tx:
        (attempt,) = await tx.attempts.live(job.id)
        await tx.attempts.end(attempt.id, AttemptState.LOST, error="test")
        assert not await tx.attempts.mark_unknown(attempt.id, error="late")
        assert not await tx.attempts.hasten_read(attempt.id, interval=NO_TIME)
        await tx.attempts.schedule_read(attempt.id, due=NO_TIME)
        await tx.attempts.schedule_fetch(attempt.id, due=NO_TIME)
        assert (await tx.attempts.lock(attempt.id)).state is AttemptState.LOST
        assert await tx.attempts.live(job.id) == []
        assert await tx.attempts.count(job.id) == 1
        claimed = await tx.attempts.claim_reads(lease=LEASE, readable=(FIRST_ACCOUNT,), limit=3)
        assert claimed == ([], None)


async def test_orphans_and_overdue_attempts_are_found(harness: Harness) -> None:
    await harness.run()
    await unanswered(harness)
    day, minute = timedelta(days=1), timedelta(minutes=1)

    async with harness.transaction() as tx:
        assert await tx.attempts.orphans(older_than=NO_TIME, limit=9) == []
        assert await tx.attempts.overdue(hard_deadline=day, limit=9) == []
    await harness.query("UPDATE attempt SET state = 'submitting' WHERE state = 'unknown'")
    await harness.later(hours=23)
    async with harness.transaction() as tx:
        assert len(await tx.attempts.orphans(older_than=minute, limit=9)) == 1
        assert await tx.attempts.overdue(hard_deadline=day, limit=9) == []
    await harness.later(hours=2)
    async with harness.transaction() as tx:
        assert len(await tx.attempts.overdue(hard_deadline=day, limit=9)) == 2


async def test_a_trouble_is_as_old_as_the_first_try_of_its_kind(harness: Harness) -> None:
    job = await harness.run()
    await harness.callback(SUCCESS)
    (row,) = await harness.attempts(job)
    told = []
    for trouble in (None, Trouble.LINK, None, Trouble.LINK, Trouble.HOST, Trouble.LINK):
        await harness.later(minutes=1)
        async with harness.transaction() as tx:
            await tx.attempts.schedule_fetch(row["id"], due=NO_TIME, trouble=trouble)
            current = await tx.attempts.lock(row["id"])
            since = current.trouble_time
            age = round((tx.now() - since) / timedelta(minutes=1)) if since else None
        told.append((current.trouble, age))

    assert told == [
        (None, None),
        (Trouble.LINK, 0),
        (Trouble.LINK, 1),
        (Trouble.LINK, 2),
        (Trouble.HOST, 0),
        (Trouble.LINK, 0),
    ]


async def test_a_typical_duration_needs_enough_of_the_models_own_runs(harness: Harness) -> None:
    await harness.run()
    await harness.callback(SUCCESS)
    await harness.fetch_all()
    copy = (
        "INSERT INTO attempt (id, job_id, number, state, token_hash, submit_time, accept_time,"
        " end_time, read_tries, fetch_tries, error, ended_by)"
        " SELECT gen_random_uuid(), job_id, n, state, sha256(n::text::bytea), submit_time,"
        " accept_time, accept_time + n * interval '1 second', 0, 0, '', %s"
        " FROM attempt, generate_series(%s::int, %s::int) AS n WHERE number = 1"
    )

    async def typical(model_id: str) -> timedelta | None:
        async with harness.transaction() as tx:
            return await tx.attempts.typical_duration(model_id)

    await harness.query(copy, "callback", 2, 19)
    await harness.query(copy, "poll", 1001, 1100)
    assert await typical("z-image") is None
    await harness.query(copy, "callback", 20, 100)
    found = await typical("z-image")
    assert found is not None
    assert timedelta(seconds=94) < found < timedelta(seconds=96)
    assert await typical("qwen/image-edit") is None


async def test_callbacks_are_kept_until_applied_and_strays_only_in_a_ring(harness: Harness) -> None:
    job = await harness.run()
    (attempt,) = await harness.attempts(job)

    async with harness.transaction() as tx:
        trusted = StoredCallback(uuid4(), b"\x00\xff", attempt["id"], is_trusted=True)
        await tx.callbacks.insert(trusted, task_id="t", headers={"a": "b\x00"})
    for n in range(7):
        async with harness.transaction() as tx:
            stray = StoredCallback(uuid4(), b"", attempt["id"] if n % 2 else None, is_trusted=False)
            await tx.callbacks.insert(stray, task_id=None, headers={})
            await tx.callbacks.finish(stray.id, outcome="hint")
    async with harness.transaction() as tx:
        await tx.callbacks.trim(keep=3)
        assert await tx.callbacks.pending(older_than=timedelta(seconds=30), limit=9) == []
    await harness.later(seconds=31)
    async with harness.transaction() as tx:
        assert await tx.callbacks.pending(older_than=timedelta(seconds=30), limit=9) == [trusted]
        await tx.callbacks.finish(trusted.id, outcome="applied")
        assert await tx.callbacks.pending(older_than=timedelta(seconds=30), limit=9) == []

    kept = await harness.query("SELECT is_trusted, headers, outcome FROM callback_receipt")
    assert sorted(row["is_trusted"] for row in kept) == [False, False, False, True]
    assert {"is_trusted": True, "headers": {"a": "b"}, "outcome": "applied"} in kept


async def test_what_the_release_before_writes_belongs_to_the_first_account(
    harness: Harness,
) -> None:
    """It names neither provider nor account: of attempts, and of the claims that come before."""
    job, claimed = await harness.accept(owner="a"), await harness.accept(owner="b")
    await harness.query(
        "INSERT INTO attempt (id, job_id, number, state, token_hash, submit_time, read_tries,"
        " fetch_tries, error) VALUES (gen_random_uuid(), %s, 1, 'submitting', '', now(), 0, 0, '')",
        job.id,
    )
    await harness.query(
        "UPDATE job SET claim_token = gen_random_uuid(), dispatch_time = now() + interval '1 min'"
        " WHERE id = %s",
        claimed.id,
    )
    second = Account("kie", "second")
    async with harness.transaction() as tx:
        (attempt,) = await tx.attempts.live(job.id)
        assert attempt.account == FIRST_ACCOUNT
        minute = timedelta(minutes=1)
        found = await tx.dispatch.view(
            (FIRST_ACCOUNT, second), lease=minute, limit=9, window=minute
        )
    loads = {account: view.load for account, view in found.accounts.items()}
    assert loads == {FIRST_ACCOUNT: AccountLoad(claims=1, active=2), second: AccountLoad()}
