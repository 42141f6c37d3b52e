"""What comes back once a job is over: what a late cost says, and what pays a debt."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from random import Random
from uuid import uuid4

import pytest

from generation_svc.domain.error import ProviderSilent
from generation_svc.domain.job import Job
from generation_svc.domain.ledger import Delivered, TransferKind
from generation_svc.domain.money import MoneyMode
from generation_svc.engine.read_cost import WORK
from generation_svc.engine.work import do_one
from generation_svc.lifecycle.ledger_audit import check_ledger
from generation_svc.usecase import read_job
from generation_svc.usecase.cancel_job import cancel_job
from tests.integration.test_ledger_settle import CEILING, keep
from tests.ledger_rule import Hold, captured_amount, returned
from tests.lifecycle import CALLER, FAILURE, LINK, SUCCESS, Harness, OpenBench, items_of
from tests.money import BUYER, IMAGEN, PRICE, bought, grant, holds, take_back, wallet

GRANTED, PAID = 15, 85
FIVE = replace(SUCCESS, cost=Decimal("4.2"))


@pytest.fixture
async def harness(open_bench: OpenBench) -> Harness:
    harness = await open_bench(money=MoneyMode.TEST)
    await grant(harness, GRANTED)
    await grant(harness, PAID, kind=TransferKind.TOP_UP)
    return harness


async def ended(harness: Harness) -> Job:
    """Have a job end under its ceiling, by a callback that names no cost."""
    job = await harness.run(**CEILING)
    await harness.callback(SUCCESS)
    await harness.fetch_all()
    assert await holds(harness) == [("captured", int(job.price.credits))]
    return job


async def differences(harness: Harness) -> list[str]:
    found = (await check_ledger(harness.deps.database)).differences
    # The harness itself writes top-ups that nobody paid for.
    return [str(each) for each in found if each.rule != "transfer_has_cause"]


async def test_what_a_late_cost_leaves_of_a_ceiling_comes_back_once(harness: Harness) -> None:
    job = await ended(harness)
    harness.provider.tasks["task-1"] = FIVE
    before = await harness.job(job)

    assert await do_one(harness.deps, WORK)

    assert (await harness.job(job)).charged_credits == 5
    assert (await harness.job(job)).revision == before.revision
    assert await holds(harness) == [("captured", 5)]
    has = await wallet(harness)
    assert (has.granted, has.paid, has.held) == (GRANTED - 5, PAID, 0)
    assert await differences(harness) == []
    await harness.callback(replace(SUCCESS, cost=Decimal(1)))
    assert not await do_one(harness.deps, WORK)
    assert await wallet(harness) == has


async def test_a_late_callback_that_names_the_cost_gives_the_rest_back(harness: Harness) -> None:
    await ended(harness)
    await asyncio.gather(*(harness.callback(FIVE) for _ in range(5)))
    assert await holds(harness) == [("captured", 5)]
    assert (await wallet(harness)).balance == GRANTED + PAID - 5
    assert await differences(harness) == []


async def test_a_late_cost_above_the_ceiling_takes_nothing_more(harness: Harness) -> None:
    job = await ended(harness)
    harness.provider.tasks["task-1"] = replace(SUCCESS, cost=Decimal(900))
    assert await do_one(harness.deps, WORK)
    assert (await harness.job(job)).charged_credits == int(job.price.credits)
    assert await differences(harness) == []


async def test_a_late_cost_of_a_cancelled_job_gives_the_rest_back_too(harness: Harness) -> None:
    job = await harness.run(**CEILING)
    await cancel_job(harness.deps, CALLER, job_id=job.id)
    await harness.callback(SUCCESS)
    await harness.fetch_all()
    harness.provider.tasks["task-1"] = FIVE
    assert await do_one(harness.deps, WORK)
    assert await holds(harness) == [("captured", 5)]
    assert await differences(harness) == []


async def made_twice(harness: Harness) -> Job:
    """Have a job sent again, since nobody answered, and its second task end before the first."""
    harness.provider.refuse(ProviderSilent("no answer"))
    job = await harness.accept(**CEILING)
    await harness.dispatch_all()
    harness.provider.refuse(None)
    await harness.later(hours=1)
    await harness.dispatch_all()
    assert len(harness.provider.created) == 2
    return job


@pytest.mark.parametrize("is_cancelled", [False, True], ids=["shown", "cancelled"])
async def test_only_the_task_that_made_the_result_says_what_it_took(
    harness: Harness, is_cancelled: bool
) -> None:
    job = await made_twice(harness)
    if is_cancelled:
        await cancel_job(harness.deps, CALLER, job_id=job.id)
    for call in (2, 1):
        await harness.callback(SUCCESS, call=call)
        await harness.fetch_all()
        assert await differences(harness) == []  # also while the other task lives
    assert await holds(harness) == [("captured", int(job.price.credits))]
    await harness.callback(replace(SUCCESS, cost=Decimal("0.5")), call=1)
    assert await holds(harness) == [("captured", int(job.price.credits))]
    await harness.callback(FIVE, call=2)
    assert await holds(harness) == [("captured", 5)]
    assert await differences(harness) == []


async def test_what_another_task_brings_too_late_is_not_what_was_charged(harness: Harness) -> None:
    job = await made_twice(harness)
    await cancel_job(harness.deps, CALLER, job_id=job.id)
    links = (LINK, f"{LINK}?2")
    for call, files in ((2, links), (1, links[:1])):
        told = replace(SUCCESS, results=items_of(*files), cost=Decimal(call))
        await harness.callback(told, call=call)
        await harness.fetch_all()
    kept = (await read_job.get(harness.deps, CALLER, job_id=job.id)).kept_result
    assert kept is not None
    assert len(kept.media) == 2
    assert await holds(harness) == [("captured", 2)]
    assert await differences(harness) == []


@pytest.mark.parametrize("is_cancelled", [False, True], ids=["shown", "cancelled"])
async def test_a_second_result_whose_cost_is_known_is_not_asked_for(
    harness: Harness, is_cancelled: bool
) -> None:
    job = await made_twice(harness)
    if is_cancelled:
        await cancel_job(harness.deps, CALLER, job_id=job.id)
    for call in (2, 1):
        await harness.callback(replace(SUCCESS, cost=Decimal(call)), call=call)
        await harness.fetch_all()
    assert [each["state"] for each in await harness.attempts(job)] == ["lost", "settled"]
    assert not await do_one(harness.deps, WORK)


async def test_a_second_result_is_read_for_its_cost_and_no_more(harness: Harness) -> None:
    job = await made_twice(harness)
    for call in (2, 1):
        task_id = f"task-{call}"
        await harness.callback(replace(SUCCESS, task_id=task_id), call=call)
        await harness.fetch_all()
        harness.provider.tasks[task_id] = replace(SUCCESS, cost=Decimal(call))
    while await do_one(harness.deps, WORK):
        await harness.query("UPDATE attempt SET cost_time = now() WHERE cost_time IS NOT NULL")

    assert sorted(harness.provider.reads) == ["task-1", "task-2"]
    assert [each["cost"] for each in await harness.attempts(job)] == [1, 2]
    booked = await harness.query(
        "SELECT amount, target FROM transfer WHERE kind = 'provider_cost' ORDER BY amount"
    )
    assert [tuple(each.values()) for each in booked] == [
        (1000, "provider_cost"),
        (2000, "provider_cost"),
    ]
    assert await holds(harness) == [("captured", 2)]
    assert await differences(harness) == []


async def test_a_late_cost_changes_nothing_where_the_price_was_exact(harness: Harness) -> None:
    job = await harness.made(**IMAGEN)
    harness.provider.tasks["task-1"] = replace(SUCCESS, cost=Decimal(1))
    await do_one(harness.deps, WORK)
    assert (await harness.job(job)).charged_credits == PRICE
    assert await differences(harness) == []


async def test_the_database_lowers_a_charge_to_what_the_domain_says(harness: Harness) -> None:
    random = Random(12)
    for _ in range(100):
        held = Hold(
            uuid4(),
            "user:1",
            "acme/film",
            granted=random.choice((0, 1, 7, 40)),
            paid=random.choice((1, 3, 20)),
            margin=Decimal(random.choice(("0.0371", "1", "1.5", "3"))),
        )
        files = Delivered(random.randint(1, 5), random.randint(0, 3))
        measured = replace(files, measured_cost=Decimal(random.randint(0, 30000)) / 1000)
        await keep(harness, held)
        debt = random.choice((0, 2, 1000))
        await harness.query("UPDATE wallet SET debt = %s", debt)
        before = await wallet(harness)
        async with harness.transaction() as tx:
            await tx.ledger.capture(held.job_id, files)
            lowered = await tx.ledger.lower(held.job_id, measured)
            assert await tx.ledger.lower(held.job_id, measured) is None
        captured = min(captured_amount(held, each) for each in (files, measured))
        assert lowered in (captured, None)
        granted, paid = returned(held, captured=captured)
        borne = min(paid, debt)
        after = await wallet(harness)
        assert (after.granted, after.paid) == (before.granted + granted, before.paid + paid - borne)
        assert (after.held, after.debt) == (before.held - held.total, debt - borne)


@pytest.mark.parametrize("end", ["failure", "cancel"])
async def test_credits_that_come_back_pay_the_debt_that_a_refund_made(
    harness: Harness, end: str
) -> None:
    """Whoever has a payment returned while jobs hold its credits has not both in the end."""
    top_up = await bought(harness, 2 * PRICE, owner=BUYER)
    jobs = [await harness.accept(owner=BUYER, **IMAGEN) for _ in range(2)]
    await take_back(harness, top_up, is_charged_back=True)
    has = await wallet(harness, BUYER)
    assert (has.balance, has.held, has.debt) == (0, 2 * PRICE, 2 * PRICE)
    if end == "cancel":
        for job in jobs:
            await cancel_job(harness.deps, CALLER, job_id=job.id)
    else:
        await harness.dispatch_all()
        for number in (1, 2):
            await harness.callback(FAILURE, call=number, task_id=f"task-{number}")
    has = await wallet(harness, BUYER)
    assert (has.balance, has.held, has.debt) == (0, 0, 0)
    assert await differences(harness) == []
