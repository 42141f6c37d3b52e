"""What jobs would cost: every model's, in words, and only where the price is known."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from math import ceil
from pathlib import Path
from uuid import UUID

import grpc
import psycopg
import pytest

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.job_pb2 import Job
from tests.contract.failure import refused
from tests.contract.market import (
    CATALOG,
    MODELS,
    agree,
    market,
    possible_inputs,
    quoted,
    uploaded,
)
from tests.contract.service import Service, serving, struct
from tests.postgres import migrated_database

MEASURED = [model.id for model in CATALOG.offered if model.offer.price.measured_fields]
UNPRICED = [model.id for model in CATALOG.offered if model.offer.price.unknown]


@pytest.fixture(scope="module")
async def open_market(
    postgres: psycopg.Connection, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    """One service that offers every model, for all the tests that only add to it."""
    with migrated_database(postgres, postgres_url) as url:
        async with market(url, tmp_path_factory.mktemp("media")) as service:
            yield service


async def create(service: Service, model_id: str, **inputs: object) -> Job:
    request = pb.CreateJobRequest(model_id=model_id, inputs=struct(inputs))
    return (await service.generation.CreateJob(request)).job


@pytest.mark.parametrize("share", [0.0, 1.0], ids=["required", "all"])
@pytest.mark.parametrize("model_id", list(CATALOG.ids))
async def test_a_job_costs_what_was_quoted(
    open_market: Service, model_id: str, share: float
) -> None:
    model = CATALOG.models[model_id]
    inputs = await possible_inputs(open_market, model, share=share)
    await agree(open_market, model)
    if model.offer.price.unknown and not model.is_free:
        refusal = await refused(quoted(open_market, model_id, inputs=inputs))
        assert (refusal.code, refusal.reason, refusal.metadata) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "PRICE_UNKNOWN",
            {"model_id": model_id},
        )
        assert model.offer.price.unknown in refusal.message
        assert (await create(open_market, model_id, **inputs)).price.credits == "0"
        return
    answer = await quoted(open_market, model_id, inputs=inputs, language_code="ru")

    assert (await create(open_market, model_id, **inputs)).price == answer.price
    assert answer.price.is_free is model.is_free
    assert int(answer.price.credits) >= (0 if model.is_free else 1)
    assert bool(answer.lines) is not model.is_free
    assert len(answer.lines) <= 16
    assert all(0 < len(line) <= 400 and "_" not in line for line in answer.lines)
    assert answer.HasField("usual_duration") is model.is_free
    assert not answer.missing_consent


async def test_a_quote_says_what_it_is_made_of(open_market: Service) -> None:
    inputs = {"prompt": "the sea", "duration": "10", "resolution": "1080p"}
    model_id = "wan/2-6-text-to-video"
    english = await quoted(open_market, model_id, inputs=inputs, language_code="en-GB")
    russian = await quoted(open_market, model_id, inputs=inputs, language_code="ru")

    assert [*english.lines] == ["1 video · Resolution: 1080p · Length: 10 seconds"]
    assert [*russian.lines] == ["1 видео · Разрешение: 1080p · Длина: 10 секунд"]
    assert english.price == russian.price
    assert not english.price.is_ceiling


@pytest.mark.parametrize("model_id", MEASURED)
async def test_what_is_measured_has_to_be_uploaded(open_market: Service, model_id: str) -> None:
    model = CATALOG.models[model_id]
    await agree(open_market, model)
    inputs = await possible_inputs(open_market, model, share=1.0)
    fields = [name for name in model.offer.price.measured_fields if name in inputs]
    assert fields or "oneOf" in model.input_schema or "allOf" in model.input_schema
    for name in fields:
        link = "https://example.org/a.mp4"
        is_list = isinstance(inputs[name], list)
        wrong = inputs | {name: [link, *inputs[name][1:]] if is_list else link}
        for call in (
            quoted(open_market, model_id, inputs=wrong),
            create(open_market, model_id, **wrong),
        ):
            refusal = await refused(call)
            place = f"inputs.{name}[0]" if is_list else f"inputs.{name}"
            assert (refusal.code, refusal.reason) == (
                grpc.StatusCode.INVALID_ARGUMENT,
                "UPLOAD_REQUIRED",
            )
            assert refusal.metadata == {"field": place}
            assert set(refusal.violations) == {place}


async def test_the_length_of_what_was_uploaded_is_paid(open_market: Service) -> None:
    model = CATALOG.models["topaz/video-upscale"]
    (video,) = model.media_inputs
    prices = {}
    for seconds in (2.2, 3.0, 6.0):
        upload = f"upload:{await uploaded(open_market, video, seconds=seconds)}"
        answer = await quoted(open_market, model.id, inputs={"video": upload})
        prices[seconds] = int(answer.price.credits)
        assert answer.lines[0].startswith(f"{ceil(seconds)} seconds")

    assert prices[2.2] == prices[3.0]
    assert prices[6.0] == 2 * prices[3.0]


async def test_an_upload_that_is_not_there_cannot_be_quoted(open_market: Service) -> None:
    nobodys = "upload:0198c0de-0000-7000-8000-000000000000"
    refusal = await refused(quoted(open_market, "topaz/video-upscale", inputs={"video": nobodys}))
    assert (refusal.reason, set(refusal.violations)) == ("INVALID_INPUTS", {"inputs.video"})


async def test_a_quote_names_every_mistake_as_a_job_does(open_market: Service) -> None:
    wrong = {"duration": "7", "sound": "loud"}
    by_quote = await refused(quoted(open_market, "kling-2.6/text-to-video", inputs=wrong))
    by_job = await refused(create(open_market, "kling-2.6/text-to-video", **wrong))
    assert by_quote == by_job
    assert {"inputs.prompt", "inputs.duration", "inputs.sound"} <= set(by_quote.violations)


async def test_a_quote_makes_no_job(open_market: Service) -> None:
    before = (await open_market.generation.ListJobs(pb.ListJobsRequest(page_size=1))).jobs
    await quoted(open_market, "z-image", inputs={"prompt": "a lighthouse"})
    after = (await open_market.generation.ListJobs(pb.ListJobsRequest(page_size=1))).jobs
    assert [each.id for each in before] == [each.id for each in after]


async def test_a_free_model_costs_nothing(idle_service: Service) -> None:
    answer = await quoted(idle_service, "z-image", inputs={"prompt": "a lighthouse"})
    assert (answer.price.is_free, answer.price.credits, [*answer.lines]) == (True, "0", [])
    assert answer.HasField("usual_duration")


async def test_without_leave_a_model_without_a_price_makes_no_job(
    database_url: str, tmp_path: Path
) -> None:
    """As it will be where models are sold: they are on offer, and only a price opens them."""
    models = replace(MODELS, has_unpaid=False)
    model = next(CATALOG.models[id_] for id_ in UNPRICED if not CATALOG.models[id_].special_inputs)
    async with serving(database_url, tmp_path, models=models) as service:
        inputs = await possible_inputs(service, model)
        refusal = await refused(create(service, model.id, **inputs))
    assert (refusal.reason, refusal.metadata) == ("PRICE_UNKNOWN", {"model_id": model.id})


async def test_the_price_of_a_job_is_kept_with_it(open_market: Service) -> None:
    model = CATALOG.models["wan/2-6-text-to-video"]
    inputs = await possible_inputs(open_market, model)
    job = await create(open_market, model.id, **inputs)
    read = (await open_market.generation.GetJob(pb.GetJobRequest(job_id=job.id))).job
    async with open_market.database.transaction() as tx:
        kept = await tx.jobs.get(UUID(job.id))
    assert read.price == job.price
    assert kept is not None
    assert kept.price.cost is not None
    assert int(job.price.credits) - 1 < kept.price.cost <= int(job.price.credits)
