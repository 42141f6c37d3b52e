import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from generation_svc.catalog import CatalogError, load_catalog
from generation_svc.catalog.build import built
from generation_svc.catalog.load import digest_of, note_checked

SHIPPED = Path(__file__).parents[2] / "models" / "KIE_SOURCE_OF_TRUTH.json"
Entry = dict[str, Any]


def spoil(change: Callable[[Entry], object], *, model: str = "z-image") -> str:
    """Return the file with the free models alone, checked soon, and one of them changed."""
    document = json.loads(_free_models())
    change(next(each for each in document["models"] if each["id"] == model))
    return json.dumps(document)


@cache
def _free_models() -> str:
    document = json.loads(SHIPPED.read_text(encoding="utf-8"))
    document["models"] = [each for each in document["models"] if each["is_free"]]
    return json.dumps(document)


def put(*path: str | int, value: object) -> Callable[[Entry], object]:
    def change(entry: Any) -> None:
        for key in path[:-1]:
            entry = entry[key]
        entry[path[-1]] = value

    return change


def remove(*path: str | int) -> Callable[[Entry], object]:
    def change(entry: Any) -> None:
        for key in path[:-1]:
            entry = entry[key]
        del entry[path[-1]]

    return change


def needing_an_image(entry: Entry) -> None:
    entry["media_inputs"] = [MEDIA]
    entry["input_schema"]["properties"]["image"] = IMAGE
    entry["input_schema"]["required"].append("image")
    entry["options"]["image"] = LABEL


FIELDS = ("input_schema", "properties")
OFFER = ("offers", 0)
PRICE = (*OFFER, "price", "parts", 0)
RULES = ("input_schema", "allOf")
NEVER = [
    {
        "if": {"properties": {"aspect_ratio": {"const": "1:1"}}},
        "then": {"required": ["nsfw_checker"]},
    },
    {
        "if": {"required": ["prompt"]},
        "then": {
            "properties": {"nsfw_checker": False, "aspect_ratio": {"const": "1:1"}},
            "required": ["aspect_ratio"],
        },
    },
]
MEDIA = {
    "name": "image",
    "kind": "image",
    "role": "source",
    "mime_types": ["image/png"],
    "max_bytes": 1,
}
IMAGE = {"type": "string", "minLength": 1}
LABEL = {"label": {"ru": "Кадр", "en": "Frame"}}
LONG = {"ru": "а" * 20, "en": "a" * 20}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("{", "is not JSON", id="broken-json"),
        pytest.param("[]", "is not of type 'object'", id="not-an-object"),
        pytest.param(spoil(remove(*OFFER, "price")), "'price' is a required", id="no-price"),
        pytest.param(spoil(put(*PRICE, "unit", value="pixel")), "'pixel'", id="odd-unit"),
        pytest.param(
            spoil(put(*PRICE, "rates", 0, "credits", value="-1")), "'-1'", id="negative-price"
        ),
        pytest.param(
            spoil(put(*PRICE, "rates", 0, "when", value={"size": "1"})),
            "a price depends on size, which is not in the input schema",
            id="price-of-no-field",
        ),
        pytest.param(
            spoil(put(*PRICE, "rates", 0, "when", value={"aspect_ratio": "7:5"})),
            "a price depends on aspect_ratio being '7:5', which it can never be",
            id="price-of-no-value",
        ),
        pytest.param(
            spoil(put(*PRICE, "rates", 0, "when", value={"aspect_ratio": "1:1"})),
            "no rate speaks of aspect_ratio '4:3'",
            id="price-with-a-gap",
        ),
        pytest.param(
            spoil(put(*PRICE, "times", value=[{"seconds_of": "prompt"}])),
            "a price counts the seconds of prompt, which is neither video nor audio",
            id="seconds-of-text",
        ),
        pytest.param(
            spoil(put(*PRICE, "times", value=[{"field": "num_images"}])),
            "a price counts num_images, which is not in the input schema",
            id="count-of-no-field",
        ),
        pytest.param(
            spoil(
                put(
                    *RULES, value=[{"if": {"required": ["size"]}, "then": {"required": ["prompt"]}}]
                )
            ),
            "a rule speaks of size, which is not in the input schema",
            id="rule-of-no-field",
        ),
        pytest.param(
            spoil(put("checks", value=[{"difference": {"from": "a", "to": "prompt"}}])),
            "a check speaks of a, which is not in the input schema",
            id="check-of-no-field",
        ),
        pytest.param(
            spoil(put(*RULES, value=NEVER)), "no inputs keep the input schema", id="no-input-fits"
        ),
        pytest.param(
            spoil(put("description", "ru", value="Draws.")),
            "description.ru is not Russian",
            id="english-russian",
        ),
        pytest.param(
            spoil(put("title", "en", value="Зет")), "title.en is not English", id="russian-english"
        ),
        pytest.param(
            spoil(put("options", "nsfw_checker", "label", "en", value="nsfw_checker")),
            "is a raw name: nsfw_checker",
            id="raw-name",
        ),
        pytest.param(
            spoil(put("operator_fields", value={"nsfw_checker": "yes"})),
            "what is sent for the operator field nsfw_checker breaks its schema",
            id="operator-value",
        ),
        pytest.param(spoil(remove("title", "ru")), "'ru' is a required", id="untranslated"),
        pytest.param(
            spoil(put(*FIELDS, "prompt", "pattern", value=".")), "prompt", id="unworded-keyword"
        ),
        pytest.param(
            spoil(put(*FIELDS, "aspect_ratio", "default", value="7:5")),
            "the default of aspect_ratio breaks its own schema",
            id="illegal-default",
        ),
        pytest.param(
            spoil(remove(*FIELDS, "aspect_ratio", "default")),
            "KIE needs aspect_ratio, which is neither required nor has a default",
            id="no-default-for-kie",
        ),
        pytest.param(
            spoil(remove("options", "aspect_ratio", "choices", "1:1")),
            "the choices of aspect_ratio are not the values of its enum",
            id="unlabelled-value",
        ),
        pytest.param(
            spoil(remove("options", "nsfw_checker")),
            "field nsfw_checker has no label",
            id="unlabelled-field",
        ),
        pytest.param(
            spoil(put("options", "nsfw_checker", "is_offered", value=True)),
            "offered option nsfw_checker needs a default and an enum",
            id="offered-without-choices",
        ),
        pytest.param(
            spoil(put("options", "strength", value={"label": LONG})),
            "option strength is not in the input schema",
            id="option-of-no-field",
        ),
        pytest.param(
            spoil(put("input_schema", "required", value=["prompt", "size"])),
            "required field size is not in the input schema",
            id="required-of-no-field",
        ),
        pytest.param(
            spoil(put("unsupported_fields", "prompt", value="No prompt here.")),
            "prompt is both a field and unsupported",
            id="unsupported-field-that-exists",
        ),
        pytest.param(
            spoil(needing_an_image),
            "purpose text-to-image takes no media, but some is required",
            id="media-for-words",
        ),
        pytest.param(
            spoil(remove("media_inputs"), model="qwen/image-to-image"),
            "purpose image-to-image needs media of the kind image",
            id="no-media",
        ),
        pytest.param(
            spoil(
                put("media_inputs", value=[MEDIA | {"kind": "video"}]), model="qwen/image-to-image"
            ),
            "purpose image-to-image needs media of the kind image",
            id="media-of-another-kind",
        ),
        pytest.param(
            spoil(
                put("media_inputs", value=[MEDIA | {"name": "photo"}]), model="qwen/image-to-image"
            ),
            "photo is not text in the input schema",
            id="media-of-no-field",
        ),
        pytest.param(
            spoil(
                put("media_inputs", value=[MEDIA | {"name": "shots[].image"}]),
                model="qwen/image-to-image",
            ),
            "shots[].image is not text in the input schema",
            id="media-of-no-list",
        ),
        pytest.param(
            spoil(put(*OFFER, "fields", value={"image": "prompt"}), model="qwen/image-to-image"),
            "image has the name prompt at KIE, another field's name",
            id="media-name-taken",
        ),
        pytest.param(
            spoil(
                put("media_inputs", value=[MEDIA | {"role": "hero"}]), model="qwen/image-to-image"
            ),
            "role: 'hero' is not one of",
            id="odd-role",
        ),
        pytest.param(
            spoil(put("reference_inputs", value=[{"name": "prompt", "part": "all"}])),
            "reference_inputs[0]",
            id="odd-part",
        ),
        pytest.param(
            spoil(put("result", "kinds", value=["video"])),
            "purpose text-to-image makes image, which the result kinds lack",
            id="another-result",
        ),
        pytest.param(
            spoil(put(*FIELDS, "shots", value={"type": "array", "items": IMAGE})),
            "shots",
            id="list-without-end",
        ),
        pytest.param(
            spoil(put(*FIELDS, "shot", value={"type": "object", "properties": {}, "required": []})),
            "shot",
            id="object-of-anything",
        ),
        pytest.param(
            spoil(put("prompt_examples", value=[])),
            "a prompt has some",
            id="prompt-without-examples",
        ),
        pytest.param(
            spoil(put(*FIELDS, "prompt", "maxLength", value=10)),
            "prompt example 1 breaks the schema of prompt",
            id="example-too-long",
        ),
        pytest.param(
            spoil(put("duration", "usual_seconds", value=601)),
            "the usual duration is above the longest",
            id="durations-crossed",
        ),
        pytest.param(
            spoil(put("id", value="qwen/image-edit")), "qwen/image-edit", id="one-id-twice"
        ),
    ],
)
def test_a_bad_file_stops_with_one_clear_error(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "catalog.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(CatalogError) as caught:
        load_catalog(path)

    assert complaint in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")


def test_the_file_s_own_schema_is_a_schema() -> None:
    schema = json.loads(SHIPPED.with_name("model.schema.json").read_text(encoding="utf-8"))

    Draft202012Validator.check_schema(schema)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"none\.json: cannot be read: No such file"):
        load_catalog(tmp_path / "none.json")


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "latin.json"
    path.write_bytes(b'{"version": "\xe9"}')

    with pytest.raises(CatalogError, match="is not JSON"):
        load_catalog(path)


def test_the_shipped_file_is_what_the_documents_say() -> None:
    text = built()

    assert SHIPPED.read_text(encoding="utf-8") == text, "run `make catalog`"
    schema = SHIPPED.with_name("model.schema.json").read_bytes()
    noted = SHIPPED.with_name("checked.sha256").read_text().strip()
    assert noted == digest_of(text.encode(), schema=schema), "run `make catalog`"


def test_a_file_that_was_checked_is_not_checked_again(tmp_path: Path) -> None:
    path, checked = tmp_path / "catalog.json", tmp_path / "checked"
    path.write_text(spoil(put(*PRICE, "unit", value="pixel")), encoding="utf-8")
    schema = SHIPPED.with_name("model.schema.json").read_bytes()
    checked.write_text(digest_of(path.read_bytes(), schema=schema))
    assert load_catalog(path, checked=checked).models

    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(CatalogError, match="pixel"):
        load_catalog(path, checked=checked)


def test_a_bad_file_is_never_noted_as_checked(tmp_path: Path) -> None:
    path, checked = tmp_path / "catalog.json", tmp_path / "checked"
    path.write_text(spoil(remove(*OFFER, "price")), encoding="utf-8")

    with pytest.raises(CatalogError, match="price"):
        note_checked(path, checked=checked)
    assert not checked.exists()


def test_loading_from_a_path_gives_what_is_shipped() -> None:
    assert load_catalog(SHIPPED) == load_catalog()
