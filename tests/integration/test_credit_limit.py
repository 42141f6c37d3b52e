"""A wallet with a monthly limit: its jobs take what it has first, and then what it may owe."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from generation_svc.domain.job import Job
from generation_svc.domain.ledger import Delivered
from generation_svc.domain.money import MoneyMode
from generation_svc.domain.money_error import InsufficientCredits
from generation_svc.engine.read_cost import WORK
from generation_svc.engine.work import do_one
from generation_svc.lifecycle import ledger_audit
from generation_svc.usecase import cancel_job
from tests.integration.test_ledger_settle import CEILING, keep
from tests.ledger_rule import Hold
from tests.lifecycle import CALLER, FAILURE, LINK, SUCCESS, Harness, OpenBench, items_of
from tests.money import IMAGEN, PRICE, bought, check_ledger, grant, holds, wallet
from tests.statement_count import counting_database

pytestmark = pytest.mark.usefixtures("within_one_day")

SHOP = "shop"
FOUR: dict[str, Any] = {"model_id": "wan/2-7-image", "inputs": {"prompt": "cats", "n": 4}}


def shop(monthly_credits: int) -> Any:
    return replace(CALLER, wallet=SHOP, monthly_credits=monthly_credits)


@pytest.fixture
async def harness(open_bench: OpenBench) -> Harness:
    harness = await open_bench(money=MoneyMode.TEST)
    async with harness.transaction() as tx:
        await tx.money.mark(MoneyMode.TEST)
    return harness


async def checked(harness: Harness) -> None:
    """Hold the ledger to the rules of the tests and to those of the product."""
    await check_ledger(harness)
    report = await ledger_audit.check_ledger(harness.deps.database, piece=100)
    assert report.differences == ()


async def state(harness: Harness) -> tuple[int, int, int]:
    """What the shop can spend, what is held and what it owes."""
    has = await wallet(harness, SHOP)
    return has.balance, has.held, has.debt


async def refusal(harness: Harness, caller: Any, **wish: Any) -> InsufficientCredits | None:
    try:
        await harness.accept(caller=caller, **(wish or IMAGEN))
    except InsufficientCredits as error:
        return error
    return None


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("had", [0, 5, 2 * PRICE])
async def test_of_fifty_jobs_at_once_as_many_are_accepted_as_the_limit_allows(
    harness: Harness, open_bench: OpenBench, replicas: int, had: int
) -> None:
    if had:
        await grant(harness, had, owner=SHOP)
    caller, limit = shop(10 * PRICE + 3 - had), 10 * PRICE + 3 - had
    benches = [harness]
    if replicas > 1:
        benches.append(await open_bench(money=MoneyMode.TEST, sharing=harness))

    outcomes: Sequence[Any] = await asyncio.gather(
        *(
            bench.accept(owner=f"user:{n}", request_id=f"r-{n}", caller=caller, **IMAGEN)
            for n, bench in enumerate(benches * (50 // replicas))
        ),
        return_exceptions=True,
    )

    assert sum(isinstance(each, Job) for each in outcomes) == 10
    missing = [each for each in outcomes if isinstance(each, InsufficientCredits)]
    assert {(each.price, each.balance, each.missing) for each in missing} == {(PRICE, 3, 5)}
    assert len(missing) == 40
    assert await state(harness) == (0, 10 * PRICE, limit - 3)
    await checked(harness)


async def test_what_the_wallet_has_is_taken_first(harness: Harness) -> None:
    await grant(harness, PRICE + 3, owner=SHOP)
    caller = shop(PRICE)
    await harness.accept(caller=caller, **IMAGEN)
    assert await state(harness) == (3, PRICE, 0)
    await harness.accept(caller=caller, **IMAGEN)
    assert await state(harness) == (0, 2 * PRICE, PRICE - 3)
    error = await refusal(harness, caller)
    assert error is not None
    assert (error.balance, error.missing) == (3, PRICE - 3)
    await checked(harness)


async def test_what_is_captured_stays_owed_and_counted(harness: Harness) -> None:
    caller = shop(PRICE)
    await harness.made(caller=caller, **IMAGEN)
    assert await state(harness) == (0, 0, PRICE)
    assert await refusal(harness, caller) is not None
    await checked(harness)


async def test_what_is_released_is_owed_no_longer_and_can_be_used_again(harness: Harness) -> None:
    caller = shop(PRICE)
    await harness.run(caller=caller, **IMAGEN)
    await harness.callback(FAILURE)
    assert await state(harness) == (0, 0, 0)
    job = await harness.accept(caller=caller, **IMAGEN)
    await cancel_job.cancel_job(harness.deps, CALLER, job_id=job.id)
    assert await state(harness) == (0, 0, 0)
    assert await refusal(harness, caller) is None
    await checked(harness)


async def test_of_a_part_that_is_delivered_the_own_credits_are_taken_first(
    harness: Harness,
) -> None:
    caller = shop(1000)
    await grant(harness, 1, owner=SHOP)
    job = await harness.run(caller=caller, **FOUR)
    price = int(job.price.credits)
    await harness.callback(replace(SUCCESS, results=items_of(LINK, f"{LINK}?2")))
    await harness.fetch_all()
    ((_, captured),) = await holds(harness)
    assert 1 < captured < price
    assert await state(harness) == (0, 0, captured - 1)
    await checked(harness)
    error = await refusal(harness, shop(captured - 1))
    assert error is not None
    assert error.balance == 0


async def test_what_a_late_cost_gives_back_is_owed_no_longer_and_can_be_used_again(
    harness: Harness,
) -> None:
    await grant(harness, 2, owner=SHOP)
    ceiling = int((await harness.run(caller=shop(1000), **CEILING)).price.credits)
    await harness.callback(SUCCESS)
    await harness.fetch_all()
    await harness.accept(caller=shop(1000), **IMAGEN)
    assert await state(harness) == (0, PRICE, ceiling - 2 + PRICE)

    harness.provider.tasks["task-1"] = replace(SUCCESS, cost=Decimal("4.2"))
    assert await do_one(harness.deps, WORK)

    owed = 5 - 2 + PRICE
    assert await state(harness) == (0, PRICE, owed)
    await checked(harness)
    error = await refusal(harness, shop(owed))
    assert error is not None
    assert error.balance == 0
    assert await refusal(harness, shop(owed + PRICE)) is None


async def test_a_part_that_is_lowered_counts_what_was_unused_once(harness: Harness) -> None:
    held = Hold(uuid4(), SHOP, "acme/film", granted=1, paid=9, margin=Decimal(1), promised=2)
    await grant(harness, 1, owner=SHOP)
    await keep(harness, held)
    await harness.query(
        "UPDATE wallet SET debt = 28, lent = 28, lent_month = date_trunc('month', now(), 'UTC');"
        " UPDATE hold SET lent = 8"
    )
    files = Delivered(1, 1)
    measured = replace(files, measured_cost=Decimal(4))
    async with harness.transaction() as tx:
        assert await tx.ledger.capture(held.job_id, files) == 5
        assert await tx.ledger.lower(held.job_id, measured) == 2
    # Of the ten credits the wallet's own two are captured, and none of the eight.
    assert await harness.query("SELECT lent, debt FROM wallet") == [{"lent": 20, "debt": 20}]


async def test_a_payment_pays_what_is_owed_and_makes_the_limit_no_larger(
    harness: Harness,
) -> None:
    caller = shop(2 * PRICE)
    running = await harness.run(caller=caller, **IMAGEN)
    await harness.accept(caller=caller, **IMAGEN)
    await bought(harness, 2 * PRICE, owner=SHOP)
    assert await state(harness) == (0, 2 * PRICE, 0)
    assert await refusal(harness, caller) is not None

    await harness.callback(FAILURE)  # what was paid for comes back to who paid for it

    assert (await harness.job(running)).state == "failed"
    assert await state(harness) == (PRICE, PRICE, 0)
    for _ in range(2):
        assert await refusal(harness, caller) is None
    assert await refusal(harness, caller) is not None
    assert await state(harness) == (0, 3 * PRICE, PRICE)
    await checked(harness)


async def test_in_the_next_month_the_limit_is_whole_and_old_jobs_give_it_nothing(
    harness: Harness,
) -> None:
    caller = shop(PRICE)
    await harness.run(caller=caller, **IMAGEN)
    await harness.query(
        "UPDATE wallet SET lent_month = lent_month - interval '1 month';"
        " UPDATE hold SET create_time = create_time - interval '1 month'"
    )
    assert await refusal(harness, caller) is None
    assert await refusal(harness, caller) is not None
    assert await state(harness) == (0, 2 * PRICE, 2 * PRICE)

    await harness.callback(FAILURE)  # the job of the month before

    assert await state(harness) == (0, PRICE, PRICE)
    assert await refusal(harness, caller) is not None
    await checked(harness)


async def test_one_that_begins_before_the_month_and_comes_after_it_counts_for_the_new_one(
    harness: Harness,
) -> None:
    caller = shop(PRICE)
    await harness.accept(caller=caller, **IMAGEN)
    await harness.query("UPDATE wallet SET lent_month = lent_month + interval '1 month'")
    assert await refusal(harness, caller) is not None


async def test_callers_that_share_a_wallet_share_its_limit_or_have_none(
    harness: Harness,
) -> None:
    await grant(harness, 5, owner=SHOP)
    wishes = [shop(0), shop(2 * PRICE), shop(0), shop(2 * PRICE), shop(2 * PRICE)]
    outcomes = await asyncio.gather(*(refusal(harness, caller) for caller in wishes))
    accepted = [
        caller for caller, error in zip(wishes, outcomes, strict=True) if error is None
    ]  # which two of the three does not matter: each sees to the wallet first
    assert accepted == [shop(2 * PRICE)] * 2
    assert await state(harness) == (0, 2 * PRICE, 2 * PRICE - 5)
    await checked(harness)


async def test_jobs_failures_and_payments_at_once_never_owe_more_than_the_limit(
    harness: Harness, open_bench: OpenBench
) -> None:
    caller, limit, paid = shop(4 * PRICE), 4 * PRICE, 0
    benches = [harness, await open_bench(money=MoneyMode.TEST, sharing=harness)]
    for turn in range(6):
        accepting = [refusal(benches[n % 2], caller) for n in range(8)]
        cancelling = [
            cancel_job.cancel_job(benches[n % 2].deps, CALLER, job_id=row["id"])
            for n, row in enumerate(
                await harness.query("SELECT id FROM job WHERE state = 'queued' LIMIT 3")
            )
        ]
        paying = [bought(harness, 3, owner=SHOP)] if turn % 2 else []
        paid += 3 * len(paying)
        await asyncio.gather(*accepting, *cancelling, *paying)
        balance, held, debt = await state(harness)
        assert debt <= limit
        assert held <= limit + paid
        assert balance - debt + held == paid
        await checked(harness)


async def test_a_job_that_is_lent_for_takes_no_statement_more_than_one_that_is_paid_for(
    harness: Harness, database_url: str
) -> None:
    await grant(harness, 4 * PRICE, owner=SHOP)
    counts = []
    async with counting_database(database_url) as (database, asked):
        harness.deps = replace(harness.deps, database=database)
        for caller in (shop(0), shop(1000)):
            for _ in range(4):  # the first one sees that there is a wallet
                asked.clear()
                await harness.accept(caller=caller, **IMAGEN)
            counts.append((len(asked.statements), asked.transactions))
        assert (await wallet(harness, SHOP)).debt == 4 * PRICE
    assert counts[0] == counts[1], asked.statements
