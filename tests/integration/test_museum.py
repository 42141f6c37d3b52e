"""A museum of money bugs: one test for each that a system like this one was published to have.

Each shows that the bug is not here, by what happens to somebody's credits.
"""

import asyncio
import contextlib
from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

import pytest

from generation_svc.domain.error import (
    FetchFailed,
    ProviderSilent,
    ProviderUnreachable,
)
from generation_svc.domain.job import Job, JobState
from generation_svc.domain.money import MarginRule, MarginScope, MoneyMode
from generation_svc.domain.top_up import Pack
from generation_svc.lifecycle.ledger_audit import check_ledger
from generation_svc.usecase import cancel_job, read_job
from generation_svc.usecase.money.grant_credits import GrantRequest, grant_credits
from generation_svc.usecase.quote_job import QuoteRequest, quote_job
from tests.ledger.ground import FragileDatabase, Fuse, Killed
from tests.lifecycle import CALLER, FAILURE, LINK, SUCCESS, Harness, OpenBench
from tests.money import IMAGEN, PRICE, grant, holds, wallet

HAS = 100
FRESH = "https://file.aiquickdraw.com/fresh.png"
"""What the provider gives for a link that is no good."""
CEILING: dict[str, Any] = {
    "model_id": "bytedance/seedream-v4-text-to-image",
    "inputs": {"prompt": "cats", "max_images": 4},
}
PACK = Pack("small", 100, 50)


async def opened(open_bench: OpenBench) -> Harness:
    harness = await open_bench(money=MoneyMode.TEST)
    harness.deps = replace(harness.deps, money=replace(harness.deps.money, packs=(PACK,)))
    async with harness.transaction() as tx:
        await tx.money.mark(MoneyMode.TEST)
        await tx.top_ups.offer([PACK])
    await grant(harness, HAS)
    return harness


@pytest.fixture
async def harness(open_bench: OpenBench) -> Harness:
    return await opened(open_bench)


async def balance(harness: Harness, owner: str = "user:1") -> int:
    """What somebody has, once nothing of the ledger differs."""
    assert (await check_ledger(harness.deps.database)).differences == ()
    has = await wallet(harness, owner)
    return has.balance


async def moved(harness: Harness, kind: str) -> list[int]:
    rows = await harness.query("SELECT amount FROM transfer WHERE kind = %s ORDER BY id", kind)
    return [row["amount"] for row in rows]


async def set_margin(harness: Harness, margin: str) -> None:
    async with harness.transaction() as tx:
        rule = MarginRule(MarginScope.DEFAULT, "", Decimal(margin), "operator", "dearer")
        await tx.money.add_margin(rule)
    harness.deps.money.terms.expire()


async def late(harness: Harness, **wishes: Any) -> Job:
    """A job that runs, and of which the provider said for minutes that it is at work."""
    job = await harness.run(**wishes)
    for _ in range(6):
        await harness.later(minutes=1)
        await harness.poll_all()
        await harness.sweep()
    return job


@pytest.mark.parametrize("teller", ["callback", "poll"])
async def test_a_video_that_failed_is_not_charged(harness: Harness, teller: str) -> None:
    """A task that failed stayed charged, and the balance was not given back.

    https://github.com/QuantumNous/new-api/issues/2050
    """
    await harness.run(**IMAGEN)
    assert await balance(harness) == HAS - PRICE
    if teller == "callback":
        await harness.callback(FAILURE)
    else:
        harness.provider.tasks["task-1"] = FAILURE
        await harness.later(minutes=30)
        await harness.poll_all()
    assert await balance(harness) == HAS


async def test_a_failure_that_is_told_again_gives_back_once(harness: Harness) -> None:
    """Each time that a failed task was looked at again its quota was given back once more.

    https://github.com/QuantumNous/new-api/pull/2025
    """
    job = await harness.run(**IMAGEN)
    harness.provider.tasks["task-1"] = FAILURE
    for _ in range(3):
        await harness.callback(FAILURE)
        await harness.later(minutes=30)
        await harness.poll_all()
        await harness.sweep()
        await _release(harness, job)
    assert await moved(harness, "release") == [PRICE]
    assert await balance(harness) == HAS


async def test_polls_that_overlap_in_two_replicas_give_back_once(
    harness: Harness, open_bench: OpenBench
) -> None:
    """Overlapping polls, a sweep of time-outs and several instances each refunded one failure.

    https://github.com/QuantumNous/new-api/pull/6074
    """
    other = await open_bench(money=MoneyMode.TEST, sharing=harness)
    job = await harness.run(**IMAGEN)
    harness.provider.tasks["task-1"] = FAILURE
    await harness.later(days=2)
    await asyncio.gather(
        *(each.poll_all() for each in (harness, other)),
        *(each.sweep() for each in (harness, other)),
        *(each.callback(FAILURE) for each in (harness, other)),
        *(_release(each, job) for each in (harness, other)),
    )
    assert await moved(harness, "release") == [PRICE]
    assert await balance(harness) == HAS


async def _release(harness: Harness, job: Job) -> None:
    """Give back what is held without a look at what became of the job."""
    async with harness.transaction() as tx:
        locked = await tx.jobs.lock(job.id)
        if locked.state.is_final:
            await tx.ledger.release(job.id)


async def test_a_settlement_that_turns_out_dearer_leaves_no_balance_below_zero(
    harness: Harness,
) -> None:
    """A price that was estimated too low was charged for after the task, below zero.

    https://github.com/QuantumNous/new-api/issues/4526
    """
    job = await harness.accept(**CEILING)
    ceiling = int(job.price.credits)
    spent = GrantRequest(CALLER, "spent", "user:1", -HAS, "all the rest")
    await grant_credits(harness.deps, spent)
    assert await balance(harness) == 0

    await harness.dispatch_all()
    await harness.callback(replace(SUCCESS, cost=Decimal(100_000)))
    await harness.fetch_all()

    assert (await harness.job(job)).charged_credits == ceiling
    assert await balance(harness) == 0


async def test_the_price_is_not_read_again_at_the_end(harness: Harness) -> None:
    """The ratios were read again at the end, so a change meanwhile changed the price of a task.

    https://github.com/QuantumNous/new-api/issues/6172
    """
    exact, measured = await harness.run(**IMAGEN), await harness.run(**CEILING)
    await set_margin(harness, "3")
    for call in (1, 2):
        await harness.callback(replace(SUCCESS, cost=Decimal(5)), call=call)
    await harness.fetch_all()

    assert (await harness.job(exact)).charged_credits == PRICE
    assert (await harness.job(measured)).charged_credits == 5
    assert await balance(harness) == HAS - PRICE - 5


async def test_what_came_back_does_not_count_as_spent(harness: Harness) -> None:
    """A refund raised the balance and left what counted as used, so the total grew with each.

    https://github.com/QuantumNous/new-api/issues/4211
    """
    for n in range(3):
        await harness.run(**IMAGEN)
        await harness.callback(FAILURE, call=n + 1)
    await harness.made(**IMAGEN)

    spent = sum(await moved(harness, "capture"))
    assert spent == PRICE
    assert await balance(harness) + spent == HAS


async def test_a_time_out_of_ours_is_no_verdict_of_the_provider(harness: Harness) -> None:
    """A poll gave up after minutes and refunded in full; the provider delivered and billed.

    https://github.com/elizaOS/eliza/issues/11862
    """
    job = await late(harness, **IMAGEN)
    assert (await harness.job(job)).state is JobState.RUNNING
    assert await holds(harness) == [("open", 0)]

    await harness.callback(replace(SUCCESS, cost=Decimal(8)))
    await harness.fetch_all()
    assert await holds(harness) == [("captured", PRICE)]
    assert await balance(harness) == HAS - PRICE


async def test_what_comes_after_the_last_deadline_is_free_and_booked(harness: Harness) -> None:
    """The other half of the same: what the provider took for a refunded job was in no book.

    https://github.com/elizaOS/eliza/issues/11862
    """
    await harness.run(**IMAGEN)
    await harness.later(days=2)
    await harness.sweep()
    await harness.callback(replace(SUCCESS, cost=Decimal(8)))
    await harness.fetch_all()
    assert await balance(harness) == HAS
    booked = await harness.query("SELECT amount FROM transfer WHERE target = 'late_results'")
    assert [row["amount"] for row in booked] == [8000]


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_no_sweep_ends_a_hold_before_the_verdict(
    harness: Harness, is_cancelled: bool
) -> None:
    """A sweep of old reservations charged in full, and the failure that came later gave nothing.

    https://github.com/elizaOS/eliza/issues/11942
    """
    job = await harness.run(**IMAGEN)
    if is_cancelled:
        await cancel_job.cancel_job(harness.deps, CALLER, job_id=job.id)
    for _ in range(6):
        await harness.later(minutes=30)
        await harness.sweep()
    assert await holds(harness) == [("open", 0)]
    assert await moved(harness, "capture") == []

    await harness.callback(FAILURE)
    assert await moved(harness, "release") == [PRICE]
    assert await balance(harness) == HAS


async def test_a_result_is_not_charged_before_it_can_be_downloaded(harness: Harness) -> None:
    """The charge was settled with the provider's word, and the media could not be had.

    https://github.com/open-software-network/os-clovy/pull/627 (in its review)
    """
    job = await harness.run(**IMAGEN)
    harness.fetcher.links = {LINK: FetchFailed("gone"), FRESH: FetchFailed("gone")}
    await harness.callback(replace(SUCCESS, cost=Decimal(8)))
    await harness.fetch_all()
    assert await holds(harness) == [("open", 0)]
    assert await moved(harness, "capture") == []
    for _ in range(60):
        await harness.later(hours=1)
        await harness.fetch_all()
    assert (await harness.job(job)).state is JobState.FAILED
    assert await balance(harness) == HAS


@pytest.mark.parametrize("trouble", [ProviderUnreachable("no answer"), ProviderSilent("502")])
async def test_a_task_that_cannot_be_read_keeps_its_hold(
    harness: Harness, trouble: Exception
) -> None:
    """A poll that failed, or a task that was at work for an hour, was refunded as if it had failed.

    https://github.com/elizaOS/eliza/issues/12158
    """
    job = await harness.run(**IMAGEN)
    harness.provider.tasks["task-1"] = trouble
    for _ in range(6):
        await harness.later(minutes=15)
        await harness.poll_all()
        await harness.sweep()
    assert (await harness.job(job)).state is JobState.RUNNING
    assert await holds(harness) == [("open", 0)]

    harness.provider.tasks["task-1"] = SUCCESS
    await harness.later(minutes=15)
    await harness.poll_all()
    await harness.fetch_all()
    assert await moved(harness, "capture") == [PRICE]
    assert await balance(harness) == HAS - PRICE


@pytest.mark.parametrize("lives", [1, 2, 3])
@pytest.mark.parametrize("is_committed", [False, True])
async def test_a_charge_is_not_lost_with_the_process_that_makes_it(
    harness: Harness, lives: int, is_committed: bool
) -> None:
    """The charge was made beside the result, and one that failed was only logged.

    https://github.com/ChronoAIProject/NyxID/issues/1158
    """
    job = await harness.run(**IMAGEN)
    await harness.callback(SUCCESS)
    whole = harness.deps
    fragile = FragileDatabase(whole.database, Fuse(lives, is_committed))
    harness.deps = replace(whole, database=cast(Any, fragile))
    with contextlib.suppress(Killed):
        await harness.fetch_all()

    harness.deps = whole
    is_over = (await harness.job(job)).state is JobState.SUCCEEDED
    assert await moved(harness, "capture") == ([PRICE] if is_over else [])
    await harness.later(hours=1)
    await harness.fetch_all()
    assert await moved(harness, "capture") == [PRICE]
    assert await balance(harness) == HAS - PRICE


async def test_a_retry_is_an_attempt_of_its_own(harness: Harness) -> None:
    """A retry took over the id of the attempt before it, and a run that never ran was charged.

    https://github.com/ddcat-ai/open-ai-canvas/issues/477, which was not read: built from the
    sentence "a retry that reuses the former attempt's id and charges a run that never ran".
    """
    job = await harness.accept(**IMAGEN)
    harness.provider.refuse(ProviderSilent("no answer"))
    await harness.dispatch_all()
    harness.provider.refuse(None)
    for _ in range(12):
        await harness.later(minutes=5)
        await harness.sweep()
        await harness.dispatch_all()
    first, second = await harness.attempts(job)
    assert first["id"] != second["id"]
    assert first["token_hash"] != second["token_hash"]

    await harness.callback(FAILURE, call=2)
    assert await moved(harness, "capture") == []
    assert await moved(harness, "provider_cost") == []
    await harness.later(days=2)
    await harness.sweep()
    assert await balance(harness) == HAS


async def test_who_asks_again_pays_no_more(harness: Harness) -> None:
    """Each poll of a response added its full cost to the budget once more.

    https://github.com/BerriAI/litellm/issues/25015
    """
    job = await harness.run(**IMAGEN)
    told = replace(SUCCESS, cost=Decimal(8))
    harness.provider.tasks["task-1"] = told
    for _ in range(3):
        await harness.later(minutes=30)
        await harness.poll_all()
        await harness.callback(told)
        await harness.fetch_all()
        await read_job.get(harness.deps, CALLER, job_id=job.id)
    assert await moved(harness, "provider_cost") == [8000]
    assert await moved(harness, "capture") == [PRICE]
    assert await balance(harness) == HAS - PRICE


@pytest.mark.parametrize("margin", ["0.0001", "1", "2.5"])
async def test_what_is_shown_is_what_is_charged_and_never_nothing(
    harness: Harness, margin: str
) -> None:
    """Paid models were charged 0, and prices were shown that were not those that were charged.

    A bot of our own did that.
    """
    await set_margin(harness, margin)
    request = QuoteRequest(CALLER, "google/imagen4", {"prompt": "a cat"}, "user:1", "en")
    shown = await quote_job(harness.deps, request)
    job = await harness.made(**IMAGEN)
    assert int(shown.price.credits) == int(job.price.credits) == job.charged_credits
    assert await moved(harness, "capture") == [max(1, int(PRICE * Decimal(margin)))]
    assert await balance(harness) == HAS - int(shown.price.credits)
