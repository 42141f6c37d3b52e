import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from generation_svc.catalog import CatalogError, load_catalog
from generation_svc.catalog.load import digest_of, note_checked

SHIPPED = Path(__file__).parents[2] / "models" / "KIE_SOURCE_OF_TRUTH.json"
Entry = dict[str, Any]


def spoil(change: Callable[[Entry], object], *, model: int = 0) -> str:
    document = json.loads(SHIPPED.read_text(encoding="utf-8"))
    change(document["models"][model])
    return json.dumps(document)


def put(*path: str, value: object) -> Callable[[Entry], object]:
    def change(entry: Entry) -> None:
        for key in path[:-1]:
            entry = entry[key]
        entry[path[-1]] = value

    return change


def remove(*path: str) -> Callable[[Entry], object]:
    def change(entry: Entry) -> None:
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
MEDIA = {
    "name": "image",
    "kind": "image",
    "role": "source",
    "mime_types": ["image/png"],
    "max_bytes": 1,
    "kie_field": "image_url",
}
IMAGE = {"type": "string", "minLength": 1}
LABEL = {"label": {"ru": "Кадр", "en": "Frame"}}
LONG = {"ru": "а" * 20, "en": "a" * 20}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("{", "is not JSON", id="broken-json"),
        pytest.param("[]", "is not of type 'object'", id="not-an-object"),
        pytest.param(spoil(remove("pricing")), "'pricing' is a required", id="no-price"),
        pytest.param(
            spoil(put("pricing", "unit", value="pixel")), "pricing.unit: 'pixel'", id="odd-unit"
        ),
        pytest.param(
            spoil(put("pricing", "kie_credits", value="-1")), "kie_credits", id="negative-price"
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
            "kind text-to-image takes no media, but some is required",
            id="media-for-words",
        ),
        pytest.param(
            spoil(remove("media_inputs"), model=2),
            "kind image-to-image needs media of the kind image",
            id="no-media",
        ),
        pytest.param(
            spoil(put("media_inputs", value=[MEDIA | {"kind": "video"}]), model=2),
            "kind image-to-image needs media of the kind image",
            id="media-of-another-kind",
        ),
        pytest.param(
            spoil(put("media_inputs", value=[MEDIA | {"name": "photo"}]), model=2),
            "photo is not text in the input schema",
            id="media-of-no-field",
        ),
        pytest.param(
            spoil(put("media_inputs", value=[MEDIA | {"name": "shots[].image"}]), model=2),
            "shots[].image is not text in the input schema",
            id="media-of-no-list",
        ),
        pytest.param(
            spoil(put("media_inputs", value=[MEDIA | {"kie_field": "prompt"}]), model=2),
            "image has the name prompt at KIE, another field's name",
            id="media-name-taken",
        ),
        pytest.param(
            spoil(put("media_inputs", value=[MEDIA | {"role": "hero"}]), model=2),
            "role: 'hero' is not one of",
            id="odd-role",
        ),
        pytest.param(
            spoil(put("reference_inputs", value=[{"name": "prompt", "part": "all"}])),
            "reference_inputs[0]",
            id="odd-part",
        ),
        pytest.param(
            spoil(put("result_kinds", value=["video"])),
            "kind text-to-image makes image, which the result kinds lack",
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
    schema = json.loads(SHIPPED.with_name("catalog.schema.json").read_text(encoding="utf-8"))

    Draft202012Validator.check_schema(schema)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"none\.json: cannot be read: No such file"):
        load_catalog(tmp_path / "none.json")


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "latin.json"
    path.write_bytes(b'{"version": "\xe9"}')

    with pytest.raises(CatalogError, match="is not JSON"):
        load_catalog(path)


def test_the_shipped_file_was_checked_as_it_is(tmp_path: Path) -> None:
    note_checked(checked=tmp_path / "checked")

    shipped = SHIPPED.with_name("checked.sha256")
    assert shipped.read_text() == (tmp_path / "checked").read_text(), "run `make catalog`"


def test_a_file_that_was_checked_is_not_checked_again(tmp_path: Path) -> None:
    path, checked = tmp_path / "catalog.json", tmp_path / "checked"
    path.write_text(spoil(put("pricing", "kie_credits", value="-1")), encoding="utf-8")
    schema = SHIPPED.with_name("catalog.schema.json").read_bytes()
    checked.write_text(digest_of(path.read_bytes(), schema=schema))
    assert load_catalog(path, checked=checked).models

    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(CatalogError, match="kie_credits"):
        load_catalog(path, checked=checked)


def test_a_bad_file_is_never_noted_as_checked(tmp_path: Path) -> None:
    path, checked = tmp_path / "catalog.json", tmp_path / "checked"
    path.write_text(spoil(remove("pricing")), encoding="utf-8")

    with pytest.raises(CatalogError, match="pricing"):
        note_checked(path, checked=checked)
    assert not checked.exists()


def test_loading_from_a_path_gives_what_is_shipped() -> None:
    assert load_catalog(SHIPPED) == load_catalog()
