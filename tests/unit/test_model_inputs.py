"""Every model: its document, inputs that it takes, and inputs that break one of its rules.

`make test` takes two dozen models, chosen anew each day; `make inputs` takes all of them.
"""

import json
import os
import random
from typing import Any

import pytest

from generation_svc.catalog import load_catalog, validate_inputs
from generation_svc.catalog.example import example
from generation_svc.catalog.parse import option_paths
from generation_svc.domain.error import InvalidInputs
from generation_svc.domain.media import MediaKind
from generation_svc.domain.model import Catalog
from tests.broken_inputs import broken_inputs, some
from tests.day import DAY

IS_WHOLE = bool(os.environ.get("ATELIER_ALL_INPUTS"))
SEED = int(os.environ.get("ATELIER_INPUTS_SEED") or DAY)
CATALOG = load_catalog(has_unpaid=True)
SHARES = (0.0, 0.3, 0.6, 0.9, 1.0) * (4 if IS_WHOLE else 1)


def sampled() -> list[str]:
    ids = list(CATALOG.ids)
    ruled = [each for each in ids if "allOf" in CATALOG.models[each].input_schema]
    rng = random.Random(SEED)
    return ids if IS_WHOLE else sorted({*rng.sample(ruled, 8), *rng.sample(ids, 16)})


def test_every_model_of_the_provider_has_a_document() -> None:
    withdrawn = [each.id for each in CATALOG.models.values() if each.withdrawn]

    assert (len(CATALOG.models), len(CATALOG.ids), len(withdrawn)) == (195, 184, 11)
    assert set(withdrawn).isdisjoint(CATALOG.ids)


def test_only_free_models_are_on_offer_unless_unpaid_ones_are_allowed() -> None:
    offered = load_catalog()

    assert [model.id for model in offered.offered] == [
        "z-image",
        "qwen/text-to-image",
        "qwen/image-to-image",
        "qwen/image-edit",
    ]
    assert "veo-3-1" in offered.models  # jobs of it go on


def test_a_model_is_parsed_when_it_is_asked_for() -> None:
    models = load_catalog().models

    assert models["veo-3-1"] is models["veo-3-1"]
    with pytest.raises(KeyError):
        models["no-such-model"]


@pytest.mark.parametrize("model_id", list(CATALOG.models))
def test_people_are_told_of_each_field_and_value_in_both_languages(model_id: str) -> None:
    model = CATALOG.models[model_id]
    texts = [model.title, model.description, model.hint, *model.prompt_examples]
    for path in option_paths(model.input_schema):
        option = model.option(path)
        texts += [option.label, *(choice.label for choice in option.choices)]

    assert all(text.ru and text.en for text in texts)
    assert bool(model.prompt_examples) == ("prompt" in model.properties) or model.withdrawn


@pytest.mark.parametrize("model_id", list(CATALOG.ids))
def test_a_model_takes_its_smallest_inputs(model_id: str) -> None:
    model = CATALOG.models[model_id]
    smallest = example(model, random.Random(1))

    assert smallest is not None
    valid = validate_inputs(model, smallest)
    assert set(model.required) <= valid.keys()
    assert set(model.offer.required) <= valid.keys()


@pytest.mark.parametrize("model_id", sampled())
def test_inputs_that_keep_every_rule_are_taken(model_id: str) -> None:
    model, rng = CATALOG.models[model_id], random.Random(SEED)
    for share in SHARES:
        made = example(model, rng, share=share)
        assert made is not None, f"seed {SEED}"
        valid = validate_inputs(model, made)
        assert valid == made | {k: v for k, v in model.provider_defaults.items() if k not in made}
        assert validate_inputs(model, valid) == valid


@pytest.mark.parametrize("model_id", sampled())
def test_inputs_that_break_one_rule_are_refused_by_name(model_id: str) -> None:
    model, rng = CATALOG.models[model_id], random.Random(SEED)
    count = 0
    for broken in broken_inputs(model, rng):
        count += 1
        with pytest.raises(InvalidInputs) as caught:
            validate_inputs(model, broken.inputs)
        named = {each.field for each in caught.value.violations}
        assert any(field_in(each) in broken.fields for each in named), (
            f"seed {SEED}: {broken.rule} broken by {json.dumps(broken.inputs)} is told as {named}"
        )
    assert count > len(model.properties)


def field_in(violation: str) -> str:
    """Return the field of the inputs that a violation is about: `images` for `inputs.images[0]`."""
    return violation.removeprefix("inputs").lstrip(".").partition("[")[0].partition(".")[0]


@pytest.mark.parametrize(
    ("model_id", "inputs", "violations"),
    [
        pytest.param(
            "ai-music-api/generate-persona",
            {"vocal_start": 5, "vocal_end": 12.5},
            {
                "inputs.vocal_end": "vocal_end must be at least 10 and at most 30 above"
                " vocal_start; here vocal_start is 5 and vocal_end is 12.5."
            },
            id="too-near",
        ),
        pytest.param(
            "ai-music-api/generate-persona",
            {"vocal_start": 25, "vocal_end": None},
            {
                "inputs.vocal_start": "vocal_end must be at least 10 and at most 30 above"
                " vocal_start; here vocal_start is 25 and vocal_end is 30."
            },
            id="too-near-to-a-default",
        ),
        pytest.param(
            "google/gemini-omni-flash-1-1",
            {
                "images": None,
                "first_frame": None,
                "last_frame": None,
                "clips": [{"video": "https://example.org/a.mp4", "start": 9, "ends": 9}],
            },
            {
                "inputs.clips[0].ends": "ends must be above start, by at most 10;"
                " here start is 9 and ends is 9."
            },
            id="not-above",
        ),
        pytest.param(
            "ai-music-api/replace-section",
            {"infill_start_s": 10.3, "infill_end_s": 20.29},
            {
                "inputs.infill_end_s": "infill_end_s must be at least 10 above infill_start_s;"
                " here infill_start_s is 10.3 and infill_end_s is 20.29."
            },
            id="too-short",
        ),
        pytest.param(
            "ai-music-api/add-vocals",
            {"lyrics": "la", "prompt": "la"},
            {
                "inputs.prompt": "Must be left out when lyrics is given: it has no effect then.",
            },
            id="no-effect",
        ),
        pytest.param(
            "kling-3.0/video",
            {"multi_shots": True, "prompt": "a heist"},
            {
                "inputs.prompt": "Must be left out when multi_shots is true:"
                " it has no effect then.",
            },
            id="several-shots",
        ),
        pytest.param(
            "gpt-image-2-text-to-image",
            {"resolution": "4K"},
            {
                "inputs.resolution": 'Must be "1K" when aspect_ratio is left out, not "4K".',
            },
            id="left-out",
        ),
        pytest.param(
            "google/gemini-3-8-flash-tts",
            {
                "speakers": [{"speaker_id": "Speaker 1"}],
                "dialogue_turns": [{"speaker_id": "Speaker 2", "text": "Hi"}],
            },
            {
                "inputs.dialogue_turns[0].speaker_id": "Must be one that speakers[].speaker_id"
                ' names: "Speaker 1".'
            },
            id="nobody",
        ),
        pytest.param(
            "google/gemini-3-8-flash-tts",
            {
                "speakers": [{"speaker_id": "Anna"}],
                "dialogue_turns": [{"speaker_id": "Speaker 1", "text": "Hi"}],
            },
            {
                "inputs.speakers[0].speaker_id": 'Must be text such as "Speaker 1" or "Speaker 2",'
                ' not "Anna".',
                "inputs.dialogue_turns[0].speaker_id": "Must be one that speakers[].speaker_id"
                ' names: "Anna".',
            },
            id="a-form",
        ),
        pytest.param(
            "ai-music-api/extend",
            {"continue_at": 0},
            {"inputs.continue_at": "Must be a number above 0, not 0."},
            id="above",
        ),
        pytest.param(
            "ai-music-api/generate",
            {"custom_mode": True, "instrumental": False, "title": "x"},
            {
                "inputs": "Give at least one of style, lyrics, negative_tags when custom_mode is"
                " true."
            },
            id="one-of-several",
        ),
    ],
)
def test_a_broken_rule_is_told_in_words(
    model_id: str, inputs: dict[str, Any], violations: dict[str, str]
) -> None:
    model = CATALOG.models[model_id]
    given = example(model, random.Random(3)) if model_id != "ai-music-api/generate" else {}
    assert given is not None
    whole = {name: value for name, value in (given | inputs).items() if value is not None}
    with pytest.raises(InvalidInputs) as caught:
        validate_inputs(model, whole)

    assert {each.field: each.description for each in caught.value.violations} == violations


def test_what_is_the_operator_s_is_strict() -> None:
    strict = {id_: dict(model.operator_fields) for id_, model in CATALOG.models.items()}

    assert strict["flux1-kontext"] == {"safety_tolerance": 0, "upload_cn": False, "watermark": None}
    assert strict["hailuo/02-text-to-video-pro"] == {"nsfw_checker": True}
    assert strict["wan/2-7-text-to-video"] == {"nsfw_checker": True, "watermark": False}


def test_media_of_a_model_says_what_the_provider_takes() -> None:
    songs = CATALOG.models["ai-music-api/generate"]
    videos = next(each for each in songs.media_inputs if each.name == "videos")

    assert (videos.kind, videos.max_bytes, videos.at_most) == (MediaKind.VIDEO, 100_000_000, 1)
    assert some(songs, random.Random(1))


def test_a_catalog_without_a_list_offers_all_of_its_models() -> None:
    z_image = CATALOG.models["z-image"]

    assert Catalog("1", {"z-image": z_image}).offered == (z_image,)
