"""What operators decide about money, over the wire: margins, sales, blocked owners, reports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from psycopg import AsyncConnection

from atelier.generation.v1 import generation_service_pb2 as generation_pb
from atelier.generation.v1.job_pb2 import Job
from atelier.wallet.v1 import wallet_service_pb2 as pb
from generation_client import GenerationClient, GenerationError, connect, translated
from generation_svc.domain.purpose import Purpose
from tests.contract.market import MODELS, agree, possible_inputs, quoted
from tests.contract.service import Service, serving, struct

OWNER = "telegram:7"
IMAGEN = "google/imagen4"
PRICE = 8
PROMPT = {"prompt": "a cat"}
TEST_MONEY = {"money": "test"}


@pytest.fixture
async def service(database_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    async with serving(database_url, tmp_path, more_settings=TEST_MONEY) as service:
        yield service


@pytest.fixture
async def client(service: Service) -> AsyncIterator[GenerationClient]:
    async with connect(service.address) as client:
        yield client


async def call(client: GenerationClient, method: str, **fields: Any) -> Any:
    """Call an RPC of the wallet's service."""
    request: Message = getattr(pb, f"{method}Request")(**fields)
    with translated():
        return await getattr(client.wallet, method)(request)


async def refusal(client: GenerationClient, method: str, **fields: Any) -> GenerationError:
    with pytest.raises(GenerationError) as refused:
        await call(client, method, **fields)
    return refused.value


def fields_of(error: GenerationError) -> list[str]:
    return [each.field for each in error.violations]


async def set_margin(client: GenerationClient, factor: str, **place: str) -> dict[str, str]:
    answer = await call(client, "SetMargin", factor=factor, reason="dearer", **place)
    return {each.model_id or each.purpose or "all": each.factor for each in answer.margins}


async def test_the_list_of_models_tells_prices_at_the_margin(client: GenerationClient) -> None:
    before = await listed(client)
    await set_margin(client, "1.5")
    after = await listed(client)
    assert after.catalog_version != before.catalog_version
    assert (least(before, IMAGEN), least(after, IMAGEN)) == (f"{PRICE}", f"{PRICE * 3 // 2}")
    assert least(after, "z-image") == "0"
    await set_margin(client, "")
    again = await listed(client)
    assert again.catalog_version == before.catalog_version
    assert least(again, IMAGEN) == f"{PRICE}"


async def listed(client: GenerationClient) -> generation_pb.ListModelsResponse:
    answer: generation_pb.ListModelsResponse = await client.generation.ListModels(
        generation_pb.ListModelsRequest()
    )
    return answer


def least(answer: generation_pb.ListModelsResponse, model_id: str) -> str:
    return next(each for each in answer.models if each.id == model_id).pricing.min_credits


async def grant(client: GenerationClient, credits_: int) -> None:
    await call(
        client, "GrantCredits", request_id="g", owner=OWNER, credits=credits_, reason="a gift"
    )


async def create(client: GenerationClient, model_id: str = IMAGEN, **fields: Any) -> Job:
    request = generation_pb.CreateJobRequest(
        model_id=model_id, inputs=struct(PROMPT), owner=OWNER, **fields
    )
    with translated():
        return (await client.generation.CreateJob(request)).job


async def price(service: Service, model_id: str = IMAGEN) -> str:
    return (await quoted(service, model_id, inputs=PROMPT)).price.credits


async def test_the_most_special_margin_counts_until_it_is_taken_away(
    service: Service, client: GenerationClient
) -> None:
    purpose = str(service.deps.models.catalog.models[IMAGEN].purpose)
    assert await set_margin(client, "2") == {"all": "2"}
    assert await price(service) == "16"
    assert await set_margin(client, "3.5", purpose=purpose) == {"all": "2", purpose: "3.5"}
    assert await price(service) == "28"
    assert (await set_margin(client, "0.0100", model_id=IMAGEN))[IMAGEN] == "0.01"
    assert await price(service) == "1"
    await set_margin(client, "", model_id=IMAGEN)
    assert await price(service) == "28"
    await set_margin(client, "", purpose=purpose)
    assert await set_margin(client, "") == {}
    assert await price(service) == "8"

    rows = await service.deps.database.read(lambda tx: tx.money.margins())
    assert {(each.actor, each.reason) for each in rows} == {("local", "dearer")}
    assert list((await call(client, "ListMargins")).margins) == []


async def test_a_margin_tells_who_set_it_when_and_why(client: GenerationClient) -> None:
    before = datetime.now(UTC)
    await call(client, "SetMargin", factor="1.5", reason="the dollar rose")
    (margin,) = (await call(client, "ListMargins")).margins
    assert (margin.actor, margin.reason) == ("local", "the dollar rose")
    set_at = margin.create_time.ToDatetime(tzinfo=UTC)
    assert before - timedelta(minutes=1) < set_at < before + timedelta(minutes=1)


async def test_a_job_keeps_the_price_that_it_was_made_with(client: GenerationClient) -> None:
    await grant(client, 100)
    job = await create(client, request_id="r-1")
    await set_margin(client, "5")
    again = await create(client, request_id="r-1")
    assert (again.id, again.price.credits) == (job.id, "8")
    assert (await create(client)).price.credits == "40"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"factor": "0"}, "factor"),
        ({"factor": "0.009"}, "factor"),
        ({"factor": "1000.0001"}, "factor"),
        ({"factor": "1.23456"}, "factor"),
        ({"factor": "1e2"}, "factor"),
        ({"factor": "NaN"}, "factor"),
        ({"factor": "٢"}, "factor"),
        ({"factor": "-1"}, "factor"),
        ({"factor": "2", "model_id": "acme/none"}, "model_id"),
        ({"factor": "2", "purpose": "none"}, "purpose"),
        ({"factor": "2", "model_id": IMAGEN, "purpose": "none"}, "purpose"),
        ({"factor": "2", "reason": ""}, "reason"),
    ],
)
async def test_a_margin_that_is_none_is_refused(
    client: GenerationClient, fields: dict[str, str], field: str
) -> None:
    error = await refusal(client, "SetMargin", **{"reason": "dearer", **fields})
    assert (error.reason, fields_of(error)) == ("INVALID_INPUTS", [field])
    assert list((await call(client, "ListMargins")).margins) == []


async def test_another_replica_knows_of_a_margin_within_seconds(
    service: Service, client: GenerationClient, database_url: str, tmp_path: Path
) -> None:
    async with serving(database_url, tmp_path / "two", more_settings=TEST_MONEY) as other:
        assert await price(other) == "8"
        await set_margin(client, "2")
        told, deadline = "8", datetime.now(UTC) + timedelta(seconds=8)
        while told == "8" and datetime.now(UTC) < deadline:
            told = await price(other)
        assert told == "16"


async def test_while_sales_are_closed_only_free_models_are_used(client: GenerationClient) -> None:
    await grant(client, 100)
    closed = (await call(client, "SetSales", reason="a backup was restored")).sales
    assert (closed.is_open, closed.is_live) == (False, False)
    assert (await call(client, "GetSales")).sales.closed_reason == "a backup was restored"
    with pytest.raises(GenerationError) as refused:
        await create(client)
    assert refused.value.reason == "SALES_CLOSED"
    close_time = closed.close_time.ToDatetime(UTC)
    assert abs(datetime.now(UTC) - close_time) < timedelta(minutes=1)
    told = {"why": "operator", "close_time": f"{close_time:%Y-%m-%dT%H:%M:%SZ}"}
    assert refused.value.metadata == told
    await create(client, "z-image")

    again = (await call(client, "SetSales", reason="and still closed")).sales
    assert (again.closed_reason, again.close_time) == ("and still closed", closed.close_time)
    opened = (await call(client, "SetSales", is_open=True, reason="all is well")).sales
    assert (opened.is_open, opened.closed_reason) == (True, "")
    assert not opened.HasField("close_time")
    await create(client)


async def test_a_blocked_owner_sees_everything_and_starts_nothing(
    client: GenerationClient,
) -> None:
    await grant(client, 100)
    job = await create(client)
    blocked = (
        await call(client, "BlockOwner", owner=OWNER, is_blocked=True, reason="abuse")
    ).wallet
    assert (blocked.is_blocked, blocked.balance, blocked.held_credits) == (True, 100 - PRICE, PRICE)
    for model_id in (IMAGEN, "z-image"):
        with pytest.raises(GenerationError) as refused:
            await create(client, model_id)
        assert refused.value.reason == "OWNER_BLOCKED"
    request = generation_pb.GetJobRequest(job_id=job.id)
    assert (await client.generation.GetJob(request)).job.id == job.id
    assert (await call(client, "GetBalance", owner=OWNER)).wallet.is_blocked
    assert len((await call(client, "ListTransfers", owner=OWNER)).transfers) == 2

    freed = (await call(client, "BlockOwner", owner=OWNER, reason="a mistake")).wallet
    assert not freed.is_blocked
    await create(client)


async def test_somebody_can_be_blocked_who_never_had_anything(client: GenerationClient) -> None:
    wallet = (await call(client, "BlockOwner", owner=OWNER, is_blocked=True, reason="abuse")).wallet
    assert (wallet.owner, wallet.balance, wallet.is_blocked) == (OWNER, 0, True)
    with pytest.raises(GenerationError) as refused:
        await create(client, "z-image")
    assert refused.value.reason == "OWNER_BLOCKED"


async def plant(url: str, time: str, **fields: Any) -> None:
    """Write a transfer of some time."""
    columns = {"currency": "credit", "owner": None, "balance_after": None, **fields}
    names = ", ".join(columns)
    marks = ", ".join("%s" for _ in columns)
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(
            f"INSERT INTO transfer (time, actor, reason, {names}) VALUES (%s, 'test', '', {marks})",
            (time, *columns.values()),
        )


async def charge(url: str, time: str, *, cause: str, amount: int, model: str) -> None:
    await plant(
        url,
        time,
        kind="capture",
        source="held",
        target="income",
        amount=amount,
        cause=cause,
        owner=OWNER,
        balance_after=0,
        detail=f'{{"model_id": "{model}"}}',
    )


async def give_back(url: str, time: str, *, cause: str, amount: int, model: str) -> None:
    await plant(
        url,
        time,
        kind="release",
        source="income",
        target="paid",
        amount=amount,
        cause=cause,
        owner=OWNER,
        balance_after=0,
        detail=f'{{"model_id": "{model}"}}',
    )


async def cost(url: str, time: str, *, cause: str, amount: int, **what: Any) -> None:
    is_free = str(what.get("is_free", False)).lower()
    await plant(
        url,
        time,
        kind="provider_cost",
        source="provider",
        target=what.get("target", "provider_cost"),
        amount=amount,
        cause=cause,
        currency="kie_milli",
        detail=f'{{"model_id": "{what["model"]}", "is_free": {is_free}}}',
    )


def lines(answer: pb.GetDailyReportResponse) -> list[tuple[object, ...]]:
    return [
        (
            each.day,
            each.model_id,
            each.charged_count,
            each.income_credits,
            each.provider_cost_milli,
            each.late_cost_milli,
            each.free_cost_milli,
            each.margin,
        )
        for each in answer.lines
    ]


async def test_the_daily_report_adds_up_by_day_and_model(
    client: GenerationClient, database_url: str
) -> None:
    await charge(database_url, "2026-11-01T00:00:00Z", cause="a", amount=8, model="b/one")
    await charge(database_url, "2026-11-01T23:59:59.999Z", cause="b", amount=5, model="b/one")
    await charge(database_url, "2026-11-02T00:00:00Z", cause="c", amount=3, model="b/one")
    await charge(database_url, "2026-11-03T00:00:00Z", cause="d", amount=99, model="b/one")
    await charge(database_url, "2026-10-31T23:59:59Z", cause="e", amount=99, model="b/one")
    await cost(database_url, "2026-11-01T12:00:00Z", cause="f", amount=7250, model="b/one")
    await cost(
        database_url,
        "2026-11-01T13:00:00Z",
        cause="g",
        amount=500,
        model="b/one",
        target="late_results",
    )
    await cost(
        database_url, "2026-11-01T13:00:00Z", cause="h", amount=40, model="a/free", is_free=True
    )

    await give_back(database_url, "2026-11-02T09:00:00Z", cause="b", amount=4, model="b/one")

    days = {"first_day": "2026-11-01", "last_day": "2026-11-02"}
    assert lines(await call(client, "GetDailyReport", **days)) == [
        ("2026-11-01", "a/free", 0, 0, 40, 0, 40, "0"),
        ("2026-11-01", "b/one", 2, 13, 7750, 500, 0, "1.6774"),  # 13 ÷ 7.75 = 1.67741…
        ("2026-11-02", "b/one", 1, -1, 0, 0, 0, ""),
    ]


@pytest.mark.parametrize(
    ("income", "cost_milli", "margin"),
    [(12, 8000, "1.5"), (8, 8000, "1"), (1_000_000, 1, "1000000000")],
)
async def test_a_margin_of_a_day_is_what_each_credit_of_the_provider_brought(
    client: GenerationClient, database_url: str, income: int, cost_milli: int, margin: str
) -> None:
    time = "2026-11-01T12:00:00Z"
    await charge(database_url, time, cause="a", amount=income, model="b/one")
    await cost(database_url, time, cause="f", amount=cost_milli, model="b/one")
    days = {"first_day": "2026-11-01", "last_day": "2026-11-01"}
    (line,) = (await call(client, "GetDailyReport", **days)).lines
    assert line.margin == margin


@pytest.mark.parametrize(
    ("first", "last", "field"),
    [
        ("2026-11-02", "2026-11-01", "last_day"),
        ("2026-01-01", "2026-04-04", "last_day"),
        ("2026-W48-1", "2026-11-29", "first_day"),
        ("2026-02-30", "2026-03-01", "first_day"),
        ("2026-11-29", "9999-12-31", "last_day"),
        ("2026-11-29", "", "last_day"),
    ],
)
async def test_days_of_no_report_are_refused(
    client: GenerationClient, first: str, last: str, field: str
) -> None:
    error = await refusal(client, "GetDailyReport", first_day=first, last_day=last)
    assert error.reason == "INVALID_INPUTS"
    assert field in fields_of(error)


async def test_free_models_stay_free_whatever_the_margins(
    database_url: str, tmp_path: Path
) -> None:
    serves = serving(database_url, tmp_path, models=MODELS, more_settings=TEST_MONEY)
    async with serves as service, connect(service.address) as client:
        free = [model for model in MODELS.catalog.offered if model.is_free]
        assert free
        await set_margin(client, "1000")
        for purpose in Purpose:
            await set_margin(client, "1000", purpose=str(purpose))
        for model in free:
            await set_margin(client, "1000", model_id=model.id)
            await agree(service, model)
            inputs = await possible_inputs(service, model)
            told = (await quoted(service, model.id, inputs=inputs)).price
            assert (told.is_free, told.credits) == (True, "0")
            job = await service.create(model_id=model.id, inputs=inputs)
            assert (job.price.is_free, job.price.credits) == (True, "0")
            await service.succeed(job.id, text="done")
        async with await AsyncConnection.connect(database_url) as connection:
            cursor = await connection.execute(
                "SELECT (SELECT count(*) FROM transfer) + (SELECT count(*) FROM wallet)"
                " + (SELECT count(*) FROM hold) "
            )
            assert await cursor.fetchone() == (0,)
