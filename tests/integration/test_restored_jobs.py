"""What becomes of the jobs and the bytes of a database that was found to be a restored one."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest

from generation_svc.domain.epoch import EpochState, StoredEpoch
from generation_svc.domain.error import ProviderUnreachable, Unavailable
from generation_svc.domain.job import Job, JobState
from generation_svc.domain.money_error import SalesClosed
from generation_svc.engine import read_cost
from generation_svc.engine.maintenance.epoch import follow_epoch
from generation_svc.engine.maintenance.orphan_bytes import remove_orphans
from generation_svc.engine.maintenance.receipts import number_receipts
from generation_svc.engine.work import do_one
from generation_svc.lifecycle.epoch import KEY, read_epoch, watch_epoch
from generation_svc.recover import RecoveryFailed, recover
from generation_svc.usecase import read_job
from tests.integration.test_recover import ACCOUNT, numbers, service, watch
from tests.integration.test_top_up import OWNER
from tests.integration.test_top_up_refund import buy
from tests.lifecycle import CALLER, PENDING, SUCCESS, Harness
from tests.money import IMAGEN, check_ledger, wallet

RESULT = "result/01930000-0000-7000-8000-000000000001/01930000-0000-7000-8000-000000000002/0"
"""Of a job and an attempt that no database knows."""


async def lose(harness: Harness) -> None:
    """Find the database and the media store to differ."""
    assert await watch(harness)
    await harness.store.delete(KEY)
    assert not await watch(harness)


async def finish(harness: Harness) -> None:
    await recover(harness.deps, wait_seconds=0, has_stars=False)


async def queued(harness: Harness) -> Job:
    await buy(harness)
    return await harness.accept(owner=OWNER, **IMAGEN)


async def test_what_was_queued_is_not_sent_and_ends_without_a_charge(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with service(database_url) as harness:
        job = await queued(harness)
        await lose(harness)
        await harness.dispatch_all()
        async with harness.transaction() as tx:  # the provider is back: what waited for it is due
            await tx.queue.hasten_postponed()
        await harness.dispatch_all()
        assert await harness.attempts(job) == []
        free = await harness.made(owner=OWNER)  # what comes later runs
        assert (await harness.job(free)).state is JobState.SUCCEEDED

        await finish(harness)
        assert (await harness.job(job)).state is JobState.FAILED
        assert f"job {job.id}: it was queued and may have been sent" in capsys.readouterr().out
        await harness.dispatch_all()
        assert await harness.attempts(job) == []
        purse = await wallet(harness, OWNER)
        assert (purse.balance, purse.held) == (100, 0)
        await check_ledger(harness)


async def test_a_claim_from_before_sends_nothing(database_url: str) -> None:
    async with service(database_url) as harness:
        job = await queued(harness)
        async with harness.transaction() as tx:
            claim = await harness.claim(tx)
        assert claim
        await lose(harness)
        async with harness.transaction() as tx:
            assert await tx.queue.hold_claim(claim) is None
        assert (await harness.job(job)).state is JobState.QUEUED


async def test_a_result_that_may_have_come_becomes_no_new_message(database_url: str) -> None:
    async with service(database_url) as harness:
        await buy(harness)
        made = await harness.made(owner=OWNER, **IMAGEN)
        running = await harness.run(owner=OWNER, **IMAGEN)
        await lose(harness)
        harness.provider.tasks["task-2"] = SUCCESS
        await finish(harness)  # it reads the task and fetches its result
        later = await harness.made(owner=OWNER, **IMAGEN)
        assert (await harness.job(running)).state is JobState.SUCCEEDED
        doubts = [(await harness.deliveries(job))["outcome"] for job in (made, running, later)]
        assert [each["maybe_sent"] for each in doubts] == [True, True, False]


async def test_nothing_is_sent_before_the_media_store_was_read(database_url: str) -> None:
    async with service(database_url) as harness:
        job = await queued(harness)
        harness.deps.money.unread.add("epoch")  # as a start does that could not read it
        await harness.dispatch_all()
        assert await harness.attempts(job) == []
        with pytest.raises(RecoveryFailed, match="the media store does not answer"):
            await finish(harness)
        harness.store.read_error = Unavailable("The media store is temporarily unavailable.")
        with pytest.raises(Unavailable):
            await follow_epoch(harness.deps)
        assert harness.deps.money.unread
        harness.store.read_error = None
        await follow_epoch(harness.deps)
        await harness.dispatch_all()
        assert len(await harness.attempts(job)) == 1


async def test_nothing_is_sent_while_a_foreign_media_store_is_there(database_url: str) -> None:
    async with service(database_url) as harness:
        assert await watch(harness)
        job, own = await queued(harness), harness.store.kept[KEY]
        foreign = StoredEpoch(uuid4(), origin="2026-01-02T03:04:05+00:00").text()
        harness.store.kept |= {KEY: foreign.encode(), RESULT: b"a picture of another one"}
        harness.store.age = timedelta(days=9)
        await follow_epoch(harness.deps)
        await harness.dispatch_all()
        await remove_orphans(harness.deps)
        assert await harness.attempts(job) == []
        assert harness.store.kept[KEY] == foreign.encode()
        assert RESULT in harness.store.kept
        harness.store.kept[KEY] = own
        await follow_epoch(harness.deps)
        await harness.dispatch_all()
        assert len(await harness.attempts(job)) == 1


async def test_what_was_made_since_the_backup_is_kept_until_it_was_listed(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with service(database_url) as harness:
        await lose(harness)
        harness.store.kept[RESULT] = b"a picture"
        harness.store.age = timedelta(days=9)
        await remove_orphans(harness.deps)
        assert RESULT in harness.store.kept
        await finish(harness)
        assert "results are kept of attempts that the database does not know" in (
            capsys.readouterr().out
        )
        async with service(database_url, sharing=harness) as other:  # which begins its walk
            await remove_orphans(other.deps)
        assert RESULT not in harness.store.kept


async def test_nobody_opens_sales_before_the_recovery_and_who_closed_them_keeps_them_closed(
    database_url: str,
) -> None:
    async with service(database_url) as harness:
        await buy(harness)
        await lose(harness)
        async with harness.transaction() as tx:
            assert await tx.money.set_sales(None) is None
            closed = await tx.money.state()
            assert closed
            assert "has lost its epoch" in (closed.sales_closed_reason or "")
            await tx.money.set_sales("a holiday")
        assert not await watch(harness)
        await finish(harness)
        async with harness.transaction() as tx:
            state = await tx.money.state()
        assert state
        assert (state.sales_closed_reason, state.is_restored) == ("a holiday", False)
        with pytest.raises(SalesClosed):
            await harness.accept(owner=OWNER, **IMAGEN)


async def test_a_recovery_that_ended_midway_is_done_again(database_url: str) -> None:
    async with service(database_url) as harness:
        job = await queued(harness)
        await lose(harness)
        harness.store.put_error = Unavailable("The media store is temporarily unavailable.")
        with pytest.raises(Unavailable):
            await finish(harness)
        assert (await harness.job(job)).state is JobState.FAILED
        assert not await watch(harness)  # and sales stay closed
        harness.store.put_error = None
        await finish(harness)
        stored = await read_epoch(harness.store)
        assert stored
        assert stored.series == 2
        assert await watch(harness)


async def test_a_recovery_that_was_killed_behind_the_media_store_is_done_again(
    database_url: str,
) -> None:
    async with service(database_url) as harness:
        await lose(harness)
        await harness.query(
            "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'killed'; END $$;"
            " CREATE TRIGGER stop BEFORE UPDATE ON money_state FOR EACH ROW"
            " WHEN (NEW.restored IS NULL) EXECUTE FUNCTION stop()"
        )
        with pytest.raises(psycopg.errors.RaiseException):
            await finish(harness)
        written = await read_epoch(harness.store)
        assert not await watch(harness)
        await harness.query("DROP TRIGGER stop ON money_state")
        await finish(harness)
        stored = await read_epoch(harness.store)
        assert written
        assert stored
        assert (written.series, stored.series) == (2, 3)  # the one that was begun is left out
        assert await watch(harness)


async def test_a_number_is_given_only_to_what_the_epoch_covers(database_url: str) -> None:
    async with service(database_url) as harness:
        assert await watch(harness)
        await buy(harness)
        await number_receipts(harness.deps)
        assert await harness.query("SELECT number FROM receipt") == []
        assert await numbers(harness) == {"1-000001"}


async def test_a_receipt_has_its_number_as_soon_as_the_epoch_covers_it(database_url: str) -> None:
    async with service(database_url) as harness:
        assert await watch(harness)
        await buy(harness)
        assert not await follow_epoch(harness.deps)
        assert [each["number"] for each in await harness.query("SELECT number FROM receipt")] == [1]


async def test_a_store_that_is_older_is_said_to_be(database_url: str) -> None:
    async with service(database_url) as harness:
        assert await watch(harness)
        former = harness.store.kept[KEY]
        await buy(harness)
        assert await watch(harness)
        harness.store.kept[KEY] = former
        assert not await watch(harness)
        async with harness.transaction() as tx:
            state = await tx.money.state()
        assert state
        assert (state.sales_closed_reason or "").startswith("The media store is older than")


async def test_an_epoch_that_is_damaged_closes_sales(database_url: str) -> None:
    async with service(database_url) as harness:
        assert await watch(harness)
        harness.store.kept[KEY] = b'{"epoch": "'
        found = await watch_epoch(harness.deps.database, harness.store)
        assert found is EpochState.DIFFERENT


async def test_an_epoch_at_rest_waits_for_nobody(database_url: str) -> None:
    async with service(database_url) as harness:
        assert await watch(harness)
        async with harness.transaction() as tx, asyncio.timeout(5):
            await tx.epochs.lock()  # by a replica that waits for its media store
            assert await watch(harness)


async def test_the_provider_is_read_before_sales_open(database_url: str) -> None:
    async with service(database_url) as harness:
        await lose(harness)
        harness.provider.left = ProviderUnreachable("no route to the provider")
        with pytest.raises(RecoveryFailed, match=f"does not answer for {ACCOUNT}"):
            await finish(harness)
        assert not await watch(harness)


async def test_what_had_ended_is_not_read_again_before_the_recovery(database_url: str) -> None:
    async with service(database_url) as harness:
        await buy(harness)
        job = await harness.run(owner=OWNER, **IMAGEN)
        harness.provider.tasks["task-1"] = PENDING
        await harness.later(hours=5)
        await harness.poll_all()
        harness.provider.tasks["task-1"] = SUCCESS
        harness.provider.reads.clear()
        await lose(harness)
        assert not await do_one(harness.deps, read_cost.WORK)
        assert harness.provider.reads == []

        await finish(harness)
        assert await do_one(harness.deps, read_cost.WORK)
        await harness.fetch_all()
        kept = (await read_job.get(harness.deps, CALLER, job_id=job.id)).kept_result
        assert kept is not None
        assert len(kept.media) == 1
        await check_ledger(harness)
