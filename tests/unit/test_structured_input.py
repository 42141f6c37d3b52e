"""Lists, objects, branches, rules, media and references: where a mistake is, and in which words."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from generation_svc.catalog import validate_inputs
from generation_svc.domain.error import InvalidInputs
from generation_svc.domain.media import Media, MediaKind
from generation_svc.domain.media_input import JobReference, MediaRole, given_in, parse_reference
from generation_svc.domain.provider_input import provider_input
from tests.invented_model import ENTRY, MODEL_ID, invented_catalog, invented_model

MODEL = invented_model()
ID = "0198c5a0-7c3e-7a41-9f3b-2d1c6b5e4f00"
UPLOAD, MEDIA, JOB = f"upload:{ID}", f"media:{ID}", f"job:{ID}"
LINK = "https://example.org/a.png"
FORMS = "upload:<id>, media:<id>, an https: link, or a data: URL of up to 1 MiB"
SHOT: dict[str, Any] = {"prompt": "a wave", "seconds": 3}


def complaints(inputs: Any) -> dict[str, str]:
    with pytest.raises(InvalidInputs) as caught:
        validate_inputs(MODEL, inputs)
    return {each.field: each.description for each in caught.value.violations}


def test_a_media_input_says_what_the_schema_says_of_its_number() -> None:
    found = {each.name: each for each in MODEL.media_inputs}
    assert [*found] == ["images", "last_frame", "shots[].image", "sound"]
    images, sound = found["images"], found["sound"]
    assert (images.role, images.is_list) == (MediaRole.FIRST_FRAME, True)
    assert (images.at_least, images.at_most) == (0, 3)
    assert (sound.kind, sound.is_list, sound.at_most) == (MediaKind.AUDIO, False, 1)


def test_structured_inputs_come_back_as_they_are_stored() -> None:
    given: dict[str, Any] = {
        "shots": [{"prompt": " a wave ", "seconds": 3.0, "image": UPLOAD}, SHOT],
        "speech": [{"type": "line", "text": "Hi"}, {"type": "pause", "seconds": 0.7}],
        "images": [UPLOAD, LINK],
        "last_frame": MEDIA,
    }
    valid = validate_inputs(MODEL, given)
    assert valid == given | {"shots": [SHOT | {"image": UPLOAD}, SHOT], "mode": "std"}
    assert type(valid["shots"][0]["seconds"]) is int  # type: ignore[index, call-overload]
    assert validate_inputs(MODEL, valid) == valid


def test_one_media_in_place_of_a_list_is_a_list_of_it() -> None:
    assert validate_inputs(MODEL, {"prompt": "x", "images": UPLOAD})["images"] == [UPLOAD]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        pytest.param(
            {"shots": [SHOT, {"prompt": 7, "seconds": 3}]},
            {"shots[1].prompt": "Must be text of up to 200 characters, not 7."},
            id="field-of-an-item",
        ),
        pytest.param(
            {"shots": [{"seconds": 3, "promt": "x"}]},
            {
                "shots[0].prompt": "Required: give text of up to 200 characters.",
                "shots[0].promt": 'No such field here. Did you mean "prompt"?',
            },
            id="misspelt-field-of-an-item",
        ),
        pytest.param(
            {"shots": [SHOT | {"prompt": "a\0"}]},
            {"shots[0].prompt": "Must not contain the character U+0000 (at position 2)."},
            id="unstorable-in-an-item",
        ),
        pytest.param(
            {"shots": [SHOT | {"seconds": 2.0**53}]},
            {
                "shots[0].seconds": "Must be a number from -9007199254740991 to 9007199254740991:"
                " larger numbers lose digits on the way."
            },
            id="too-large-in-an-item",
        ),
        pytest.param(
            {"shots": []},
            {"shots": "Must be a list of 1 to 3 items, not of 0."},
            id="too-few",
        ),
        pytest.param(
            {"shots": [SHOT] * 4},
            {"shots": "Must be a list of 1 to 3 items, not of 4."},
            id="too-many",
        ),
        pytest.param(
            {"shots": ["a wave"]},
            {"shots[0]": 'Must be an object, not "a wave".'},
            id="text-for-an-object",
        ),
        pytest.param(
            {"prompt": "x", "speech": [{"type": "pause", "seconds": 9}]},
            {"speech[0].seconds": "Must be a number from 0.5 to 5 in steps of 0.1, not 9."},
            id="branch-that-was-meant",
        ),
        pytest.param(
            {"prompt": "x", "speech": [{"type": "line"}]},
            {"speech[0].text": "Required: give text of up to 100 characters."},
            id="missing-in-a-branch",
        ),
        pytest.param(
            {"prompt": "x", "speech": [{"type": "song", "text": "la"}]},
            {"speech[0].type": 'Must be one of "line", "pause", not "song".'},
            id="no-branch",
        ),
        pytest.param(
            {},
            {"prompt": "Required: give text of up to 500 characters."},
            id="neither-of-two",
        ),
        pytest.param(
            {"prompt": "x", "shots": [SHOT]},
            {"shots": "Must be left out."},
            id="both-of-two",
        ),
        pytest.param(
            {"prompt": "x", "mode": "pro"},
            {"seconds": 'Required when mode is "pro": give a whole number from 1 to 10.'},
            id="required-by-a-rule",
        ),
        pytest.param(
            {"prompt": "x", "mode": "pro", "seconds": 20},
            {"seconds": 'Must be a whole number from 1 to 10 when mode is "pro", not 20.'},
            id="tighter-by-a-rule",
        ),
        pytest.param(
            {"prompt": "x", "extends": JOB, "images": [UPLOAD]},
            {"images": "Must be left out when extends is given."},
            id="forbidden-by-a-rule",
        ),
        pytest.param(
            {"prompt": "x", "last_frame": UPLOAD},
            {"images": f"Required: give a list of up to 3 images: {FORMS}."},
            id="required-beside-another",
        ),
        pytest.param(
            {"prompt": "x", "images": [UPLOAD, "a.png", 7]},
            {
                "images[1]": f"Must be an image: {FORMS}.",
                "images[2]": f"Must be an image: {FORMS}, not 7.",
            },
            id="media-of-a-list",
        ),
        pytest.param(
            {"prompt": "x", "images": [UPLOAD, LINK, UPLOAD]},
            {"images[2]": "Must not be given twice."},
            id="media-twice",
        ),
        pytest.param(
            {"shots": [SHOT, SHOT | {"image": "upload:7"}]},
            {"shots[1].image": "The id after upload: must be a UUID."},
            id="media-of-an-item",
        ),
        pytest.param(
            {"prompt": "x", "sound": "data:image/png;base64,AAAA"},
            {"sound": "A data: URL must be base64 of one of audio/mpeg."},
            id="data-of-another-kind",
        ),
        pytest.param(
            {"prompt": "x", "extends": UPLOAD},
            {"extends": "Must be an earlier job: job:<id>."},
            id="upload-for-a-job",
        ),
        pytest.param(
            {"prompt": "x", "extends": f"{JOB}/1"},
            {"extends": "Must be an earlier job: job:<id>."},
            id="number-of-a-task",
        ),
        pytest.param(
            {"prompt": "x", "song": f"{JOB}/0"},
            {
                "song": "Must be the audio of an earlier job: job:<id> for the first,"
                " or job:<id>/<n>, where n is 1 to 99."
            },
            id="number-zero",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(inputs: Any, expected: dict[str, str]) -> None:
    assert complaints(inputs) == {f"inputs.{path}": text for path, text in expected.items()}


def test_unknown_fields_deep_inside_are_named_up_to_ten_and_counted() -> None:
    found = complaints({"shots": [SHOT | {f"field_{n:06}": 1 for n in range(50_000)}]})
    assert len(found) == 11
    assert found["inputs.shots[0]"] == "There are 49990 more unknown fields."


def test_many_mistakes_deep_inside_make_a_bounded_answer() -> None:
    shots = [{f"{'x' * 50}{n}": 1 for n in range(200)} for _ in range(3)]
    speech = [{"type": "line", f"{'y' * 50}": 1} for _ in range(4)]
    found = complaints({"shots": shots, "speech": speech})
    assert sum(len(field) + len(text) for field, text in found.items()) < 5100
    assert found["inputs"].endswith("more mistakes.")


@pytest.mark.parametrize("items", [[0] * 200_000, [{"a": n} for n in range(50_000)]])
def test_a_list_that_is_far_too_long_is_not_looked_into(items: list[Any]) -> None:
    for field in ("images", "shots"):
        found = complaints({"prompt": "x", field: items})
        assert len(found) <= 2
        assert f"not of {len(items)}" in found[f"inputs.{field}"] or field == "shots"


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        (JOB, 1),
        (f"{JOB}/2", 2),
        (f"{JOB.upper().replace('JOB', 'job')}/99", 99),
        (f"{JOB}/100", None),
        (f"{JOB}/", None),
        (f"{JOB}/01", None),
        ("job:seven", None),
        (UPLOAD, None),
    ],
)
def test_a_reference_is_a_job_and_a_number(text: str, reference: int | None) -> None:
    found = parse_reference(text)
    assert (found and found.number) == reference
    assert found is None or found == JobReference(found.job_id, found.number)


def test_the_provider_gets_each_place_resolved_under_its_own_name() -> None:
    inputs = validate_inputs(
        MODEL,
        {
            "shots": [SHOT, SHOT | {"image": UPLOAD}],
            "images": [MEDIA, LINK, UPLOAD],
            "last_frame": UPLOAD,
            "song": f"{JOB}/2",
        },
    )
    sent = provider_input(
        MODEL,
        inputs,
        resolved={
            ("shots", 1, "image"): "https://kie.example/1",
            ("images", 0): "https://kie.example/2",
            ("images", 2): "https://kie.example/1",
            ("last_frame",): "https://kie.example/1",
            ("song",): "song-id",
        },
    )
    assert sent == {
        "shots": [SHOT, SHOT | {"image_url": "https://kie.example/1"}],
        "imageUrls": ["https://kie.example/2", LINK, "https://kie.example/1"],
        "tailUrls": ["https://kie.example/1"],
        "audioId": "song-id",
        "mode": "std",
    }
    assert inputs["images"] == [MEDIA, LINK, UPLOAD]


@pytest.mark.parametrize(
    "inputs", [{"images": [LINK, UPLOAD]}, {"song": JOB}, {"extends": JOB}], ids=str
)
def test_nothing_of_ours_reaches_the_provider_unresolved(inputs: dict[str, Any]) -> None:
    with pytest.raises(KeyError):
        provider_input(MODEL, {"prompt": "x"} | inputs, resolved={})


@pytest.mark.parametrize(
    ("changes", "flaw"),
    [
        ({}, None),
        ({"duration": timedelta(seconds=30)}, None),
        (
            {"duration": timedelta(seconds=30.5)},
            "Must be at most 30 seconds long, not 30.5.",
        ),
        ({"size_bytes": 5_000_001}, "Must have up to 5000000 bytes, not 5000001."),
        ({"mime_type": "video/mp4"}, "Must be of the type audio/mpeg, not video/mp4."),
    ],
    ids=str,
)
def test_media_is_held_to_what_the_model_takes(changes: Any, flaw: str | None) -> None:
    sound = next(each for each in MODEL.media_inputs if each.name == "sound")
    media = Media(
        id=UUID(ID), mime_type="audio/mpeg", size_bytes=5_000_000, width=0, height=0, sha256=""
    )
    assert sound.flaw_of(replace(media, **changes)) == flaw


@pytest.mark.parametrize(
    ("limits", "flaw"),
    [
        ({"min_duration": timedelta(seconds=6)}, None),
        (
            {"min_duration": timedelta(seconds=7)},
            "Must be at least 7 seconds long, not 6.",
        ),
        ({"max_pixels": 200}, None),
        ({"max_pixels": 199}, "Must have up to 199 pixels, not 200."),
        ({"min_pixels": 201}, "Must have at least 201 pixels, not 200."),
        ({"min_pixels": 200, "min_duration": timedelta(seconds=1)}, None),
    ],
    ids=str,
)
def test_media_is_held_to_the_least_as_well(limits: Any, flaw: str | None) -> None:
    image = next(each for each in MODEL.media_inputs if each.name == "images")
    media = Media(id=UUID(ID), mime_type="image/png", size_bytes=9, width=10, height=20, sha256="")
    length = timedelta(seconds=6)
    assert replace(image, **limits).flaw_of(replace(media, duration=length)) == flaw


EITHER = {"anyOf": [{"required": ["prompt"]}, {"required": ["shots"]}]}
UNLESS = {
    "if": {"properties": {"mode": {"enum": ["std", "pro"]}}, "required": ["mode", "images"]},
    "then": {"properties": {"seconds": {"const": 5}}},
    "else": {"required": ["seconds"]},
}
BOTH = {"oneOf": [{"required": ["prompt"]}, {"required": ["shots"]}]}


@pytest.mark.parametrize(
    ("schema", "inputs", "expected"),
    [
        (EITHER, {}, {"inputs": "Give at least one of prompt, shots."}),
        (
            {"allOf": [UNLESS]},
            {"prompt": "x"},
            {
                "inputs.seconds": 'Required unless mode is "std" or "pro" and images is given:'
                " give a whole number from 1 to 30."
            },
        ),
        (
            {"allOf": [UNLESS]},
            {"prompt": "x", "images": [UPLOAD], "seconds": 6},
            {"inputs.seconds": 'Must be 5 when mode is "std" or "pro" and images is given, not 6.'},
        ),
        (
            BOTH,
            {"prompt": "x", "shots": [SHOT]},
            {"inputs": "Matches more than one of the allowed forms. Give exactly one of them."},
        ),
    ],
)
def test_a_broken_rule_says_when_it_holds(
    schema: dict[str, Any], inputs: Any, expected: dict[str, str]
) -> None:
    known = {key: ENTRY["input_schema"][key] for key in ("$schema", "type", "properties")}
    whole = {**known, "required": [], "additionalProperties": False, **schema}
    model = invented_catalog(input_schema=whole).get(MODEL_ID)
    with pytest.raises(InvalidInputs) as caught:
        validate_inputs(model, inputs)
    assert {each.field: each.description for each in caught.value.violations} == expected


SCALARS = st.none() | st.booleans() | st.integers() | st.floats()
WORDS = ["line", "pause", "pro", "std", UPLOAD, MEDIA, JOB, f"{JOB}/2", LINK, "data:", "", " x "]
NAMES = [*MODEL.properties, "text", "type", "image", "odd"]
VALUES = st.recursive(
    SCALARS | st.sampled_from(WORDS) | st.text(st.characters(codec=None), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6))
def test_any_inputs_are_taken_as_they_will_be_again_or_refused(inputs: dict[str, Any]) -> None:
    try:
        valid = validate_inputs(MODEL, inputs)
    except InvalidInputs as error:
        roots = {each.field.partition(".")[0] for each in error.violations}
        assert roots == {"inputs"}
        str(error).encode()
    else:
        assert validate_inputs(MODEL, valid) == valid
        assert Draft202012Validator(MODEL.input_schema).is_valid(valid)


@given(
    st.fixed_dictionaries(
        {
            "shots": st.lists(
                st.just(SHOT) | st.just(SHOT | {"image": LINK}), min_size=1, max_size=3
            )
        },
        optional={
            "mode": st.just("std"),
            "images": st.lists(st.sampled_from([LINK, MEDIA, UPLOAD]), unique=True) | st.just(LINK),
            "speech": st.lists(
                st.sampled_from([{"type": "line", "text": "a"}, {"type": "pause", "seconds": 0.7}]),
                max_size=4,
            ),
            "song": st.just(JOB),
        },
    )
)
def test_right_inputs_are_taken_and_asked_for_under_the_provider_s_names(
    inputs: dict[str, Any],
) -> None:
    valid = validate_inputs(MODEL, inputs)
    resolved = {each.steps: "R" for one in MODEL.special_inputs for each in given_in(valid, one)}
    sent = json.dumps(provider_input(MODEL, valid, resolved=resolved))
    assert not any(word in sent for word in ("upload:", "media:", "job:", '"images"', '"song"'))
