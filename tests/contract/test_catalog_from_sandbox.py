"""Every shipped model by the sandbox's description: nothing differs, and each change is told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from atelier.generation.v1 import generation_service_pb2 as pb
from generation_client import GenerationClient, connect
from generation_svc.catalog import load_catalog, validate_inputs
from generation_svc.catalog.layer import ShippedCatalog
from generation_svc.catalog.load import MODELS_FOLDER, OfferRule, load_document
from generation_svc.lifecycle.dependencies import ModelDependencies
from generation_svc.provider.kie.client import open_kie
from generation_svc.provider.kie.self_description import SelfDescription
from generation_svc.server.catalog_import import find_document, known_names, review_and_apply
from generation_svc.server.catalog_source import SourceCatalog, read_source
from tests.contract.market import quoted
from tests.contract.service import Service, serving
from tests.integration.kie_entry import TEXT, entry, schema
from tests.integration.sandbox_kie import SandboxKie, sandbox_kie

WORDS = json.loads((MODELS_FOLDER / "words.json").read_text(encoding="utf-8"))
IN_WORDS = {
    # Each has two rates per the same unit, of which KIE's rows would not say which is which.
    "google/gemini-2-5-pro-tts",
    "google/gemini-3-1-flash-tts",
    "qwen3/image-to-image",
}
"""Models of whose price nothing is taken over."""
NEW = "acme/unheard-of"
MOODS = {"type": "string", "enum": ["calm", "wild"], "default": "calm"}


def unheard_of(*, wild: str = "8") -> dict[str, Any]:
    rates = [{"when": {"moodName": "wild"}, "credits": wild}, {"credits": "5"}]
    return entry(
        NEW,
        purpose="text-to-image",
        kind="image",
        title="Unheard of",
        input=schema("prompt", prompt=TEXT, moodName=MOODS),
        price={"parts": [{"rates": rates, "unit": "image"}]},
    )


def models() -> ModelDependencies:
    """Every model on offer, in a catalog of this test's own."""
    shipped = ShippedCatalog(load_document(), rule=OfferRule(has_unpaid=True))
    catalog = load_catalog(has_unpaid=True)
    return ModelDependencies(catalog, validate_inputs, format=shipped, has_unpaid=True)


@asynccontextmanager
async def reading(
    database_url: str, tmp_path: Path
) -> AsyncIterator[tuple[Service, SandboxKie, GenerationClient]]:
    async with (
        sandbox_kie(description_limit=1_000_000) as kie,
        serving(database_url, tmp_path, models=models()) as service,
        connect(service.address) as client,
    ):
        yield service, kie, client


async def found_at(kie: SandboxKie, client: GenerationClient) -> SourceCatalog:
    async with open_kie({"default": "key"}, api_url=kie.url) as opened:

        async def get(path: str) -> Any:
            return await opened.describe(path, account="default")

        return await read_source(
            SelfDescription(get, pause_seconds=0),
            names=known_names(),
            find=lambda model_id: find_document(client, model_id),
            words=WORDS,
        )


async def change(kie: SandboxKie, model: str, **changes: Any) -> None:
    response = await kie.http.patch(f"/sandbox/models/{model}", json=changes)
    assert response.status_code == 200, response.text


def dearer(credits_: str, **when: Any) -> dict[str, Any]:
    rate = {"credits": credits_, "when": when}
    return {"parts": [{"rates": [rate], "times": [], "unit": "image"}]}


async def test_of_an_untouched_catalog_nothing_differs(database_url: str, tmp_path: Path) -> None:
    async with reading(database_url, tmp_path) as (_, kie, client):
        found = await found_at(kie, client)
    assert (found.documents, found.moved, found.gone) == ([], [], [])
    in_words = {note.partition(": ")[0] for note in found.notes if ": price: " in note}
    assert in_words == IN_WORDS
    # What cannot be mapped is named with its model and its field.
    others = [note for note in found.notes if ": price: " not in note]
    assert len({note.partition(": ")[0] for note in others}) < 20
    assert all(len(note.split(": ", 2)) == 3 for note in others), others


async def test_a_price_that_moves_is_the_only_one_told(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with reading(database_url, tmp_path) as (_, kie, client):
        await change(kie, "z-image", price=dearer("0.9"))
        found = await found_at(kie, client)
        assert found.moved == ["z-image: 0.8 -> 0.9 credits per image"]
        capsys.readouterr()
        assert await review_and_apply(client, found.documents, may_apply=lambda: True)
        lines = capsys.readouterr().out.splitlines()
        assert lines[:2] == [
            "price moved  z-image",
            '    offers[0].price.parts[0].rates[0].credits: "0.8" -> "0.9"',
        ]
        told = ("new", "changed", "price", "gone", "    ")  # the rest is the service's log
        assert not [line for line in lines[2:] if line.startswith(told)], lines
        assert (await found_at(kie, client)).documents == []


async def test_a_price_of_another_form_is_named_and_nothing_is_taken_over(
    database_url: str, tmp_path: Path
) -> None:
    async with reading(database_url, tmp_path) as (_, kie, client):
        await change(kie, "z-image", price=dearer("0.9", aspect_ratio="1:1"))
        found = await found_at(kie, client)
    assert (found.documents, found.moved) == ([], [])
    told = [note for note in found.notes if note.startswith("z-image: ")]
    assert told == [
        'z-image: price: KIE tells 0.9 credits per image (aspect_ratio "1:1"), and the document'
        " has no such rate",
        "z-image: price: KIE tells none per image, and the document has 0.8 credits",
    ]


async def test_a_model_that_nobody_has_heard_of_is_imported_and_sold(
    database_url: str, tmp_path: Path
) -> None:
    async with reading(database_url, tmp_path) as (service, kie, client):
        await kie.http.post("/sandbox/models", json=unheard_of())
        found = await found_at(kie, client)
        assert [each["id"] for each in found.documents] == [NEW]
        assert await review_and_apply(client, found.documents, may_apply=lambda: True)
        for mood, credits_ in (("wild", "8"), ("calm", "5")):
            inputs = {"prompt": "a fox", "mood_name": mood}
            told = await quoted(service, NEW, inputs=inputs)
            assert (told.price.credits, told.price.is_ceiling) == (credits_, False)
        job = await service.create(model_id=NEW, inputs={"prompt": "a fox", "mood_name": "wild"})
        assert job.price.credits == "8"

        await kie.http.post("/sandbox/models", json=unheard_of(wild="9"))
        found = await found_at(kie, client)
        assert found.moved == [f'{NEW}: 8 -> 9 credits per image (moodName "wild")']


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"unit": "second"}, "price: KIE counts by 'second'"),
        ({"times": [], "rates": [{"when": {"moodName": "odd"}, "credits": "1"}]}, "moodName"),
        ({"times": [], "rates": [{"when": {"nobody": 1}, "credits": "1"}]}, "nobody"),
    ],
    ids=["unit", "value", "field"],
)
async def test_a_new_price_that_needs_a_guess_is_named(
    database_url: str, tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    model = unheard_of()
    model["price"]["parts"][0] |= change
    async with reading(database_url, tmp_path) as (_, kie, client):
        await kie.http.post("/sandbox/models", json=model)
        found = await found_at(kie, client)
    (document,) = found.documents
    assert "unknown" in document["offers"][0]["price"]
    assert any(note.startswith(f"{NEW}: price: ") and named in note for note in found.notes)


async def test_a_new_price_that_leaves_values_out_stops_its_model_alone(
    database_url: str, tmp_path: Path
) -> None:
    model = unheard_of()
    del model["price"]["parts"][0]["rates"][1]
    async with reading(database_url, tmp_path) as (_, kie, client):
        await kie.http.post("/sandbox/models", json=model)
        await change(kie, "z-image", price=dearer("0.9"))
        found = await found_at(kie, client)
    assert [each["id"] for each in found.documents] == ["z-image"]
    assert any("not taken over: " in note and "mood_name" in note for note in found.notes)


async def test_a_model_that_is_withdrawn_is_gone(database_url: str, tmp_path: Path) -> None:
    async with reading(database_url, tmp_path) as (service, kie, client):
        await change(kie, "qwen/image-edit", off="unpublished")
        found = await found_at(kie, client)
        assert (found.documents, found.gone) == ([], ["qwen/image-edit"])
        # It stays until somebody switches it off.
        listed = await service.generation.ListModels(pb.ListModelsRequest())
        assert "qwen/image-edit" in {model.id for model in listed.models}
