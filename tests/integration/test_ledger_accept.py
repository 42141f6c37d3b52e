"""A job holds its price in the transaction that accepts it, or is told what is missing."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from generation_svc.domain.job import Job
from generation_svc.domain.ledger import TransferKind
from generation_svc.domain.money import MarginRule, MarginScope, MoneyMode
from generation_svc.domain.money_error import (
    InsufficientCredits,
    OwnerBlocked,
    PriceChanged,
    SalesClosed,
)
from generation_svc.lifecycle.dependencies import Dependencies, MoneyDependencies
from generation_svc.usecase import upload_input
from tests.lifecycle import CALLER, Harness, OpenBench, one_piece
from tests.money import FREE, IMAGEN, PRICE, check_ledger, grant, holds, wallet
from tests.statement_count import counting_database


@pytest.fixture
async def harness(open_bench: OpenBench) -> Harness:
    harness = await open_bench(money=MoneyMode.TEST)
    async with harness.transaction() as tx:
        await tx.money.mark(MoneyMode.TEST)
    return harness


def of(outcomes: list[Any], kind: type[Any]) -> list[Any]:
    return [each for each in outcomes if isinstance(each, kind)]


async def set_margin(harness: Harness, margin: str) -> None:
    async with harness.transaction() as tx:
        rule = MarginRule(MarginScope.DEFAULT, "", Decimal(margin), "operator", "dearer")
        await tx.money.add_margin(rule)
    harness.deps.money.terms.expire()


async def test_an_accepted_job_holds_its_price_granted_credits_first(harness: Harness) -> None:
    await grant(harness, 5)
    await grant(harness, 10, kind=TransferKind.TOP_UP)

    job = await harness.accept(**IMAGEN)

    assert job.price.credits == str(PRICE)
    has = await wallet(harness)
    assert (has.granted, has.paid, has.held) == (0, 7, 8)
    async with harness.transaction() as tx:
        moved = await tx.ledger.find(str(job.id))
    (hold,) = await harness.query("SELECT granted, paid, owner FROM hold")
    assert (hold["granted"], hold["paid"], hold["owner"]) == (5, 3, "user:1")
    assert [(each.source, each.amount, each.balance_after) for each in moved] == [
        ("granted", 5, 10),
        ("paid", 3, 7),
    ]
    await check_ledger(harness)


async def test_twenty_presses_at_once_are_one_job_and_one_hold(
    harness: Harness, open_bench: OpenBench
) -> None:
    await grant(harness, 100)
    other = await open_bench(money=MoneyMode.TEST, sharing=harness)

    jobs = await asyncio.gather(
        *(each.accept(request_id="r-1", **IMAGEN) for each in [harness, other] * 10)
    )

    assert len({job.id for job in jobs}) == 1
    assert await holds(harness) == [("open", 0)]
    assert (await wallet(harness)).balance == 100 - PRICE
    await check_ledger(harness)


@pytest.mark.parametrize("replicas", [1, 2])
async def test_of_fifty_jobs_at_once_as_many_are_accepted_as_are_paid_for(
    harness: Harness, open_bench: OpenBench, replicas: int
) -> None:
    await grant(harness, 30)
    await grant(harness, 10 * PRICE - 30 + 3, kind=TransferKind.TOP_UP)
    benches = [harness]
    if replicas > 1:
        benches.append(await open_bench(money=MoneyMode.TEST, sharing=harness))

    outcomes = await asyncio.gather(
        *(
            bench.accept(request_id=f"r-{n}", **IMAGEN)
            for n, bench in enumerate(benches * (50 // replicas))
        ),
        return_exceptions=True,
    )

    assert len(of(outcomes, Job)) == 10
    missing = of(outcomes, InsufficientCredits)
    assert {(each.price, each.balance, each.missing) for each in missing} == {(PRICE, 3, 5)}
    assert len(missing) == 40
    assert (await wallet(harness)).balance == 3
    assert len(await harness.query("SELECT id FROM job")) == 10
    assert len(await harness.query("SELECT job_id FROM request_key")) == 10
    await check_ledger(harness)


async def test_a_dear_job_does_not_keep_a_cheap_one_from_what_is_left(harness: Harness) -> None:
    await grant(harness, 4)
    wishes = ["google/imagen4", "google/nano-banana", "google/imagen4-ultra"]

    outcomes = await asyncio.gather(
        *(harness.accept(model_id=model_id) for model_id in wishes), return_exceptions=True
    )

    assert [type(each) for each in outcomes] == [InsufficientCredits, Job, InsufficientCredits]
    assert (await wallet(harness)).balance == 0
    await check_ledger(harness)


async def test_who_never_had_anything_is_told_what_is_missing(harness: Harness) -> None:
    with pytest.raises(InsufficientCredits) as refused:
        await harness.accept(**IMAGEN)
    assert (refused.value.price, refused.value.balance) == (PRICE, 0)
    assert await harness.query("SELECT owner FROM wallet") == []


async def test_a_job_with_media_of_ours_is_held_for_as_well(harness: Harness) -> None:
    picture = await upload_input.upload(
        harness.deps, CALLER, owner="user:1", pieces=one_piece(b"a picture")
    )
    wish: dict[str, Any] = {
        "model_id": "google/nano-banana-edit",
        "inputs": {"prompt": "a hat", "images": [f"upload:{picture.id}"]},
    }
    with pytest.raises(InsufficientCredits):
        await harness.accept(request_id="r-1", **wish)
    await grant(harness, 4)

    await harness.accept(request_id="r-1", **wish)

    assert await holds(harness) == [("open", 0)]
    await check_ledger(harness)


async def test_a_caller_with_a_wallet_pays_for_all_its_owners(harness: Harness) -> None:
    shop = replace(CALLER, wallet="shop")
    await grant(harness, 2 * PRICE, owner="shop")

    outcomes = await asyncio.gather(
        *(harness.accept(owner=f"customer:{n}", caller=shop, **IMAGEN) for n in range(5)),
        return_exceptions=True,
    )

    assert len(of(outcomes, Job)) == 2
    assert len(of(outcomes, InsufficientCredits)) == 3
    has = await wallet(harness, "shop")
    assert (has.balance, has.held) == (0, 2 * PRICE)
    await check_ledger(harness)
    await harness.query("UPDATE wallet SET is_blocked = true")
    with pytest.raises(OwnerBlocked):
        await harness.accept(owner="customer:9", caller=shop, **IMAGEN)


async def test_a_free_job_moves_nothing_whatever_the_margin(harness: Harness) -> None:
    await set_margin(harness, "1000")

    job = await harness.made()

    assert (job.price.credits, job.charged_credits) == ("0", 0)
    for table in ("wallet", "hold", "transfer"):
        assert await harness.query(f"SELECT * FROM {table}") == []


async def test_the_price_is_rounded_up_once_with_the_margin(harness: Harness) -> None:
    await set_margin(harness, "1.3")
    await grant(harness, 100)
    job = await harness.accept(**IMAGEN)  # 8 × 1.3 = 10.4
    assert job.price.credits == "11"
    await check_ledger(harness)


async def test_a_price_that_nobody_agreed_to_is_not_held(harness: Harness) -> None:
    await grant(harness, 100)
    with pytest.raises(PriceChanged) as refused:
        await harness.accept(agreed_credits=7, request_id="r-1", **IMAGEN)
    assert (refused.value.price, refused.value.agreed) == (PRICE, 7)
    assert await holds(harness) == []
    await harness.accept(agreed_credits=PRICE, request_id="r-1", **IMAGEN)
    assert await holds(harness) == [("open", 0)]


async def test_a_repeated_request_gives_its_job_whatever_holds_now(harness: Harness) -> None:
    await grant(harness, PRICE)
    job = await harness.accept(request_id="r-1", agreed_credits=PRICE, **IMAGEN)

    async def again() -> Job:
        return await harness.accept(request_id="r-1", agreed_credits=PRICE, **IMAGEN)

    assert (await again()).id == job.id  # nothing is left
    await set_margin(harness, "2")
    assert (await again()).id == job.id
    await harness.query("UPDATE wallet SET is_blocked = true")
    assert (await again()).id == job.id
    await harness.query("UPDATE money_state SET sales_closed_reason = 'restored'")
    harness.deps.money.terms.expire()
    assert (await again()).id == job.id
    assert await holds(harness) == [("open", 0)]


async def test_a_blocked_owner_starts_nothing(harness: Harness) -> None:
    await grant(harness, 100)
    await harness.query("UPDATE wallet SET is_blocked = true")
    for wish in (IMAGEN, FREE):
        with pytest.raises(OwnerBlocked) as refused:
            await harness.accept(**wish)
        assert (refused.value.owner, refused.value.payer) == ("user:1", None)
    await harness.accept(owner="user:2")


async def test_nobody_whose_payer_is_blocked_starts_or_uploads_anything(harness: Harness) -> None:
    await grant(harness, 100, owner="acme")
    await harness.query("UPDATE wallet SET is_blocked = true")
    paid_for = replace(CALLER, wallet="acme")
    for wish in (IMAGEN, FREE):
        for request_id in ("", "r-1"):
            with pytest.raises(OwnerBlocked, match=r"'acme'.*'user:1'") as refused:
                await harness.accept(caller=paid_for, request_id=request_id, **wish)
            assert (refused.value.owner, refused.value.payer) == ("user:1", "acme")
    with pytest.raises(OwnerBlocked) as refused:
        await upload_input.upload(
            harness.deps, paid_for, owner="user:1", pieces=one_piece(b"a picture")
        )
    assert refused.value.payer == "acme"
    assert await harness.query("SELECT id FROM upload") == []
    assert await harness.query("SELECT id FROM job") == []
    await harness.accept()
    await harness.query("UPDATE wallet SET is_blocked = false")
    await harness.accept(caller=paid_for)
    await upload_input.upload(
        harness.deps, paid_for, owner="user:1", pieces=one_piece(b"a picture")
    )


async def test_a_blocked_owner_uploads_nothing(harness: Harness) -> None:
    await grant(harness, 100)
    await harness.query("UPDATE wallet SET is_blocked = true")

    async def uploaded(deps: Dependencies, owner: str) -> None:
        await upload_input.upload(deps, CALLER, owner=owner, pieces=one_piece(b"a picture"))

    with pytest.raises(OwnerBlocked):
        await uploaded(harness.deps, "user:1")
    assert await harness.query("SELECT id FROM upload") == []
    assert harness.store.kept == {}
    await uploaded(harness.deps, "user:2")
    unsold = replace(harness.deps, money=MoneyDependencies(None))
    await uploaded(unsold, "user:1")


async def test_while_sales_are_closed_only_free_models_are_used(harness: Harness) -> None:
    await grant(harness, 100)
    await harness.query("UPDATE money_state SET sales_closed_reason = 'restored'")
    with pytest.raises(SalesClosed):
        await harness.accept(**IMAGEN)
    await harness.accept()


async def test_a_paid_job_is_accepted_by_as_many_statements_as_a_free_one(
    harness: Harness, database_url: str
) -> None:
    await grant(harness, 100)
    async with counting_database(database_url) as (database, asked):
        harness.deps = replace(harness.deps, database=database)
        counts = []
        for wish in (FREE, IMAGEN):
            for _ in range(2):  # the first one reads what is read now and then
                asked.clear()
                await harness.accept(**wish)
            counts.append((len(asked.statements), asked.transactions))
    assert counts[0] == counts[1], asked.statements


async def test_a_transfer_is_never_changed(harness: Harness) -> None:
    await grant(harness, 1)
    for statement in ("UPDATE transfer SET amount = 2", "DELETE FROM transfer"):
        with pytest.raises(psycopg.errors.RestrictViolation):
            await harness.query(statement)
