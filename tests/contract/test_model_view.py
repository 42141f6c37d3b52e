"""ListModels for many models: views, filters, versions, and how small it stays."""

from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg
import pytest

from atelier.generation.v1 import consent_pb2, model_pb2
from atelier.generation.v1 import generation_service_pb2 as pb
from generation_svc.domain.purpose import Purpose
from generation_svc.lifecycle import model_outage
from tests.contract.failure import refused
from tests.contract.market import CATALOG, market
from tests.contract.service import Service
from tests.postgres import migrated_database

MOST_BYTES = 150_000
FULL, BASIC = model_pb2.MODEL_VIEW_FULL, model_pb2.MODEL_VIEW_BASIC
FREE = {"z-image", "qwen/text-to-image", "qwen/image-to-image", "qwen/image-edit"}
ONLY_FULL = {
    "input_schema",
    "picture_field",
    "longest_duration",
    "options",
    "prompt_examples",
    "prompt_max_length",
    "hints",
    "media_inputs",
    "reference_inputs",
    "fields",
}


@pytest.fixture(scope="module")
async def open_market(
    postgres: psycopg.Connection, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    """One service that offers every model, for all the tests that change nothing."""
    with migrated_database(postgres, postgres_url) as url:
        async with market(url, tmp_path_factory.mktemp("media")) as service:
            yield service


async def listed(service: Service, **fields: object) -> pb.ListModelsResponse:
    answer: pb.ListModelsResponse = await service.generation.ListModels(
        pb.ListModelsRequest(**fields)  # type: ignore[arg-type] # the fields of each test
    )
    return answer


async def whole_list(service: Service, **fields: object) -> list[model_pb2.Model]:
    models: list[model_pb2.Model] = []
    token = ""
    while True:
        page = await listed(service, **fields, page_token=token)
        models += page.models
        token = page.next_page_token
        if not token:
            return models


def set_fields(model: model_pb2.Model) -> set[str]:
    return {field.name for field, _ in model.ListFields()}


async def test_all_models_come_in_one_small_page(open_market: Service) -> None:
    page = await listed(open_market)

    assert [each.id for each in page.models] == list(CATALOG.ids)
    assert len(page.models) >= 174
    assert page.next_page_token == ""
    assert page.ByteSize() <= MOST_BYTES


async def test_basic_is_what_it_takes_to_choose(open_market: Service) -> None:
    by_default, basic = await listed(open_market), await listed(open_market, view=BASIC)

    assert by_default == basic
    for model in basic.models:
        told, known = set_fields(model), CATALOG.models[model.id]
        assert {"id", "kind", "purpose", "titles", "descriptions", "result_kinds"} <= told
        assert bool(told & ONLY_FULL) is (model.id in FREE)
        assert model.purpose == model_pb2.ModelPurpose.Value(f"MODEL_PURPOSE_{known.purpose.name}")
        assert (model.family, model.tier) == (known.family or "", known.tier)
        assert bool(model.seed_support) is (known.seed is not None)
        assert bool(model.consent) is (known.consent is not None)


async def test_a_price_is_told_or_why_there_is_none(open_market: Service) -> None:
    models = {each.id: each.pricing for each in (await listed(open_market)).models}

    assert {id_ for id_, pricing in models.items() if pricing.is_free} == FREE
    for id_, pricing in models.items():
        assert bool(pricing.min_credits) is not bool(pricing.unknown_reason)
        assert bool(pricing.unit) is (not pricing.is_free and bool(pricing.min_credits))
        unknown = CATALOG.models[id_].offer.price.unknown
        assert pricing.unknown_reason == ("" if pricing.is_free else unknown or "")
    assert models["omnihuman-1-5"] == model_pb2.Pricing(
        min_credits="27", unit=model_pb2.PRICE_UNIT_SECOND
    )


async def test_full_is_what_a_model_is_asked_by_name(open_market: Service) -> None:
    models = await whole_list(open_market, view=FULL)

    assert [each.id for each in models] == list(CATALOG.ids)
    for model in models[::17]:
        request = pb.GetModelRequest(model_id=model.id)
        assert (await open_market.generation.GetModel(request)).model == model


async def test_a_form_can_be_built_from_the_full_view(open_market: Service) -> None:
    request = pb.GetModelRequest(model_id="elevenlabs/text-to-dialogue-v3")
    model = (await open_market.generation.GetModel(request)).model
    fields = {each.field: each for each in model.fields}

    assert [*fields][:3] == ["dialogue", "dialogue[].text", "dialogue[].voice"]
    assert all(each.labels["en"] and each.labels["ru"] for each in model.fields)
    assert fields["dialogue[].voice"].choices
    assert {each.field for each in model.options} == {
        each.field for each in model.fields if each.is_offered
    }


async def test_lengths_that_are_paid_are_marked(open_market: Service) -> None:
    request = pb.GetModelRequest(model_id="topaz/video-upscale")
    (video,) = (await open_market.generation.GetModel(request)).model.media_inputs
    assert video.is_measured


async def test_a_known_version_brings_no_models(open_market: Service) -> None:
    first = await listed(open_market)
    again = await listed(open_market, if_catalog_version=first.catalog_version)
    other = await listed(open_market, if_catalog_version="2026-11-23")

    assert again == pb.ListModelsResponse(catalog_version=first.catalog_version)
    assert other == first


async def test_the_version_changes_when_a_model_is_switched_off(service: Service) -> None:
    before = service.deps.models.catalog.version  # asking would be remembered for a second
    async with service.database.transaction() as tx:
        await model_outage.begin(service.deps, tx, model_id="z-image", text="paused")
    after = await listed(service, if_catalog_version=before)

    assert {each.id for each in after.models} == FREE
    assert len(after.catalog_version) <= 64
    assert after.catalog_version != before
    assert not (await listed(service, if_catalog_version=after.catalog_version)).models


@pytest.mark.parametrize("purpose", list(Purpose))
async def test_a_purpose_is_a_filter(open_market: Service, purpose: Purpose) -> None:
    found = await whole_list(open_market, filter=f"purpose = MODEL_PURPOSE_{purpose.name}")
    assert [each.id for each in found] == [
        each.id for each in CATALOG.offered if each.purpose is purpose
    ]


async def test_filters_join_as_in_lists_of_jobs(open_market: Service) -> None:
    wanted = (
        'purpose = MODEL_PURPOSE_TEXT_TO_IMAGE OR purpose = "MODEL_PURPOSE_IMAGE_EDIT"'
        " AND family != qwen-image"
    )
    found = await whole_list(open_market, filter=wanted, page_size=7)
    assert [each.id for each in found] == [
        each.id
        for each in CATALOG.offered
        if each.purpose in (Purpose.TEXT_TO_IMAGE, Purpose.IMAGE_EDIT)
        and each.family != "qwen-image"
    ]


async def test_a_page_of_another_filter_is_refused(open_market: Service) -> None:
    page = await listed(open_market, page_size=1)
    wanted = "purpose = MODEL_PURPOSE_TEXT_TO_IMAGE"
    refusal = await refused(listed(open_market, page_token=page.next_page_token, filter=wanted))
    assert refusal.reason == "INVALID_PAGE_TOKEN"


@pytest.mark.parametrize(
    ("wrong", "position"),
    [("purpose = lyrics", 11), ("price < 3", 1), ("purpose < x", 9), ("family =", 9)],
)
async def test_a_wrong_filter_says_where(open_market: Service, wrong: str, position: int) -> None:
    refusal = await refused(listed(open_market, filter=wrong))
    assert refusal.violations["filter"].startswith(f"At character {position}: expected ")


def test_every_purpose_and_consent_of_the_catalog_is_in_the_contract() -> None:
    told = {
        name.removeprefix("MODEL_PURPOSE_")
        for name in model_pb2.ModelPurpose.DESCRIPTOR.values_by_name
    }
    assert told == {purpose.name for purpose in Purpose} | {"UNSPECIFIED"}
    assert {*consent_pb2.ConsentKind.DESCRIPTOR.values_by_name} == {
        "CONSENT_KIND_UNSPECIFIED",
        "CONSENT_KIND_VOICE",
        "CONSENT_KIND_FACE",
    }
