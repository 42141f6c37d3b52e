"""What `make e2e-all` relies on: its inputs reach every value and pair, and its eyes are open."""

from __future__ import annotations

import json
import random
from itertools import product
from typing import Any

import pytest

from generation_svc.catalog import load_catalog, validate_inputs
from generation_svc.media.midi import midi_of
from tests.e2e.every_model.case import fullest, planned, required_only
from tests.e2e.every_model.decoded import flaw_of
from tests.e2e.every_model.expected import difference, documents, expected
from tests.e2e.every_model.sample import picture
from tests.odd_clip import film, sound

MODELS = load_catalog(has_unpaid=True).models
RULED = ["veo-3-1", "ai-music-api/generate", "kling-3.0/video", "gpt-image-2-text-to-image"]


@pytest.mark.parametrize("model_id", RULED)
def test_the_cases_hold_every_value_and_the_model_takes_them(model_id: str) -> None:
    model = MODELS[model_id]
    plan = planned(model, random.Random(7))

    assert plan.unreached == []
    for inputs in plan.cases:
        validate_inputs(model, inputs)
    for name, schema in model.properties.items():
        held = {json.dumps(inputs.get(name)) for inputs in plan.cases}
        assert {json.dumps(value) for value in schema.get("enum", ())} <= held, name
        assert (name in model.required) or "null" in held, name


def test_the_cases_hold_every_pair_of_small_fields() -> None:
    model = MODELS["wan/2-6-text-to-video"]
    choices: dict[str, Any] = {
        name: schema["enum"] for name, schema in model.properties.items() if "enum" in schema
    }
    plan = planned(model, random.Random(7))

    assert len(choices) > 1
    assert plan.excluded_count == 0
    for (one, ones), (other, others) in product(choices.items(), repeat=2):
        held = {(each.get(one), each.get(other)) for each in plan.cases}
        assert one == other or set(product(ones, others)) <= held, (one, other)
    most = [len(values) + 1 for values in choices.values()]
    assert len(plan.cases) < 4 * max(most) ** 2


def test_the_same_seed_gives_the_same_cases() -> None:
    model = MODELS["kling-3.0/video"]

    assert planned(model, random.Random(3)) == planned(model, random.Random(3))
    assert planned(model, random.Random(3)) != planned(model, random.Random(4))


def test_the_fullest_inputs_have_more_than_what_is_required() -> None:
    model = MODELS["ai-music-api/generate"]

    assert len(fullest(model, random.Random(1))) > 2 * len(required_only(model))


def test_a_request_is_what_its_document_says() -> None:
    given = {"prompt": "A hill", "images": ["upload:1"]}
    document = documents()["google/nano-banana-edit"]

    assert expected(document, given) == {"prompt": "A hill", "image_urls": ["upload:1"]}


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"a": 1, "b": [True]}, ""),
        ({"a": 1}, "b is not sent"),
        ({"a": True, "b": [True]}, "a=True instead of 1"),
        ({"a": 1, "b": [True], "c": 0}, "c=0 is sent"),
    ],
)
def test_a_request_that_differs_is_told(sent: dict[str, Any], told: str) -> None:
    assert difference(sent, {"a": 1, "b": [True]}) == told


def test_what_is_of_another_kind_is_told() -> None:
    video, song, image = film("mp4", "h264"), sound("mp3", "mp3"), picture(1)

    assert [flaw_of(image, "image"), flaw_of(video, "video"), flaw_of(song, "audio")] == [""] * 3
    assert flaw_of(song, "video")
    assert flaw_of(video, "audio")
    assert flaw_of(video, "image")
    assert flaw_of(image, "audio")
    assert flaw_of(image, "file")
    assert flaw_of(b"", "text")
    score = midi_of('{"tracks": [{"name": "Bass", "notes": [[40, 0, 1, 64]]}]}')
    assert [flaw_of(score, "file"), flaw_of(b"{}", "file"), flaw_of(b"la", "text")] == [""] * 3
    assert flaw_of(b"MThd\0", "file")
    assert flaw_of(midi_of('{"tracks": []}'), "file") == "plays nothing"
