"""Models that are imported, overridden and switched off while two replicas serve."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import psycopg
import pytest

from atelier.generation.v1 import catalog_service_pb2 as catalog_pb
from atelier.generation.v1 import generation_service_pb2 as pb
from generation_svc.catalog.layer import ShippedCatalog
from generation_svc.catalog.load import OfferRule, load_document
from generation_svc.domain.port.provider import ProviderRequest
from generation_svc.engine import dispatch_claim, outgoing_attempt
from generation_svc.lifecycle import model_revision
from tests.contract.edge_harness import until
from tests.contract.failure import refused
from tests.contract.service import Service, serving
from tests.invented_model import ENTRY

NEW_ID = "acme/dream-1"
KIND = catalog_pb


def new_document(**changes: Any) -> dict[str, Any]:
    """A model that nobody has heard of."""
    document = {
        **{key: value for key, value in deepcopy(ENTRY).items() if key in _KEPT},
        "id": NEW_ID,
        "purpose": "text-to-image",
        "result": {"kinds": ["image"], "shape": "urls", "max_bytes": 60_000_000},
        "input_schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "required": ["prompt"],
            "additionalProperties": False,
            "properties": {
                "prompt": {"type": "string", "minLength": 1, "maxLength": 500},
                "mood": {"type": "string", "enum": ["calm", "wild"], "default": "calm"},
            },
        },
        "options": {
            "mood": {
                "label": {"ru": "Настроение", "en": "Mood"},
                "choices": {
                    "calm": {"ru": "Спокойное", "en": "Calm"},
                    "wild": {"ru": "Буйное", "en": "Wild"},
                },
            }
        },
        "offers": [offer()],
    }
    return {**document, **changes}


_KEPT = ("title", "description", "hint", "prompt_examples", "duration", "is_free")


def offer(*, credits_: str = "4", **fields: str) -> dict[str, Any]:
    return {
        "provider": "kie",
        "model": "acme/dream-one",
        "fields": {"mood": "moodName", **fields},
        "required": ["prompt", "mood"],
        "price": {"parts": [{"rates": [{"credits": credits_}], "times": [], "unit": "image"}]},
    }


async def imported(
    service: Service, *documents: dict[str, Any], **fields: Any
) -> catalog_pb.ImportCatalogResponse:
    texts = [json.dumps(each, ensure_ascii=False) for each in documents]
    return await service.catalog.ImportCatalog(
        catalog_pb.ImportCatalogRequest(document_json=texts, **fields)
    )


async def offered(service: Service) -> set[str]:
    models = (await service.generation.ListModels(pb.ListModelsRequest(page_size=200))).models
    return {model.id for model in models}


@asynccontextmanager
async def two_replicas(url: str, folder: Path) -> AsyncIterator[tuple[Service, Service]]:
    async with serving(url, folder / "one") as one, serving(url, folder / "two") as other:
        yield one, other


async def request_of(service: Service, job_id: str) -> ProviderRequest:
    """Return what leaves for the provider of the one queued job."""
    batch = await dispatch_claim.look(service.deps, limit=1)
    (item,) = batch.items
    assert isinstance(item, dispatch_claim.DispatchItem)
    assert str(item.claim.job.id) == job_id
    await model_revision.of_job(service.deps, item.claim.job)
    request = outgoing_attempt._request(service.deps, item.claim)
    assert request is not None
    return request


async def test_an_import_on_one_replica_is_on_offer_on_the_other(
    database_url: str, tmp_path: Path
) -> None:
    async with two_replicas(database_url, tmp_path) as (one, other):
        before = await offered(other)
        answer = await imported(one, new_document())

        async def is_there() -> bool:
            return NEW_ID in await offered(other)

        await until(is_there)
        assert answer.is_applied
        assert [(c.model_id, c.kind) for c in answer.changes] == [
            (NEW_ID, KIND.MODEL_CHANGE_KIND_NEW)
        ]
        assert await offered(other) == before | {NEW_ID}
        job = await other.create(model_id=NEW_ID, inputs={"prompt": "a dream"})
        request = await request_of(one, job.id)
        assert request.model_id == "acme/dream-one"
        assert request.inputs == {"prompt": "a dream", "moodName": "calm"}


async def test_a_replica_that_starts_later_offers_what_was_imported(
    database_url: str, tmp_path: Path
) -> None:
    async with serving(database_url, tmp_path / "one") as one:
        answer = await imported(one, new_document())
    async with serving(database_url, tmp_path / "two") as other:
        assert NEW_ID in await offered(other)
        models = await other.generation.ListModels(pb.ListModelsRequest(page_size=1))
        assert models.catalog_version == answer.catalog_version


async def test_a_review_changes_nothing(service: Service) -> None:
    answer = await imported(service, new_document(), validate_only=True)
    assert not answer.is_applied
    assert [c.kind for c in answer.changes] == [KIND.MODEL_CHANGE_KIND_NEW]
    assert NEW_ID not in await offered(service)


async def test_a_price_change_shows_as_one(service: Service) -> None:
    await imported(service, new_document())
    answer = await imported(service, new_document(offers=[offer(credits_="4.5")]))
    (change,) = answer.changes
    assert change.kind == KIND.MODEL_CHANGE_KIND_PRICE_MOVED
    (member,) = change.members
    assert member.path == "offers[0].price.parts[0].rates[0].credits"
    assert (member.before_json, member.after_json) == ('"4"', '"4.5"')


async def test_what_was_reviewed_is_what_is_applied(service: Service) -> None:
    review = await imported(service, new_document(), validate_only=True)
    await imported(service, new_document(id="acme/other"))
    refusal = await refused(
        imported(service, new_document(), expected_catalog_version=review.catalog_version)
    )
    assert refusal.code is grpc.StatusCode.ABORTED
    assert refusal.reason == "CATALOG_CHANGED"
    assert NEW_ID not in await offered(service)


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (new_document(options={}), "field mood has no label"),
        (new_document(offers=[offer(prompt="moodName")]), "another field's name"),
        (new_document(purpose="image-to-video"), "purpose image-to-video"),
        (new_document(title={"en": "Dream"}), "'ru' is a required property"),
        ({"id": 7}, "is not an object with an id"),
    ],
    ids=["label", "name", "purpose", "title", "id"],
)
async def test_a_bad_document_names_the_place_and_changes_nothing(
    service: Service, document: dict[str, Any], problem: str
) -> None:
    good = new_document(id="acme/good")
    refusal = await refused(imported(service, good, document))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.reason == "CATALOG_INVALID"
    assert problem in refusal.metadata["problem"]
    assert "documents[1]" in refusal.metadata["model_id"]
    assert "acme/good" not in await offered(service)


async def test_an_absurd_price_is_refused(service: Service) -> None:
    refusal = await refused(imported(service, new_document(offers=[offer(credits_="90000")])))
    assert refusal.reason == "CATALOG_INVALID"
    assert "absurd" in refusal.metadata["problem"]


async def test_a_job_runs_with_the_mapping_that_it_was_made_with(
    database_url: str, tmp_path: Path
) -> None:
    async with two_replicas(database_url, tmp_path) as (one, other):
        await imported(one, new_document())
        job = await one.create(model_id=NEW_ID, inputs={"prompt": "old", "mood": "wild"})
        renamed = [offer(prompt="promptText")]
        answer = await imported(other, new_document(offers=renamed))

        async def knows() -> bool:
            return one.deps.models.catalog.version == answer.catalog_version

        await until(knows)
        for replica in (one, other):
            current = replica.deps.models.catalog.models[NEW_ID]
            assert current.offer.names["prompt"] == "promptText"
        request = await request_of(other, job.id)
        assert request.inputs == {"prompt": "old", "moodName": "wild"}


async def test_a_repeated_request_gives_its_job_whatever_has_changed(service: Service) -> None:
    await imported(service, new_document())
    first = await service.create(model_id=NEW_ID, request_id="r", inputs={"prompt": "a"})
    await service.catalog.ImportCatalog(catalog_pb.ImportCatalogRequest(dropped_model_ids=[NEW_ID]))
    assert NEW_ID not in await offered(service)
    again = await service.create(model_id=NEW_ID, request_id="r", inputs={"prompt": "a"})
    assert again.id == first.id
    request = await request_of(service, first.id)
    assert request.inputs == {"prompt": "a", "moodName": "calm"}


async def test_an_override_survives_another_shipped_file(service: Service) -> None:
    patch = json.dumps({"title": {"ru": "Зет", "en": "Zed"}, "tier": None})
    answer = await service.catalog.SetModelOverride(
        catalog_pb.SetModelOverrideRequest(model_id="z-image", patch_json=patch, reason="ours")
    )
    assert {m.path for c in answer.changes for m in c.members} == {"title.ru", "title.en"}
    model = (await service.generation.GetModel(pb.GetModelRequest(model_id="z-image"))).model
    assert model.titles["en"] == "Zed"

    layers = await service.database.read(lambda tx: tx.catalog.layers())
    later = load_document()
    for entry in later["models"]:
        if entry["id"] == "z-image":
            entry["description"] = {"ru": "Новое.", "en": "Newer."}
            entry["title"] = {"ru": "Новый", "en": "New"}
    shipped = ShippedCatalog({**later, "version": "later"}, rule=OfferRule())
    merged = shipped.catalog(layers).models["z-image"]
    assert (merged.title.en, merged.description.en) == ("Zed", "Newer.")


async def test_an_override_that_makes_no_document_is_refused(service: Service) -> None:
    request = catalog_pb.SetModelOverrideRequest(model_id="z-image", patch_json='{"title": null}')
    refusal = await refused(service.catalog.SetModelOverride(request))
    assert refusal.reason == "CATALOG_INVALID"
    assert "'title' is a required property" in refusal.metadata["problem"]
    nobody = catalog_pb.SetModelOverrideRequest(model_id="z-imgae", patch_json="{}")
    assert (await refused(service.catalog.SetModelOverride(nobody))).reason == "MODEL_NOT_FOUND"


async def test_a_model_is_switched_off_and_on_in_every_replica(
    database_url: str, tmp_path: Path
) -> None:
    async with two_replicas(database_url, tmp_path) as (one, other):
        waiting = await other.create()
        await one.catalog.SwitchModel(
            catalog_pb.SwitchModelRequest(model_id="z-image", is_off=True, reason="too dear")
        )

        async def is_off() -> bool:
            return "z-image" not in await offered(other)

        await until(is_off)
        assert (await refused(other.create())).reason == "MODEL_NOT_FOUND"
        assert (await request_of(other, waiting.id)).model_id == "z-image"
        (override,) = (
            await other.catalog.ListModelOverrides(catalog_pb.ListModelOverridesRequest())
        ).overrides
        assert (override.model_id, override.is_off) == ("z-image", True)
        assert override.reason == "too dear"
        await one.catalog.SwitchModel(catalog_pb.SwitchModelRequest(model_id="z-image"))

        async def is_on() -> bool:
            return "z-image" in await offered(other)

        await until(is_on)
        listed = await other.catalog.ListModelOverrides(catalog_pb.ListModelOverridesRequest())
        assert not listed.overrides


async def test_only_what_differs_is_kept(service: Service) -> None:
    documents = load_document()["models"][:3]
    answer = await imported(service, *documents)
    assert not answer.is_applied
    assert not answer.changes
    layers = await service.database.read(lambda tx: tx.catalog.layers())
    assert layers.imports == {}


async def test_an_import_that_this_release_cannot_read_leaves_what_was_shipped(
    service: Service, database_url: str
) -> None:
    async with service.database.transaction() as tx:
        await tx.catalog.advance(0)
        await tx.catalog.put_imports({"z-image": {"id": "z-image", "shape": 9}}, source="later")
    layers = await service.database.read(lambda tx: tx.catalog.layers())
    catalog = service.deps.models.format.catalog(layers)
    assert catalog.get("z-image").title.en == "Z-Image"


def test_a_claim_of_a_release_that_knows_no_catalog_waits(database_url: str) -> None:
    """What 0.1.0 and 0.2 write when they claim gets no token for such a job, only a wait."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        for number, needs in enumerate((False, True)):
            connection.execute(_JOB, {"id": _job_id(number), "needs": needs})
        claimed = {row[0]: row[1:] for row in connection.execute(_OLD_CLAIM).fetchall()}
        token, wait = claimed[_job_id(0)]
        assert token is not None
        assert wait == timedelta(seconds=60)
        token, wait = claimed[_job_id(1)]
        assert token is None
        assert timedelta(0) < wait <= timedelta(seconds=2)


def _job_id(number: int) -> UUID:
    return UUID(int=number + 1)


_JOB = """
INSERT INTO job (id, caller, owner, model_id, inputs, is_free, credits, correlation_id, state,
    revision, create_time, update_time, start_deadline_time, dispatch_time, needs_catalog)
VALUES (%(id)s, 'c', 'o', 'm', '{}', true, 0, '', 'queued', 1, now(), now(),
    now() + interval '1 hour', now(), %(needs)s)
"""
_OLD_CLAIM = """
UPDATE job SET dispatch_time = now() + interval '60 s', claim_token = gen_random_uuid()
WHERE state = 'queued' AND dispatch_time <= now()
RETURNING id, claim_token, dispatch_time - now()
"""
