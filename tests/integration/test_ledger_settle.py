"""What is held for a job is taken for what was stored, once, and comes back otherwise."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from structlog.testing import capture_logs

from generation_svc.domain.error import FetchFailed, ProviderRefused, ProviderSilent
from generation_svc.domain.failure import FailureReason
from generation_svc.domain.job import Job, JobState
from generation_svc.domain.ledger import Delivered, TransferKind
from generation_svc.domain.money import MarginRule, MarginScope, MoneyMode
from generation_svc.engine.batch import BATCH
from generation_svc.engine.maintenance.holds import end_holds
from generation_svc.usecase import cancel_job
from tests.ledger_rule import Hold, captured_amount, returned
from tests.lifecycle import CALLER, FAILURE, LINK, SUCCESS, Harness, OpenBench, items_of
from tests.money import FREE, IMAGEN, PRICE, check_ledger, grant, holds, wallet
from tests.statement_count import counting_database

WAN: dict[str, Any] = {"model_id": "wan/2-7-image", "inputs": {"prompt": "cats", "n": 4}}
CEILING: dict[str, Any] = {
    "model_id": "bytedance/seedream-v4-text-to-image",
    "inputs": {"prompt": "cats", "max_images": 4},
}
HAS = 100
MORE_AT_MOST = 12
FRESH = "https://file.aiquickdraw.com/fresh.png"
"""What the provider gives for a link that is no good."""


@pytest.fixture
async def harness(open_bench: OpenBench) -> Harness:
    harness = await open_bench(money=MoneyMode.TEST)
    await grant(harness, 5)
    await grant(harness, HAS - 5, kind=TransferKind.TOP_UP)
    return harness


async def balance(harness: Harness) -> int:
    await check_ledger(harness)
    has = await wallet(harness)
    return has.balance


async def cancel(harness: Harness, job: Job) -> Job:
    return await cancel_job.cancel_job(harness.deps, CALLER, job_id=job.id)


async def costs(harness: Harness) -> list[tuple[str, int]]:
    rows = await harness.query(
        "SELECT target, amount FROM transfer WHERE kind = 'provider_cost' ORDER BY id"
    )
    return [(row["target"], row["amount"]) for row in rows]


async def test_a_stored_result_is_charged_once(harness: Harness) -> None:
    job = await harness.made(**IMAGEN)

    assert job.charged_credits == PRICE
    assert await holds(harness) == [("captured", PRICE)]
    assert await balance(harness) == HAS - PRICE
    await harness.callback(SUCCESS)
    await harness.fetch_all()
    assert await balance(harness) == HAS - PRICE


async def test_a_result_is_charged_only_once_it_is_stored(harness: Harness) -> None:
    await harness.run(**IMAGEN)
    await harness.callback(SUCCESS)
    assert await holds(harness) == [("open", 0)]
    await harness.fetch_all()
    assert await holds(harness) == [("captured", PRICE)]


async def test_a_failure_gives_all_back_where_it_was(harness: Harness) -> None:
    job = await harness.run(**IMAGEN)
    await harness.callback(FAILURE)

    assert (await harness.job(job)).charged_credits == 0
    assert await holds(harness) == [("released", 0)]
    has = await wallet(harness)
    assert (has.granted, has.paid, has.held) == (5, HAS - 5, 0)
    await check_ledger(harness)


async def test_a_refusal_gives_all_back(harness: Harness) -> None:
    await harness.accept(**IMAGEN)
    reason = FailureReason.REQUEST_REFUSED
    harness.provider.refuse(ProviderRefused("no", code="422", reason=reason))
    await harness.dispatch_all()
    assert await holds(harness) == [("released", 0)]
    assert await balance(harness) == HAS


async def test_a_job_that_was_not_started_in_time_gives_all_back(harness: Harness) -> None:
    await harness.accept(**IMAGEN)
    await harness.later(days=2)
    await harness.sweep()
    assert await holds(harness) == [("released", 0)]
    assert await balance(harness) == HAS


async def test_a_cancelled_job_of_unknown_fate_keeps_its_hold_as_long_as_it_could_have_waited(
    harness: Harness,
) -> None:
    job = await harness.accept(**IMAGEN)
    harness.provider.refuse(ProviderSilent("no answer"))
    await harness.dispatch_all()
    await cancel(harness, job)
    await harness.later(hours=1)
    await harness.sweep()
    assert await holds(harness) == [("open", 0)]

    await harness.later(hours=3)
    await harness.sweep()
    assert await holds(harness) == [("released", 0)]
    assert await balance(harness) == HAS


async def test_files_that_are_missing_are_not_charged_for(harness: Harness) -> None:
    job = await harness.run(**WAN)
    links = [f"{LINK}?{n}" for n in range(4)]
    harness.fetcher.links = {links[3]: FetchFailed("gone"), FRESH: FetchFailed("gone")}
    await harness.callback(replace(SUCCESS, results=items_of(*links)))
    held = int(job.price.credits)  # 4 × 4.8 = 19.2
    assert held == 20
    for _ in range(60):
        await harness.later(hours=1)
        await harness.fetch_all()

    settled = await harness.job(job)
    assert settled.result is not None
    assert (len(settled.result.media), settled.result.missing_count) == (3, 1)
    assert settled.charged_credits == held * 3 // 4
    assert await balance(harness) == HAS - held * 3 // 4


async def test_fewer_results_than_were_asked_for_cost_less(harness: Harness) -> None:
    job = await harness.run(**WAN)
    await harness.callback(replace(SUCCESS, results=items_of(LINK)))
    await harness.fetch_all()
    assert (await harness.job(job)).charged_credits == 20 // 4


async def test_under_a_ceiling_what_the_provider_took_is_charged(harness: Harness) -> None:
    async with harness.transaction() as tx:
        await tx.money.add_margin(
            MarginRule(MarginScope.DEFAULT, "", Decimal("1.5"), "operator", "dearer")
        )
    job = await harness.run(**CEILING)
    assert job.price.is_ceiling
    async with harness.transaction() as tx:
        await tx.money.add_margin(
            MarginRule(MarginScope.DEFAULT, "", Decimal(10), "operator", "dearer still")
        )
    await harness.callback(replace(SUCCESS, cost=Decimal("5.1")))
    await harness.fetch_all()

    assert (await harness.job(job)).charged_credits == 8  # 5.1 × 1.5, rounded up
    assert await costs(harness) == [("provider_cost", 5100)]
    await check_ledger(harness)


async def test_never_more_than_the_ceiling_is_charged(harness: Harness) -> None:
    job = await harness.run(**CEILING)
    await harness.callback(replace(SUCCESS, cost=Decimal(900)))
    await harness.fetch_all()
    assert (await harness.job(job)).charged_credits == int(job.price.credits)
    await check_ledger(harness)


async def test_a_job_cancelled_in_the_queue_gives_all_back_at_once(harness: Harness) -> None:
    job = await harness.accept(**IMAGEN)
    assert (await cancel(harness, job)).charged_credits == 0
    assert await holds(harness) == [("released", 0)]
    assert await balance(harness) == HAS


async def test_a_job_cancelled_while_it_runs_is_charged_for_what_is_stored(
    harness: Harness,
) -> None:
    job = await harness.run(**IMAGEN)
    assert (await cancel(harness, job)).charged_credits is None
    assert await holds(harness) == [("open", 0)]
    await check_ledger(harness)

    await harness.callback(SUCCESS)
    await harness.fetch_all()

    cancelled = await harness.job(job)
    assert (cancelled.state, cancelled.charged_credits) == (JobState.CANCELLED, PRICE)
    assert await holds(harness) == [("captured", PRICE)]
    assert await balance(harness) == HAS - PRICE


@pytest.mark.parametrize("end", ["failure", "given up", "not stored"])
async def test_a_job_cancelled_while_it_runs_gives_back_what_brings_nothing(
    harness: Harness, end: str
) -> None:
    job = await harness.run(**IMAGEN)
    await cancel(harness, job)
    if end == "failure":
        await harness.callback(FAILURE)
    elif end == "given up":
        await harness.later(days=2)
        await harness.poll_all()
        await harness.sweep()
    else:
        harness.fetcher.links = {LINK: FetchFailed("gone"), FRESH: FetchFailed("gone")}
        await harness.callback(SUCCESS)
        for _ in range(60):
            await harness.later(hours=1)
            await harness.fetch_all()
    assert (await harness.job(job)).charged_credits == 0
    assert await holds(harness) == [("released", 0)]
    assert await balance(harness) == HAS


async def test_a_success_after_the_release_is_free_and_the_house_bears_it(
    harness: Harness,
) -> None:
    job = await harness.run(**IMAGEN)
    await harness.later(days=2)
    await harness.sweep()
    assert (await harness.job(job)).state is JobState.FAILED
    assert await holds(harness) == [("released", 0)]

    for _ in range(2):
        await harness.callback(replace(SUCCESS, cost=Decimal(8)))
    await harness.fetch_all()

    assert await costs(harness) == [("late_results", 8000)]
    assert await holds(harness) == [("released", 0)]
    assert await balance(harness) == HAS


async def test_the_cost_of_an_attempt_is_booked_once(harness: Harness) -> None:
    await harness.run(**IMAGEN)
    told = replace(SUCCESS, cost=Decimal("7.25"))
    await asyncio.gather(*(harness.callback(told) for _ in range(3)))
    harness.provider.tasks["task-1"] = told
    await harness.later(minutes=10)
    await harness.poll_all()
    await harness.fetch_all()
    assert await costs(harness) == [("provider_cost", 7250)]


async def test_a_cost_is_booked_with_the_account_that_paid_it(open_bench: OpenBench) -> None:
    harness = await open_bench(money=MoneyMode.TEST, accounts=("first", "second"))
    await grant(harness, HAS)
    for number in (1, 2):
        await harness.run(**IMAGEN)
        told = replace(SUCCESS, cost=Decimal(number))
        await harness.callback(told, call=number, task_id=f"task-{number}")
    paid = {account: 1000 * number for number, account in enumerate(harness.provider.used, 1)}
    assert set(paid) == {"first", "second"}
    rows = await harness.query(
        "SELECT detail ->> 'account' AS account, amount FROM transfer WHERE kind = 'provider_cost'"
    )
    assert {row["account"]: row["amount"] for row in rows} == paid


@pytest.mark.parametrize("first", ["cancel", "callback"])
async def test_a_cancel_and_a_result_at_once_charge_once(harness: Harness, first: str) -> None:
    job = await harness.run(**IMAGEN)
    calls = {"cancel": cancel(harness, job), "callback": harness.callback(SUCCESS)}
    ordered = sorted(calls.items(), key=lambda each: each[0] != first)
    await asyncio.gather(*(call for _, call in ordered))
    await harness.fetch_all()
    assert await holds(harness) == [("captured", PRICE)]
    assert await balance(harness) == HAS - PRICE


async def test_ten_jobs_of_one_owner_end_at_once(harness: Harness) -> None:
    for _ in range(10):
        await harness.run(**IMAGEN)
    await asyncio.gather(
        *(
            harness.callback(FAILURE if n % 2 else SUCCESS, call=n + 1, task_id=f"task-{n + 1}")
            for n in range(10)
        )
    )
    await asyncio.gather(harness.fetch_all(), harness.fetch_all())
    assert sorted(await holds(harness)) == [("captured", PRICE)] * 5 + [("released", 0)] * 5
    assert await balance(harness) == HAS - 5 * PRICE


async def test_the_database_captures_what_the_domain_says(harness: Harness) -> None:
    random = Random(8)
    for _ in range(150):
        held = Hold(
            uuid4(),
            "user:1",
            "acme/film",
            granted=random.choice((0, 1, 7, 40)),
            paid=random.choice((1, 3, 20)),
            margin=Decimal(random.choice(("0.0371", "1", "1.5", "3"))),
            promised=random.randint(1, 5),
        )
        cost = random.choice((None, Decimal(random.randint(0, 30000)) / 1000))
        delivered = Delivered(random.randint(0, 5), random.randint(0, 3), cost)
        await keep(harness, held)
        async with harness.transaction() as tx:
            before = await tx.ledger.wallet("user:1")
            captured = await tx.ledger.capture(held.job_id, delivered)
            assert await tx.ledger.capture(held.job_id, delivered) is None
            after = await tx.ledger.wallet("user:1")
        assert captured == captured_amount(held, delivered)
        granted, paid = returned(held, captured=captured)
        assert (after.granted, after.paid) == (before.granted + granted, before.paid + paid)
        assert after.held == before.held - held.total


async def keep(harness: Harness, hold: Hold) -> None:
    await harness.query("UPDATE wallet SET held = held + %s", hold.total)
    await harness.query(
        "INSERT INTO hold (job_id, owner, model_id, granted, paid, margin, promised, create_time)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, now())",
        hold.job_id,
        hold.owner,
        hold.model_id,
        hold.granted,
        hold.paid,
        hold.margin,
        hold.promised,
    )


async def test_who_knows_no_holds_does_not_end_a_paid_job(harness: Harness) -> None:
    job = await harness.run(**IMAGEN)
    with pytest.raises(psycopg.errors.CheckViolation, match="open hold"):
        await harness.query(
            "UPDATE job SET state = 'failed', dispatch_time = NULL, failure = '{}' WHERE id = %s",
            job.id,
        )
    assert (await harness.job(job)).state is JobState.RUNNING


@pytest.mark.parametrize("is_stored", [False, True])
async def test_what_an_earlier_release_left_held_for_a_cancelled_job_is_ended(
    harness: Harness, is_stored: bool
) -> None:
    job = await harness.run(**IMAGEN)
    await harness.query("UPDATE job SET state = 'cancelled', revision = 9 WHERE id = %s", job.id)
    if is_stored:
        await harness.callback(SUCCESS)
        await harness.fetch_all()
        await _reopen(harness)
    else:
        await harness.query("UPDATE attempt SET state = 'lost', read_time = NULL")
    await harness.sweep()
    assert await holds(harness) == [("captured", PRICE) if is_stored else ("released", 0)]


async def test_holds_that_cannot_be_ended_stand_before_no_other(harness: Harness) -> None:
    lost = 2 * BATCH
    for _ in range(lost):  # their jobs are gone, so each of them fails every time
        hold = Hold(uuid4(), "user:1", "acme/film", granted=1, paid=0, margin=Decimal(1))
        await keep(harness, hold)
    job = await harness.run(**IMAGEN)
    await harness.query("UPDATE job SET state = 'cancelled', revision = 9 WHERE id = %s", job.id)
    await harness.query("UPDATE attempt SET state = 'lost', read_time = NULL")
    with capture_logs():
        assert not await end_holds(harness.deps)  # at once again would be for ever
    assert await holds(harness) == [("open", 0)] * lost + [("released", 0)]


async def _reopen(harness: Harness) -> None:
    """Leave the hold as one does who knows none."""
    await harness.query("UPDATE hold SET state = 'open', captured = 0, end_time = NULL")
    await harness.query("UPDATE wallet SET held = held + 8")
    await harness.query("ALTER TABLE transfer DISABLE TRIGGER transfer_is_kept")
    await harness.query("DELETE FROM transfer WHERE kind = 'capture'")


async def test_a_paid_life_takes_few_statements_more_than_a_free_one(
    harness: Harness, database_url: str
) -> None:
    counts = []
    async with counting_database(database_url) as (database, asked):
        harness.deps = replace(harness.deps, database=database)
        for wish in (FREE, FREE, IMAGEN, IMAGEN):  # the first one reads what is read now and then
            asked.clear()
            await harness.run(destination=None, **wish)
            await harness.callback(replace(SUCCESS, cost=Decimal(8)))
            await harness.fetch_all()
            counts.append((len(asked.statements), asked.transactions))
    (free, free_transactions), (paid, paid_transactions) = counts[1], counts[3]
    # What is read once a second or less often may fall into either of them.
    assert paid <= free + MORE_AT_MOST, asked.statements
    assert paid_transactions <= free_transactions + 3


async def test_a_paid_settle_is_one_statement_more_than_a_free_one(
    harness: Harness, database_url: str
) -> None:
    counts = []
    async with counting_database(database_url) as (database, asked):
        harness.deps = replace(harness.deps, database=database)
        for wish in (FREE, IMAGEN):
            await harness.run(destination=None, **wish)
            asked.clear()
            await harness.callback(SUCCESS)
            await harness.fetch_all()
            counts.append((len(asked.statements), asked.transactions))
    (free, free_transactions), (paid, paid_transactions) = counts
    assert paid == free + 1
    assert paid_transactions == free_transactions


@pytest.mark.parametrize(("cost", "count"), [("8.5", 0.0), ("8.51", 1.0)])
async def test_a_cost_above_the_quote_is_reported_once(
    harness: Harness, cost: str, count: float
) -> None:
    await harness.run(**IMAGEN)  # quoted with 8
    for _ in range(2):
        await harness.callback(replace(SUCCESS, cost=Decimal(cost)))
    name, labels = "atelier_provider_dear_tasks_total", {"model": IMAGEN["model_id"]}
    counted = harness.registry.get_sample_value(name, labels) or 0.0
    assert counted == count
