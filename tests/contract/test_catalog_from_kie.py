"""A model that nobody has heard of, by KIE's own words: read, reviewed, imported and sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest

from atelier.generation.v1 import catalog_service_pb2 as catalog_pb
from generation_client import GenerationClient, connect
from generation_svc.catalog.load import MODELS_FOLDER
from generation_svc.domain.error import ProviderBusy
from generation_svc.domain.quote import quote
from generation_svc.provider.kie.client import open_kie
from generation_svc.provider.kie.self_description import MOST_TRIES, SelfDescription
from generation_svc.server.catalog_import import (
    find_document,
    known_names,
    review_and_apply,
    review_lines,
)
from generation_svc.server.catalog_source import SourceCatalog, read_source
from tests.contract.edge_harness import until
from tests.contract.failure import refused
from tests.contract.service import Service
from tests.contract.test_catalog_service import offered, request_of, two_replicas

NEW = "acme/dream-9-text-to-image"
WORDS = json.loads((MODELS_FOLDER / "words.json").read_text(encoding="utf-8"))


def openapi(fields: dict[str, Any], *required: str, **more: Any) -> dict[str, Any]:
    """A document as KIE writes them: references with blanks, and the request in parts."""
    return {
        "openapi": "3.1.0",
        "paths": {
            "/api/v1/jobs/createTask": {
                "post": {
                    "requestBody": {
                        "content": {
                            "application/json": {
                                "schema": {"$ref": "#/components/schemas/Dream%209%20Request%20"}
                            }
                        }
                    }
                }
            }
        },
        "components": {
            "schemas": {
                "Dream 9 Request": {
                    "type": "object",
                    "properties": {
                        "model": {"type": "string", "const": NEW},
                        "callBackUrl": {"type": "string", "format": "uri"},
                        "input": {"$ref": "#/components/schemas/Dream 9 Input "},
                    },
                },
                "Dream%209%20Input": {
                    "type": "object",
                    "required": [*required],
                    "properties": fields,
                    **more,
                },
                "Ratio ": {"type": "string", "enum": ["1:1", "16:9"], "default": "1:1"},
            }
        },
    }


FIELDS: dict[str, Any] = {
    "prompt": {"type": "string", "maxLength": 900, "description": "What to draw"},
    "aspectRatio": {"$ref": "#/components/schemas/Ratio%20"},
    "dreamDepth": {
        "title": "Depth of the dream",
        "type": ["integer", "null"],
        "minimum": 1,
        "maximum": 9,
        "default": 3,
    },
    "seedImage": {
        "type": "string",
        "format": "uri",
        "description": "An image. Accepted types: image/jpeg, image/png. Max size: 5MB",
    },
    "strangeBag": {"type": "object"},
    "old_way": {"type": "string", "deprecated": True},
}


class FakeKie:
    """KIE's own words, which a test may change."""

    def __init__(self) -> None:
        self.listing: list[dict[str, Any]] = [
            {
                "model": NEW,
                "title": "Dream 9",
                "taskType": ["Text To Image"],
                "description": "Draws what you dream of.",
            },
            {"model": "acme/silent", "title": "Silent", "taskType": ["text-to-image"]},
            {"model": "z-image", "title": "Z", "taskType": ["text-to-image"]},
        ]
        self.schemas: dict[str, Any] = {
            NEW: openapi(FIELDS, "prompt", "aspectRatio"),
            "acme/silent": None,
            "z-image": None,
        }
        self.prices: dict[str, Any] = {
            NEW: [{"creditPrice": "6.0", "creditUnit": "per image"}],
            "z-image": [{"creditPrice": "0.8", "creditUnit": "per image"}],
        }
        self.asked: list[str] = []
        self.busy = 0
        """How many of the next requests are told that they are too many."""

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        if self.busy:
            self.busy -= 1
            return httpx2.Response(429, json={"code": 429, "msg": "too frequent", "data": None})
        return httpx2.Response(200, json=self.data(request.url.raw_path.decode()))

    def data(self, path: str) -> dict[str, Any]:
        """Return what is answered at a path."""
        path = path.removeprefix("/api/v1/")
        self.asked.append(path)
        if path == "models":
            return _granted(self.listing)
        model, _, what = path.removeprefix("models/").rpartition("/")
        if what == "schema" and model in self.schemas:
            return _granted({"openapi": self.schemas[model]})
        if what == "price" and model in self.prices:
            return _granted(self.prices[model])
        return {"code": 404, "msg": "not found", "data": None}


def _granted(data: Any) -> dict[str, Any]:
    return {"code": 200, "msg": "success", "data": data}


async def read_from(kie: FakeKie, client: GenerationClient) -> SourceCatalog:
    transport = httpx2.MockTransport(kie.answer)
    async with open_kie({"default": "key"}, transport=transport) as opened:

        async def get(path: str) -> Any:
            return await opened.describe(path, account="default")

        return await read_source(
            SelfDescription(get, pause_seconds=0),
            names={"z-image": "z-image"},
            find=lambda model_id: find_document(client, model_id),
            words=WORDS,
        )


@asynccontextmanager
async def client_of(service: Service) -> AsyncIterator[GenerationClient]:
    async with connect(service.address) as client:
        yield client


async def test_it_is_on_offer_validated_quoted_and_sent(database_url: str, tmp_path: Path) -> None:
    kie = FakeKie()
    async with two_replicas(database_url, tmp_path) as (one, other), client_of(one) as client:
        found = await read_from(kie, client)
        # Paid models cannot be used yet, so this one is made free, as an operator may.
        documents = [{**each, "is_free": True} for each in found.documents if each["id"] == NEW]
        assert await review_and_apply(client, documents, may_apply=lambda: True)

        async def is_there() -> bool:
            return NEW in await offered(other)

        await until(is_there)
        refusal = await refused(
            other.create(model_id=NEW, inputs={"prompt": "a", "dream_depth": 12})
        )
        assert set(refusal.violations) == {"inputs.dream_depth"}
        model = other.deps.models.catalog.get(NEW)
        told = quote(model.offer.price, {"prompt": "a"}, defaults=model.defaults, measured={})
        assert [line.credits for line in told.lines] == [Decimal(6)]
        inputs = {"prompt": "a", "dream_depth": 5}
        job = await other.create(model_id=NEW, inputs=inputs)
        request = await request_of(one, job.id)
        assert request.model_id == NEW
        assert request.inputs == {"prompt": "a", "dreamDepth": 5, "aspectRatio": "1:1"}


async def test_what_cannot_be_mapped_is_named(service: Service) -> None:
    async with client_of(service) as client:
        found = await read_from(FakeKie(), client)
    notes = "\n".join(found.notes)
    assert f"{NEW}: strangeBag: a field of the type 'object' cannot be mapped" in notes
    assert "acme/silent: openapi: is null" in notes
    assert f"{NEW}: dream_depth: for review: its label is KIE's" in notes
    (document,) = [each for each in found.documents if each["id"] == NEW]
    assert "strange_bag" not in document["input_schema"]["properties"]
    assert document["unsupported_fields"] == {
        "old_way": "KIE is about to remove old_way; leave it out."
    }
    assert "acme/silent" not in {each["id"] for each in found.documents}
    (media,) = document["media_inputs"]
    assert (media["mime_types"], media["max_bytes"]) == (["image/jpeg", "image/png"], 5_000_000)


async def test_a_request_too_many_is_made_again(service: Service) -> None:
    calm, busy = FakeKie(), FakeKie()
    busy.busy = 3
    async with client_of(service) as client:
        assert await read_from(busy, client) == await read_from(calm, client)
    assert busy.asked == calm.asked


async def test_who_is_always_busy_ends_it(service: Service) -> None:
    kie = FakeKie()
    kie.busy = 1000
    async with client_of(service) as client:
        with pytest.raises(ProviderBusy):
            await read_from(kie, client)
    assert kie.busy == 1000 - MOST_TRIES


async def test_a_required_field_that_cannot_be_mapped_stops_the_model(service: Service) -> None:
    kie = FakeKie()
    kie.schemas[NEW] = openapi(FIELDS, "prompt", "strangeBag")
    async with client_of(service) as client:
        found = await read_from(kie, client)
    assert NEW not in {each["id"] for each in found.documents}
    assert f"{NEW}: strange_bag: is required and cannot be mapped" in found.notes


async def test_branches_hold_exactly_one(service: Service) -> None:
    kie = FakeKie()
    fields = {key: FIELDS[key] for key in ("prompt", "aspectRatio")}
    branches = [
        {"required": ["script"], "properties": {"script": {"type": "string", "maxLength": 50}}},
        {
            "required": ["melody"],
            "properties": {"melody": {"type": "string", "enum": ["low", "high"]}},
        },
    ]
    kie.schemas[NEW] = openapi(fields, "prompt", oneOf=branches)
    async with client_of(service) as client:
        found = await read_from(kie, client)
        documents = [{**each, "is_free": True} for each in found.documents if each["id"] == NEW]
        assert await review_and_apply(client, documents, may_apply=lambda: True)
    await service.create(model_id=NEW, inputs={"prompt": "a", "script": "b"})
    both = {"prompt": "a", "script": "b", "melody": "low"}
    assert (await refused(service.create(model_id=NEW, inputs=both))).reason == "INVALID_INPUTS"
    none = await refused(service.create(model_id=NEW, inputs={"prompt": "a"}))
    assert none.reason == "INVALID_INPUTS"


async def test_its_price_change_shows_as_a_diff(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    kie = FakeKie()
    async with client_of(service) as client:
        first = await read_from(kie, client)
        assert await review_and_apply(client, first.documents, may_apply=lambda: True)
        kie.prices[NEW] = [{"creditPrice": 7.5, "creditUnit": "image"}]
        second = await read_from(kie, client)
        capsys.readouterr()
        assert not await review_and_apply(client, second.documents, may_apply=lambda: False)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"price moved  {NEW}",
        '    offers[0].price.parts[0].rates[0].credits: "6" -> "7.5"',
    ]


async def test_a_price_in_words_is_named_and_never_guessed(service: Service) -> None:
    kie = FakeKie()
    several = [
        {"modelDescription": "720p", "creditPrice": "6", "creditUnit": "per image"},
        {"modelDescription": "4K", "creditPrice": "12", "creditUnit": "per image"},
    ]
    kie.prices[NEW] = several
    async with client_of(service) as client:
        found = await read_from(kie, client)
    (document,) = [each for each in found.documents if each["id"] == NEW]
    assert "unknown" in document["offers"][0]["price"]
    assert any("price: KIE tells several prices in words" in each for each in found.notes)


async def test_a_known_model_keeps_its_texts_and_takes_new_bounds(service: Service) -> None:
    kie = FakeKie()
    fields = {
        "prompt": {"type": "string", "maxLength": 2000},
        "aspect_ratio": {"type": "string", "enum": ["1:1", "4:3"], "default": "1:1"},
        "nsfw_checker": {"type": "boolean"},
        "steps": {"type": "integer", "minimum": 1, "maximum": 8},
    }
    kie.schemas["z-image"] = openapi(fields, "prompt", "aspect_ratio")
    async with client_of(service) as client:
        before = await find_document(client, "z-image")
        found = await read_from(kie, client)
        (document,) = [each for each in found.documents if each["id"] == "z-image"]
        texts = [json.dumps(document, ensure_ascii=False)]
        review = await client.catalog.ImportCatalog(
            catalog_pb.ImportCatalogRequest(document_json=texts, validate_only=True)
        )
    assert before is not None
    assert document["title"] == before["title"]
    lines = "\n".join(review_lines(review))
    assert "input_schema.properties.prompt.maxLength: 1000 -> 2000" in lines
    assert 'input_schema.properties.steps: - -> {"type":"integer"' in lines


async def test_what_is_listed_no_more_is_named(service: Service) -> None:
    kie = FakeKie()
    kie.listing = kie.listing[:1]
    async with client_of(service) as client:
        found = await read_from(kie, client)
    assert found.gone == ["z-image"]


async def test_requests_keep_the_pace(service: Service) -> None:
    moments: list[float] = []

    async def get(path: str) -> Any:
        moments.append(asyncio.get_running_loop().time())
        return [{"model": "a"}] if path == "models" else {}

    source = SelfDescription(get, pause_seconds=0.05)
    for listing in await source.models():
        await source.describe(listing)
    assert len(moments) == 3
    assert min(b - a for a, b in pairwise(moments)) >= 0.049


def test_every_shipped_model_is_known_by_its_name_there() -> None:
    names = known_names()
    assert len(names) > 170
    assert names["z-image"] == "z-image"
