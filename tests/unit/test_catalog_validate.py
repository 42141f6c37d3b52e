import base64
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from generation_svc.catalog import load_catalog, validate_inputs
from generation_svc.catalog.clean import MAX_FLAWS
from generation_svc.domain.error import InvalidInputs
from generation_svc.domain.model import Model

CATALOG = load_catalog()
Z_IMAGE, QWEN_TEXT, QWEN_IMAGE, QWEN_EDIT = CATALOG.offered
UPLOAD = "upload:0198c5a0-7c3e-7a41-9f3b-2d1c6b5e4f00"
MEDIA = "media:0198c5a0-7c3e-7a41-9f3b-2d1c6b5e4f00"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
LONGEST_LINK = "https://a.example/" + "a" * (2048 - len("https://a.example/"))


def complaints(model: Model, inputs: Any) -> dict[str, str]:
    with pytest.raises(InvalidInputs) as caught:
        validate_inputs(model, inputs)
    return {violation.field: violation.description for violation in caught.value.violations}


def test_the_default_that_kie_needs_is_filled_in() -> None:
    assert validate_inputs(Z_IMAGE, {"prompt": "a cat"}) == {
        "prompt": "a cat",
        "aspect_ratio": "1:1",
    }


def test_defaults_that_kie_fills_in_itself_stay_out() -> None:
    assert validate_inputs(QWEN_TEXT, {"prompt": "a cat"}) == {"prompt": "a cat"}


def test_the_user_s_choice_wins_over_the_default() -> None:
    chosen = validate_inputs(Z_IMAGE, {"prompt": "a cat", "aspect_ratio": "16:9"})

    assert chosen["aspect_ratio"] == "16:9"


def test_text_loses_the_whitespace_around_it_and_empty_optional_text_is_left_out() -> None:
    given_inputs = {"prompt": "\n a  cat\t", "negative_prompt": "  "}

    assert validate_inputs(QWEN_TEXT, given_inputs) == {"prompt": "a  cat"}


def test_whole_floats_become_integers() -> None:
    valid = validate_inputs(
        QWEN_TEXT,
        {"prompt": "a cat", "num_inference_steps": 30.0, "guidance_scale": 4.0, "seed": -0.0},
    )

    assert [type(valid[field]) for field in ("num_inference_steps", "guidance_scale", "seed")] == [
        int,
        int,
        int,
    ]


@pytest.mark.parametrize("seed", [2**53 - 1, 1 - 2**53, float(2**53 - 1)])
def test_the_largest_exact_integer_is_taken(seed: float) -> None:
    assert validate_inputs(QWEN_TEXT, {"prompt": "a cat", "seed": seed})["seed"] == int(seed)


ASPECT_RATIOS = '"1:1", "4:3", "3:4", "16:9", "9:16"'
BEYOND = (
    "Must be a number from -9007199254740991 to 9007199254740991:"
    " larger numbers lose digits on the way."
)


@pytest.mark.parametrize(
    ("field", "value", "description"),
    [
        pytest.param(
            "prompt", None, "Must be text of up to 5000 characters, not null.", id="prompt-null"
        ),
        pytest.param(
            "prompt", "", "Required: give text of up to 5000 characters.", id="prompt-empty"
        ),
        pytest.param(
            "prompt", " \n ", "Required: give text of up to 5000 characters.", id="prompt-blank"
        ),
        pytest.param(
            "prompt",
            "a" * 5001,
            "Must be text of up to 5000 characters, not text of 5001 characters.",
            id="prompt-too-long",
        ),
        pytest.param(
            "prompt", 7, "Must be text of up to 5000 characters, not 7.", id="prompt-a-number"
        ),
        pytest.param(
            "prompt",
            [["deep"]],
            "Must be text of up to 5000 characters, not a list.",
            id="prompt-a-list",
        ),
        pytest.param(
            "prompt", "a\0b", "Must not contain the character U+0000 (at position 2).", id="nul"
        ),
        pytest.param(
            "prompt",
            "\ud800",
            "Must not contain the character U+D800 (at position 1).",
            id="lone-surrogate",
        ),
        pytest.param(
            "num_inference_steps",
            251,
            "Must be a whole number from 2 to 250, not 251.",
            id="above-the-range",
        ),
        pytest.param(
            "num_inference_steps",
            2.5,
            "Must be a whole number from 2 to 250, not 2.5.",
            id="not-whole",
        ),
        pytest.param(
            "num_inference_steps",
            "30",
            'Must be a whole number from 2 to 250, not "30".',
            id="digits-in-text",
        ),
        pytest.param(
            "num_inference_steps",
            True,
            "Must be a whole number from 2 to 250, not true.",
            id="boolean-is-no-number",
        ),
        pytest.param(
            "guidance_scale",
            2.55,
            "Must be a number from 0 to 20 in steps of 0.1, not 2.55.",
            id="between-steps",
        ),
        pytest.param(
            "guidance_scale",
            {"a": 1},
            "Must be a number from 0 to 20 in steps of 0.1, not an object.",
            id="object",
        ),
        pytest.param("guidance_scale", float("nan"), "Must be a finite number.", id="nan"),
        pytest.param("guidance_scale", float("-inf"), "Must be a finite number.", id="infinity"),
        pytest.param("seed", float(2**53 + 1), BEYOND, id="rounded-to-2-to-53"),
        pytest.param("seed", 2**53, BEYOND, id="2-to-53"),
        pytest.param("seed", -(2**53), BEYOND, id="minus-2-to-53"),
        pytest.param("seed", 1e300, BEYOND, id="huge-float"),
        pytest.param("seed", 10**5000, BEYOND, id="more-digits-than-python-prints"),
        pytest.param("nsfw_checker", 1, "Must be true or false, not 1.", id="one-is-not-true"),
        pytest.param(
            "output_format", "gif", 'Must be one of "png", "jpeg", not "gif".', id="not-in-enum"
        ),
    ],
)
def test_a_violation_says_what_was_given_and_what_would_be_right(
    field: str, value: Any, description: str
) -> None:
    found = complaints(QWEN_TEXT, {"prompt": "a cat"} | {field: value})

    assert found == {f"inputs.{field}": description}


def test_all_violations_come_at_once_in_the_schema_s_order() -> None:
    found = complaints(
        Z_IMAGE, {"zzz": 1, "promt": "a cat", "nsfw_checker": "no", "aspect_ratio": "7:5"}
    )

    assert list(found.items()) == [
        ("inputs.prompt", "Required: give text of up to 1000 characters."),
        ("inputs.aspect_ratio", f'Must be one of {ASPECT_RATIOS}, not "7:5".'),
        ("inputs.nsfw_checker", 'Must be true or false, not "no".'),
        ("inputs.promt", 'z-image has no such field. Did you mean "prompt"?'),
        (
            "inputs.zzz",
            "z-image has no such field. Its fields are prompt, aspect_ratio, nsfw_checker.",
        ),
    ]


@pytest.mark.parametrize("field", ["guidance_scale", "num_inference_steps"])
def test_z_image_says_that_kie_has_no_such_setting(field: str) -> None:
    found = complaints(Z_IMAGE, {"prompt": "a cat", field: 7})

    assert found == {f"inputs.{field}": f"z-image has no {field} setting at KIE; leave it out."}


@pytest.mark.parametrize(
    ("model", "field", "meant"),
    [
        pytest.param(QWEN_EDIT, "image_url", "image", id="kie-s-own-name"),
        pytest.param(Z_IMAGE, "aspectRatio", "aspect_ratio", id="camel-case"),
        pytest.param(QWEN_TEXT, "Seed", "seed", id="capital"),
    ],
)
def test_an_unknown_field_names_the_nearest(model: Model, field: str, meant: str) -> None:
    found = complaints(model, {"prompt": "a cat", "image": UPLOAD, field: 1})

    assert found[f"inputs.{field}"].endswith(f'Did you mean "{meant}"?')


def test_many_and_strange_unknown_fields_make_a_bounded_answer() -> None:
    names = [f"\0\ud800{'x' * 10_000}{number}" for number in range(1000)]

    found = complaints(Z_IMAGE, {"prompt": "a cat"} | dict.fromkeys(names))

    assert len(repr(found).encode()) < 4096


def test_every_description_fits_into_trailers_at_once() -> None:
    names = [*QWEN_EDIT.properties, *(f"unknown_{number}" for number in range(50))]

    found = complaints(QWEN_EDIT, dict.fromkeys(names))

    assert sum(len(field) + len(text) for field, text in found.items()) < 5000


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(UPLOAD, id="upload"),
        pytest.param(MEDIA, id="media"),
        pytest.param("https://example.com/a.png?b=c", id="link"),
        pytest.param(LONGEST_LINK, id="longest-link"),
        pytest.param(f"data:image/png;base64,{PNG}", id="data"),
        pytest.param("data:image/webp;base64," + "A" * 1_398_100, id="large-data"),
    ],
)
def test_a_picture_is_taken_in_each_of_its_forms(image: str) -> None:
    assert validate_inputs(QWEN_EDIT, {"prompt": "red", "image": image})["image"] == image


@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        pytest.param("", "Required: give an image: upload:<id>", id="empty"),
        pytest.param(7, "Must be an image: upload:<id>", id="number"),
        pytest.param("cat.png", "Must be an image: upload:<id>", id="file-name"),
        pytest.param("http://example.com/a.png", "Must be an image: upload:<id>", id="http"),
        pytest.param("file:///etc/passwd", "Must be an image", id="file"),
        pytest.param("upload:", "The id after upload: must be a UUID.", id="no-id"),
        pytest.param("media:../../etc", "The id after media: must be a UUID.", id="path-as-id"),
        pytest.param("https://", "not a valid https: address", id="no-host"),
        pytest.param("https:a.example", "not a valid https: address", id="no-slashes"),
        pytest.param("https://[::1", "not a valid https: address", id="broken-host"),
        pytest.param("https://a.example:99999/", "not a valid https: address", id="bad-port"),
        pytest.param("https://a.example/a b", "not a valid https: address", id="space"),
        pytest.param("https://127.1/a.png", "on the internet", id="address-in-short"),
        pytest.param("https://10.0.0.7/a.png", "on the internet", id="private-address"),
        pytest.param("https://[::1]/a.png", "on the internet", id="loopback"),
        pytest.param("https://localhost/a.png", "on the internet", id="localhost"),
        pytest.param("https://media/a.png", "on the internet", id="single-label"),
        pytest.param("https://store.internal/a.png", "on the internet", id="internal-name"),
        pytest.param("https://☃.example/a.png", "on the internet", id="no-idn"),
        pytest.param("https://me:pw@a.example/", "user name or password", id="credentials"),
        pytest.param("https://@a.example/", "user name or password", id="empty-user"),
        pytest.param(LONGEST_LINK + "a", "up to 2048 characters, not 2049", id="link-too-long"),
        pytest.param(
            "https://api.telegram.org/file/bot1%3AAAF/photo.jpg",
            "upload the file instead",
            id="telegram-file-link",
        ),
        pytest.param("data:image/gif;base64,AAAA", "must be base64 of one of", id="gif"),
        pytest.param("data:image/png,AAAA", "must be base64 of one of", id="not-base64"),
        pytest.param("data:image/png;base64,é", "not valid base64", id="odd-letters"),
        pytest.param("data:image/png;base64,AAA", "not valid base64", id="bad-padding"),
        pytest.param("data:image/png;base64,", "holds nothing", id="no-bytes"),
        pytest.param(
            "data:image/png;base64," + base64.b64encode(bytes(2**20 + 1)).decode(),
            "up to 1048576 bytes",
            id="one-byte-too-many",
        ),
        pytest.param("data:image/png;base64," + "A" * 1_398_104, "up to", id="far-too-many"),
    ],
)
def test_any_other_picture_is_refused_in_words(image: Any, complaint: str) -> None:
    found = complaints(QWEN_EDIT, {"prompt": "red", "image": image})

    assert complaint in found["inputs.image"]


def test_a_picture_s_link_is_never_repeated() -> None:
    found = complaints(QWEN_EDIT, {"prompt": "red", "image": "https://me:hush@a.example/"})

    assert "hush" not in str(found)


@pytest.mark.parametrize(
    ("field", "step", "highest"),
    [("guidance_scale", "0.1", "20"), ("strength", "0.01", "1")],
)
def test_every_legal_step_passes(field: str, step: str, highest: str) -> None:
    count = int(Decimal(highest) / Decimal(step))
    legal = [float(Decimal(step) * number) for number in range(count + 1)]
    inputs = {"prompt": "red", "image": UPLOAD}

    assert [validate_inputs(QWEN_IMAGE, inputs | {field: value})[field] for value in legal] == legal


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None, exclude_categories=()))
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=4,
)
MODELS = st.sampled_from(CATALOG.offered)


@st.composite
def odd_inputs(draw: st.DrawFn) -> tuple[Model, dict[str, Any]]:
    model = draw(MODELS)
    names = st.sampled_from([*model.properties]) | st.text(max_size=20)
    picture = st.sampled_from([UPLOAD, "https://", "data:", "upload:", "media:"])
    return model, draw(st.dictionaries(names, JSON | picture, max_size=6))


def plausible(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema["type"] == "boolean":
        return st.booleans()
    if schema["type"] == "string":
        return st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=30)
    highest = schema.get("maximum", 2**53 - 1)
    whole = st.integers(schema.get("minimum", 1 - 2**53), highest)
    return whole | whole.map(float)


@st.composite
def plausible_inputs(draw: st.DrawFn) -> tuple[Model, dict[str, Any]]:
    model = draw(MODELS)
    fields = {name: plausible(dict(schema)) for name, schema in model.properties.items()}
    fields |= {"image": st.sampled_from([UPLOAD, MEDIA])} if model.media_inputs else {}
    fields["prompt"] = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=30)
    required = {name: fields.pop(name) for name in model.required}
    return model, draw(st.fixed_dictionaries(required, optional=fields))


@given(odd_inputs())
def test_random_json_raises_nothing_but_invalid_inputs(case: tuple[Model, dict[str, Any]]) -> None:
    model, inputs = case
    try:
        valid = validate_inputs(model, inputs)
    except InvalidInputs as error:
        fields = [violation.field for violation in error.violations]
        assert fields
        str(error).encode()
    else:
        assert set(model.required) <= set(valid)


@given(plausible_inputs())
def test_valid_inputs_validate_to_themselves(case: tuple[Model, dict[str, Any]]) -> None:
    model, inputs = case

    valid = validate_inputs(model, inputs)

    assert validate_inputs(model, valid) == valid
    assert not [
        error
        for error in Draft202012Validator(model.input_schema).iter_errors(valid)
        if error.validator != "multipleOf"
    ]


def test_of_flaws_without_number_the_first_thousand_are_looked_at() -> None:
    found = complaints(Z_IMAGE, {"prompt": ["\x01"] * 5000})
    assert "inputs.prompt[0]" in found
    others = MAX_FLAWS + 1 - (len(found) - 1)  # that it is a list at all is a mistake, too
    assert found["inputs"] == f"There are {others} more mistakes."
