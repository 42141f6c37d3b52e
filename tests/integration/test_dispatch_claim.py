"""A claim takes a batch of jobs, their calls and their attempts in one transaction."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from generation_svc.domain.error import ProviderAccount, ProviderMaintenance
from generation_svc.domain.job import Job, JobState
from generation_svc.engine import breaker, dispatch_claim, supervisor
from generation_svc.engine.dispatch import WORK, claim, do
from generation_svc.engine.dispatch_claim import LONGEST_BLOCK, DispatchItem, Probe
from generation_svc.engine.supervisor import working
from generation_svc.engine.work import Batch, do_one
from tests.e2e.program import until
from tests.integration.test_storage_notifier import until_listening
from tests.lifecycle import GENEROUS, FakeProvider, Harness, OpenBench
from tests.step import dispatch

EDIT: dict[str, Any] = {
    "model_id": "qwen/image-edit",
    "inputs": {"prompt": "a hat", "image": "data:image/png;base64,AAAA"},
}
MINUTE = timedelta(minutes=1)
ONE, TWO = "one", "two"


@dataclass
class Seen:
    """What was asked of PostgreSQL."""

    statements: list[str] = field(default_factory=list)
    transactions: int = 0


@contextmanager
def counting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    """Count transactions, and the statements in them without BEGIN and COMMIT.

    What a connection is told before its first transaction, the look at the clock and LISTEN are
    none of them: they come when they come.
    """
    seen, begun = Seen(), set[Any]()
    execute, transaction = psycopg.AsyncCursor.execute, psycopg.AsyncConnection.transaction

    async def note(cursor: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        if cursor.connection in begun and _is_in_transaction(cursor.connection):
            seen.statements.append(str(query))
        return await execute(cursor, query, *args, **kwargs)

    def begin(connection: Any, *args: Any, **kwargs: Any) -> Any:
        seen.transactions += 1
        begun.add(connection)
        return transaction(connection, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(psycopg.AsyncCursor, "execute", note)
        patched.setattr(psycopg.AsyncConnection, "transaction", begin)
        yield seen


def _is_in_transaction(connection: psycopg.AsyncConnection[Any]) -> bool:
    return connection.info.transaction_status is not psycopg.pq.TransactionStatus.IDLE


async def accept(harness: Harness, count: int, **accepted: Any) -> list[Job]:
    return [await harness.accept(owner=f"user:{n}", **accepted) for n in range(count)]


def jobs_of(batch: Batch[DispatchItem | Probe]) -> list[UUID]:
    return [item.claim.job.id for item in batch.items if isinstance(item, DispatchItem)]


async def do_all(harness: Harness, batch: Batch[DispatchItem | Probe]) -> None:
    await asyncio.gather(*(do(harness.deps, item) for item in batch.items))


async def attempt_states(harness: Harness) -> list[str]:
    rows = await harness.query("SELECT state FROM attempt ORDER BY id")
    return [row["state"] for row in rows]


async def limited(open_bench: OpenBench, *accounts: str, **limits: Any) -> Harness:
    changed = replace(GENEROUS, create_window=MINUTE, **limits)
    return await open_bench(limits=changed, accounts=accounts or ("default",))


async def test_two_claimers_at_once_take_what_is_first_and_nothing_twice(
    open_bench: OpenBench,
) -> None:
    harness = await limited(open_bench)
    other = await open_bench(sharing=harness)
    fair = [job.id for job in await accept(harness, 20)]

    first, second = await asyncio.gather(claim(harness.deps, limit=8), claim(other.deps, limit=8))

    assert sorted([jobs_of(first), jobs_of(second)]) == [fair[:8], fair[8:16]]
    assert (first.next_due, second.next_due) == (timedelta(0), timedelta(0))
    assert await attempt_states(harness) == ["submitting"] * 16
    await do_all(harness, first)
    await do_all(other, second)
    assert len(harness.provider.created) == 16
    assert len(set(harness.provider.created)) == 16


async def test_the_turn_comes_before_the_age(open_bench: OpenBench) -> None:
    harness = await limited(open_bench)
    greedy = [(await harness.accept(owner="greedy")).id for _ in range(3)]
    modest = (await harness.accept(owner="modest")).id
    assert jobs_of(await claim(harness.deps, limit=8)) == [greedy[0], modest, *greedy[1:]]


async def test_three_calls_that_are_left_claim_three_jobs(open_bench: OpenBench) -> None:
    harness = await limited(open_bench, creates_per_window=3)
    jobs = [job.id for job in await accept(harness, 5)]

    batch = await claim(harness.deps, limit=8)

    assert jobs_of(batch) == jobs[:3]
    await do_all(harness, batch)
    again = await claim(harness.deps, limit=8)
    assert again.items == []
    for told in (batch.next_due, again.next_due):
        assert told is not None
        assert MINUTE * 0.8 < told <= MINUTE * 1.1
    # A new job cannot be sent sooner, so its announcement is no reason to look.
    assert batch.blocked_for == timedelta(0)
    assert again.blocked_for == LONGEST_BLOCK
    await harness.later(seconds=66)
    assert jobs_of(await claim(harness.deps, limit=8)) == jobs[3:]


async def test_an_account_that_comes_back_is_used_at_once_however_long_the_others_wait(
    open_bench: OpenBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in ((dispatch_claim, "LONGEST_BLOCK"), (supervisor, "LOOK_SECONDS")):
        monkeypatch.setattr(module, name, getattr(module, name) * 1000)
    harness = await limited(open_bench, ONE, TWO, creates_per_window=1)
    other = harness.deps.provider.accounts[1]
    async with harness.transaction() as tx:
        await breaker.count_fault(harness.deps, tx, error=ProviderMaintenance(), account=other)
    await accept(harness, 2)
    async with working(harness.deps, time_scale=1, grace_seconds=20):
        await until(sent(harness, 1), within_s=20, what="the job of the account that is free")
        async with harness.transaction() as tx:
            await breaker.close(tx, other)
        # Sooner than the account would have been tried again by itself.
        await until(sent(harness, 2), within_s=10, what="the other job")


def sent(harness: Harness, count: int) -> Callable[[], Awaitable[bool]]:
    async def are_sent() -> bool:
        return len(harness.provider.created) == count

    return are_sent


async def test_who_is_full_of_tasks_looks_again_soon(open_bench: OpenBench) -> None:
    harness = await limited(open_bench, active_tasks=2)
    await accept(harness, 3)
    assert len((await claim(harness.deps, limit=8)).items) == 2
    full = await claim(harness.deps, limit=8)
    assert (full.items, full.next_due) == ([], timedelta(seconds=1))


async def test_it_knows_when_the_next_job_is_due(open_bench: OpenBench) -> None:
    harness = await limited(open_bench)
    assert (await claim(harness.deps, limit=8)).next_due is None
    (job,) = await accept(harness, 1)
    await harness.query("UPDATE job SET dispatch_time = now() + interval '9 s'")

    batch = await claim(harness.deps, limit=8)

    assert batch.items == []
    assert batch.next_due is not None
    assert timedelta(seconds=5) < batch.next_due <= timedelta(seconds=9)
    await harness.later(seconds=9)
    assert jobs_of(await claim(harness.deps, limit=8)) == [job.id]


async def test_it_knows_when_the_next_probe_is_due(harness: Harness) -> None:
    harness.provider.refuse(ProviderAccount(code="401"))
    await harness.run()
    harness.provider.refuse(None)
    await harness.query("UPDATE job SET dispatch_time = now() + interval '1 hour'")

    told = (await claim(harness.deps, limit=8)).next_due

    assert told is not None
    assert timedelta(0) < told <= harness.deps.timing.probe_interval
    await harness.later(seconds=told.total_seconds() + 0.1)
    batch = await claim(harness.deps, limit=8)
    assert [type(item) for item in batch.items] == [Probe]
    also = await claim(harness.deps, limit=8)  # whoever looks meanwhile finds it as well
    await accept(harness, 2)
    await asyncio.gather(do_all(harness, batch), do_all(harness, also))
    assert harness.provider.probes == 1
    assert len(harness.provider.created) == 2
    assert (await claim(harness.deps, limit=8)).items != []  # the breaker is closed


async def test_a_probe_of_one_account_holds_up_no_job_of_another(open_bench: OpenBench) -> None:
    harness = await limited(open_bench, ONE, TWO)
    harness.provider.closed[ONE] = ProviderAccount(code="401")
    await accept(harness, 1)
    await harness.dispatch_all()
    await harness.later(seconds=16)
    await accept(harness, 3)

    batch = await claim(harness.deps, limit=3)

    assert [type(item) for item in batch.items] == [Probe, DispatchItem, DispatchItem]
    accounts = {item.claim.account.name for item in batch.items if isinstance(item, DispatchItem)}
    assert accounts == {TWO}


async def test_jobs_that_are_claimed_do_not_wait_for_the_breaker_of_another_account(
    open_bench: OpenBench,
) -> None:
    """Their attempts are written: sent late, they would have to be withdrawn."""
    harness = await limited(open_bench, ONE, TWO)
    harness.provider.closed[ONE] = ProviderAccount(code="401")
    await accept(harness, 1)
    await harness.dispatch_all()
    await harness.later(seconds=16)
    await accept(harness, 2)
    before = len(harness.provider.created)

    async with harness.connection.transaction():
        await harness.query("SELECT FROM account_breaker FOR UPDATE")
        async with asyncio.timeout(10):
            batch = await claim(harness.deps, limit=3)
        probe, *jobs = batch.items
        probing = asyncio.create_task(do(harness.deps, probe))
        await asyncio.gather(*(do(harness.deps, job) for job in jobs))
        assert len(harness.provider.created) == before + 2
        assert not probing.done()
    await probing


@pytest.mark.parametrize("jobs", [1, 8])
async def test_a_batch_costs_the_same_however_many_jobs_it_has(
    open_bench: OpenBench, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    harness = await limited(open_bench)
    await harness.run()  # the rows of the budget are written once
    await accept(harness, jobs)
    with counting(monkeypatch) as seen:
        batch = await claim(harness.deps, limit=8)
    assert len(batch.items) == jobs
    assert (seen.transactions, len(seen.statements)) == (1, 6)


async def test_an_answer_costs_one_transaction_of_few_statements(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await harness.run()  # how long the model takes is known for a while
    await harness.accept(destination=None)
    batch = await claim(harness.deps, limit=1)
    with counting(monkeypatch) as seen:
        await do_all(harness, batch)
    assert seen.transactions == 1
    assert len(seen.statements) <= 6
    assert await attempt_states(harness) == ["accepted"] * 2


async def test_a_look_in_vain_is_one_transaction(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await until_listening(harness)  # which is a statement, too
    async with harness.transaction():
        pass  # the clock is read now, and not while something is counted
    with counting(monkeypatch) as seen:
        assert not await do_one(harness.deps, WORK)
    assert (seen.transactions, len(seen.statements)) == (1, 3)


async def test_two_accounts_share_a_batch(open_bench: OpenBench) -> None:
    harness = await limited(open_bench, ONE, TWO, creates_per_window=3)
    jobs = await accept(harness, 8)

    batch = await claim(harness.deps, limit=8)
    await do_all(harness, batch)

    assert jobs_of(batch) == [job.id for job in jobs[:6]]
    assert Counter(harness.provider.used) == {ONE: 3, TWO: 3}


async def test_jobs_bound_to_a_full_account_stand_before_nobody(open_bench: OpenBench) -> None:
    harness = await limited(open_bench, ONE, TWO, creates_per_window=2)
    bound = await accept(harness, 4)
    await harness.query("UPDATE job SET account = %s", ONE)
    free = await accept(harness, 2)

    batch = await claim(harness.deps, limit=3)
    assert jobs_of(batch) == [job.id for job in bound[:2]]
    assert batch.next_due == timedelta(0)
    batch = await claim(harness.deps, limit=3)
    assert jobs_of(batch) == [job.id for job in free]


async def test_what_has_to_be_prepared_is_only_claimed(open_bench: OpenBench) -> None:
    harness = await limited(open_bench)
    picture = await harness.accept(**EDIT)
    text = await harness.accept(owner="user:2")

    batch = await claim(harness.deps, limit=8)

    assert jobs_of(batch) == [picture.id, text.id]
    rows = await harness.query("SELECT job_id FROM attempt")
    assert [row["job_id"] for row in rows] == [text.id]
    await do_all(harness, batch)
    assert len(harness.provider.created) == 2
    assert await attempt_states(harness) == ["accepted"] * 2


async def test_who_gets_no_call_keeps_no_claim(open_bench: OpenBench) -> None:
    """Between the look at the budget and the taking of a call somebody else may be faster."""
    harness = await limited(open_bench)
    await harness.run()
    (job,) = await accept(harness, 1)
    async with harness.connection.transaction():
        await harness.query("SELECT FROM budget_slot FOR UPDATE")
        batch = await claim(harness.deps, limit=8)
        assert batch.items == []
        assert batch.next_due is not None
        assert timedelta(0) < batch.next_due < timedelta(seconds=1)
        assert await attempt_states(harness) == ["accepted"]
    newcomer = await harness.accept(owner="new")
    assert jobs_of(await claim(harness.deps, limit=8)) == [job.id, newcomer.id]


async def test_an_attempt_that_was_written_while_the_claim_waited_is_waited_for(
    harness: Harness,
) -> None:
    """Whose claim has just run out may hold the job's lock, and write an attempt under it."""
    job = await harness.accept()
    async with harness.connection.transaction():
        await harness.query("SELECT FROM job WHERE id = %s FOR NO KEY UPDATE", job.id)
        claiming = asyncio.create_task(claim(harness.deps, limit=1))
        await _until_somebody_waits(harness)
        await harness.query(
            "INSERT INTO attempt (id, job_id, number, state, token_hash, submit_time, read_tries,"
            " fetch_tries, error)"
            " VALUES (gen_random_uuid(), %s, 1, 'submitting', '', now(), 0, 0, '')",
            job.id,
        )
    await do_all(harness, await claiming)
    assert harness.provider.created == []
    assert await attempt_states(harness) == ["submitting"]
    assert (await harness.job(job)).state is JobState.QUEUED


async def test_a_claimer_that_is_cancelled_gives_everything_back(harness: Harness) -> None:
    """Its transaction may be committed by then, and nobody else knows what it claimed."""
    text, picture = await harness.accept(), await harness.accept(**EDIT, owner="user:2")
    async with harness.connection.transaction():
        await harness.query("SELECT FROM job FOR NO KEY UPDATE")
        claiming = asyncio.create_task(claim(harness.deps, limit=8))
        await _until_somebody_waits(harness)
        claiming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await claiming

    assert harness.provider.created == []
    assert await attempt_states(harness) == ["refused"]
    assert (await harness.events(text))[-1] == "postponed"
    assert set(jobs_of(await claim(harness.deps, limit=8))) == {text.id, picture.id}


async def test_a_commit_that_took_too_long_is_undone_for_every_job(open_bench: OpenBench) -> None:
    harness = await open_bench(limits=replace(GENEROUS, create_window=timedelta(seconds=1)))
    jobs = await accept(harness, 3)
    await harness.query(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(0.7); RETURN NULL; END $$"
    )
    await harness.query("CREATE TRIGGER slow AFTER INSERT ON attempt EXECUTE FUNCTION slow()")

    await do_all(harness, await claim(harness.deps, limit=8))

    assert harness.provider.created == []
    assert await attempt_states(harness) == ["refused"] * 3
    await harness.query("DROP FUNCTION slow CASCADE")
    await do_all(harness, await claim(harness.deps, limit=8))
    assert {(await harness.job(job)).state for job in jobs} == {JobState.RUNNING}
    assert len(harness.provider.created) == 3


async def test_a_job_whose_request_cannot_be_made_stops_no_other(harness: Harness) -> None:
    broken, whole = await harness.accept(**EDIT), await harness.accept(owner="user:2")
    await harness.query(
        'UPDATE job SET inputs = \'{"prompt": "a hat", "image": 7}\' WHERE id = %s', broken.id
    )
    batch = await claim(harness.deps, limit=8)
    assert jobs_of(batch) == [broken.id, whole.id]
    await do(harness.deps, batch.items[1])
    assert (await harness.job(whole)).state is JobState.RUNNING


async def test_an_answer_forgets_faults_that_were_counted(harness: Harness) -> None:
    async def fault_meanwhile(provider: FakeProvider, task_id: str) -> str:
        await harness.query(
            "INSERT INTO breaker (name, failures, update_time) VALUES ('provider', 2, now())"
        )
        return task_id

    harness.provider.answer = fault_meanwhile
    await harness.run()
    assert await harness.query("SELECT failures FROM breaker") == [{"failures": 0}]


async def test_a_step_of_the_loop_does_one_job(harness: Harness) -> None:
    await accept(harness, 2)
    assert await dispatch(harness.deps)
    assert len(harness.provider.created) == 1


async def _until_somebody_waits(harness: Harness) -> None:
    query = "SELECT FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    async with asyncio.timeout(30):
        while not (await harness.connection.execute(query.encode())).rowcount:
            await harness.query("SELECT pg_sleep(0.01)")
