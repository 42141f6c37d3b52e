"""A backup that was restored sells nothing until what is missing was found again."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from generation_svc.domain.account import Account
from generation_svc.domain.epoch import EpochState
from generation_svc.domain.error import Unavailable
from generation_svc.domain.job import Job
from generation_svc.domain.money_error import RecoveryMissing, SalesClosed
from generation_svc.domain.star import StarTransaction
from generation_svc.domain.top_up import TopUpState
from generation_svc.engine.maintenance.epoch import follow_epoch
from generation_svc.engine.maintenance.receipts import number_receipts
from generation_svc.lifecycle.epoch import KEY, read_epoch, watch_epoch
from generation_svc.recover import RecoveryFailed, recover
from generation_svc.usecase.money.check_top_up import check_top_up
from generation_svc.usecase.money.set_sales import get_sales, set_sales
from tests.integration.test_star_list import differences, payment, refunded, report
from tests.integration.test_top_up import EDGE, OWNER, PAID, SANDBOX, opened, record
from tests.integration.test_top_up_refund import buy, lease, listed, refund
from tests.integration.test_top_up_refund import report as report_refund
from tests.lifecycle import CALLER, SUCCESS, FakeStore, Harness, open_harness
from tests.money import IMAGEN, PRICE, check_ledger, grant, wallet
from tests.postgres import migrated_database

ACCOUNT = Account("kie", "default")
WAIT_SECONDS = 30.0


@asynccontextmanager
async def service(database_url: str, *, sharing: Harness | None = None) -> AsyncIterator[Harness]:
    """A service on a database, with the provider and the media store of another one."""
    async with AsyncExitStack() as stack:

        async def opener(**wishes: Any) -> Harness:
            return await stack.enter_async_context(
                open_harness(database_url, sharing=sharing, **wishes)
            )

        yield await opened(opener)


async def numbers(harness: Harness) -> set[str]:
    """The numbers of all receipts, once the epoch covers what they are for."""
    await watch(harness)
    await number_receipts(harness.deps)
    rows = await harness.query("SELECT receipt, refund_receipt FROM top_up")
    return {each for row in rows for each in row.values() if each}


async def watch(harness: Harness) -> bool:
    found = await watch_epoch(harness.deps.database, harness.store)
    return found is not EpochState.DIFFERENT


async def made(harness: Harness) -> Job:
    return await harness.made(owner=OWNER, **IMAGEN)


async def live_on(harness: Harness, running: Job) -> Job:
    """What happens in the hour that the backup does not know."""
    await buy(harness, "charge-2")
    await refund(harness, await buy(harness, "charge-3"))
    (leased,) = await lease(harness)
    await report_refund(harness, leased)
    harness.provider.tasks["task-1"] = SUCCESS
    async with harness.transaction() as tx:
        assert await tx.attempts.hasten_all_reads() == 1
    await harness.poll_all()
    await harness.fetch_all()
    assert (await harness.job(running)).charged_credits == PRICE
    job = await made(harness)
    harness.provider.left = Decimal("76.5")
    assert await watch(harness)
    return job


TELEGRAM: tuple[StarTransaction, ...] = (
    payment("charge-1"),
    payment("charge-2"),
    payment("charge-3"),
    refunded("charge-3"),
)
"""What Telegram lists when the backup is restored."""


async def recovered(harness: Harness) -> None:
    """Recover while an edge reads again and again."""
    recovery = asyncio.create_task(recover(harness.deps, wait_seconds=WAIT_SECONDS))
    while not recovery.done():
        await report(harness, *TELEGRAM, heal=True)
        await asyncio.wait([recovery], timeout=0.05)
    await recovery


@pytest.fixture
async def restored(
    database_url: str, postgres: psycopg.Connection, postgres_url: str
) -> AsyncIterator[tuple[Harness, set[str], Job, Job]]:
    """A service on a backup, the numbers that it does not know, a running and a lost job."""
    async with service(database_url) as before:
        await buy(before)
        running = await before.run(owner=OWNER, **IMAGEN)
        await numbers(before)
        async with before.transaction() as tx:
            await tx.breaker.keep_balance(ACCOUNT, Decimal(100))
        assert await watch(before)
    name = urlsplit(database_url).path[1:]
    with migrated_database(postgres, postgres_url, template=name) as backup_url:
        async with service(database_url, sharing=before) as later:
            lost = await live_on(later, running)
            given = await numbers(later)
        async with service(backup_url, sharing=before) as harness:
            yield harness, given, running, lost


async def test_a_restored_backup_sells_nothing_and_numbers_nothing(
    restored: tuple[Harness, set[str], Job, Job],
) -> None:
    harness, *_ = restored
    before = await numbers(harness)
    assert not await watch(harness)

    with pytest.raises(SalesClosed):
        await harness.accept(owner=OWNER, **IMAGEN)
    with pytest.raises(SalesClosed):
        await check_top_up(harness.deps, EDGE, payment=PAID, telegram_host=SANDBOX)
    await record(harness, replace(PAID, external_id="charge-2"))
    assert await numbers(harness) == before
    await harness.accept(owner=OWNER)  # what is free stays so


async def test_only_the_recovery_opens_sales_of_a_restored_backup(
    restored: tuple[Harness, set[str], Job, Job],
) -> None:
    harness, *_ = restored
    assert not await watch(harness)
    with pytest.raises(RecoveryMissing, match=r"generation_svc\.recover"):
        await set_sales(harness.deps, CALLER, is_open=True, reason="all is well")
    assert "older than the media store" in str((await get_sales(harness.deps)).sales_closed_reason)
    closed = await set_sales(harness.deps, CALLER, is_open=False, reason="an audit")
    assert closed.sales_closed_reason == "an audit"
    with pytest.raises(RecoveryMissing):
        await set_sales(harness.deps, CALLER, is_open=True, reason="all is well")
    await recovered(harness)
    assert (await get_sales(harness.deps)).sales_closed_reason == "an audit"
    opened = await set_sales(harness.deps, CALLER, is_open=True, reason="all is well")
    assert opened.sales_closed_reason is None


async def test_recovery_makes_no_second_top_up_refund_or_number(
    restored: tuple[Harness, set[str], Job, Job], capsys: pytest.CaptureFixture[str]
) -> None:
    harness, given, running, lost = restored
    known = await numbers(harness)
    assert not await watch(harness)
    await recovered(harness)

    assert {each.external_id: each.state for each in await listed(harness)} == {
        "charge-1": TopUpState.CREDITED,
        "charge-2": TopUpState.CREDITED,
        "charge-3": TopUpState.CHARGED_BACK,
    }
    assert not (await record(harness, replace(PAID, external_id="charge-2"))).is_new
    assert await lease(harness) == []
    fresh = await numbers(harness) - known
    assert len(fresh) == 3  # two payments and what went back
    assert not fresh & given
    await harness.fetch_all()
    assert (await harness.job(running)).charged_credits == PRICE
    assert (await wallet(harness, OWNER)).balance == 200 - PRICE

    said = capsys.readouterr().out
    assert "account kie/default: 100 at the backup, 76.5 now, 23.5 spent since" in said
    assert f"job {lost.id}: results are kept of attempts that the database does not know" in said
    assert await differences(harness) == []
    await check_ledger(harness)


async def test_sales_stay_closed_until_the_recovery_has_ended_well(
    restored: tuple[Harness, set[str], Job, Job],
) -> None:
    harness, *_ = restored
    assert not await watch(harness)
    await report(harness, *TELEGRAM)  # read before the recovery began
    with pytest.raises(RecoveryFailed, match="to the end: 9"):
        await recover(harness.deps, wait_seconds=0)
    with pytest.raises(SalesClosed):
        await harness.accept(owner=OWNER, **IMAGEN)
    assert not await watch(harness)  # also after a new start

    await recovered(harness)
    assert await watch(harness)
    await check_top_up(harness.deps, EDGE, payment=PAID, telegram_host=SANDBOX)


async def test_what_no_edge_heals_keeps_sales_closed(
    restored: tuple[Harness, set[str], Job, Job],
) -> None:
    harness, *_ = restored
    await watch(harness)
    recovery = asyncio.create_task(recover(harness.deps, wait_seconds=4.0))
    while not recovery.done():
        await report(harness, *TELEGRAM)  # by an edge that may not heal
        await asyncio.wait([recovery], timeout=0.05)
    with pytest.raises(RecoveryFailed, match="differ"):
        await recovery
    with pytest.raises(SalesClosed):
        await check_top_up(harness.deps, EDGE, payment=PAID, telegram_host=SANDBOX)


async def test_there_is_nothing_to_recover_where_nothing_was_restored(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with service(database_url) as harness:
        assert await watch(harness)
        await recover(harness.deps, wait_seconds=0)
        assert capsys.readouterr().out.startswith("Nothing to recover")


async def test_the_epoch_changes_once_money_moved(database_url: str) -> None:
    async with service(database_url) as harness:
        await watch(harness)
        first = await read_epoch(harness.store)
        await watch(harness)
        assert await read_epoch(harness.store) == first
        await grant(harness, 1)
        await asyncio.gather(*(follow_epoch(harness.deps) for _ in range(5)))
        assert await read_epoch(harness.store) not in (None, first)
        assert await watch(harness)


class SlowStore(FakeStore):
    """Takes nothing before it may."""

    def __init__(self, other: FakeStore) -> None:
        super().__init__(kept=other.kept)
        self.is_asked, self.may_take = asyncio.Event(), asyncio.Event()

    async def put_file(self, key: str, path: Path) -> None:
        self.is_asked.set()
        await self.may_take.wait()
        await super().put_file(key, path)


async def test_a_replica_that_writes_slowly_does_not_bring_a_former_epoch_back(
    database_url: str,
) -> None:
    async with service(database_url) as harness:
        store = SlowStore(harness.store)
        slow = asyncio.create_task(watch_epoch(harness.deps.database, store))
        await store.is_asked.wait()
        others = []
        for _ in range(2):  # each as far as it comes
            others.append(asyncio.create_task(watch(harness)))
            await asyncio.wait(others, timeout=1)
            await grant(harness, 1)
        store.may_take.set()
        assert await slow is not EpochState.DIFFERENT
        assert await asyncio.gather(*others) == [True, True]
        assert await watch(harness)


async def test_an_epoch_whose_writing_was_interrupted_is_no_other(database_url: str) -> None:
    async with service(database_url) as harness:
        await watch(harness)
        await grant(harness, 1)
        harness.store.put_error = Unavailable("The media store is temporarily unavailable.")
        with pytest.raises(Unavailable):
            await watch(harness)
        harness.store.put_error = None
        assert await watch(harness)


async def test_a_media_store_that_lost_its_epoch_closes_sales(database_url: str) -> None:
    async with service(database_url) as harness:
        await watch(harness)
        await harness.store.delete(KEY)
        assert not await watch(harness)
        with pytest.raises(SalesClosed):
            await check_top_up(harness.deps, EDGE, payment=PAID, telegram_host=SANDBOX)


def test_the_command_looks_at_the_database_of_the_settings(
    database_url: str, tmp_path: Path
) -> None:
    settings = {"DATABASE_URL": database_url, "DATA_FOLDER": str(tmp_path), "MONEY": "test"}
    settings |= {"KIE_API_KEY": "secret", "KIE_API_URL": "http://127.0.0.1:9"}
    told = run_command(settings)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("Nothing to recover")

    (tmp_path / "media" / KEY).unlink()  # as if another store were mounted
    told = run_command(settings, "--wait", "0")
    assert told.returncode == 1
    assert "UTC: The media store has lost its epoch" in told.stdout
    assert told.stderr.startswith("Not recovered, and sales stay closed: the database knows no bot")
    assert told.stderr.count("\n") == 1
    told = run_command(settings, "--bot", "9", "--wait", "0")
    assert told.returncode == 1
    assert "no edge has read the Stars of these bots to the end: 9" in told.stderr

    told = run_command(settings, "--without-stars")
    assert told.returncode == 1
    assert "the provider does not answer for kie/default" in told.stderr

    told = run_command(settings, "--without-stars", "--without-provider")
    assert "account kie/default: unknown at the backup, unknown now" in told.stdout
    assert "Receipts are numbered from 2-000001 on." in told.stdout
    assert run_command(settings).stdout.startswith("Nothing to recover")


def test_a_media_store_of_another_database_is_not_touched_unless_it_is_to_be_taken(
    database_url: str, postgres: psycopg.Connection, postgres_url: str, tmp_path: Path
) -> None:
    with migrated_database(postgres, postgres_url) as other_url:
        common = {"DATA_FOLDER": str(tmp_path), "MONEY": "test", "KIE_API_KEY": "secret"}
        common["KIE_API_URL"] = "http://127.0.0.1:9"
        own, other = (common | {"DATABASE_URL": url} for url in (database_url, other_url))
        assert run_command(own).returncode == 0
        epoch = (tmp_path / "media" / KEY).read_bytes()
        for module in ("generation_svc", "generation_svc.recover"):
            told = run_command(other, module=module)
            assert told.returncode == 1
            assert "The media store belongs to another database" in told.stderr
            assert "Traceback" not in told.stderr
        assert (tmp_path / "media" / KEY).read_bytes() == epoch

        told = run_command(other, "--take-store", "--wait", "0")
        assert "the database knows no bot" in told.stderr
        told = run_command(other, "--without-stars", "--without-provider")  # taken already
        assert (told.returncode, told.stderr) == (0, "")
        assert "Receipts are numbered from 2-000001 on." in told.stdout
        assert run_command(own).returncode == 1


def run_command(
    settings: dict[str, str], *arguments: str, module: str = "generation_svc.recover"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=os.environ | settings,
        cwd=settings["DATA_FOLDER"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
