"""The catalog is built from documents and shared words, and a mistake names its document."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from generation_svc.catalog import CatalogError, load_catalog
from generation_svc.catalog.build import built
from generation_svc.catalog.document import check_together
from generation_svc.catalog.load import CATALOG_FILE, MODELS_FOLDER

FREE = ("tongyi/z-image", "qwen/text-to-image", "qwen/image-to-image", "qwen/image-edit")
EDITED = FREE[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the free models alone."""
    for name in ("words.json", "model.schema.json"):
        shutil.copy(MODELS_FOLDER / name, tmp_path)
    for name in FREE:
        (tmp_path / "kie" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(MODELS_FOLDER / "kie" / f"{name}.json", tmp_path / "kie" / f"{name}.json")
    return tmp_path


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")


def shipped() -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(CATALOG_FILE.read_text(encoding="utf-8"))["models"]
    return entries


def entry_of(text: str, model_id: str) -> dict[str, Any]:
    return next(each for each in json.loads(text)["models"] if each["id"] == model_id)


def test_what_is_built_can_be_loaded(folder: Path) -> None:
    path = folder / "built.json"
    path.write_text(built(folder), encoding="utf-8")

    assert [*load_catalog(path).models] == [*load_catalog().ids]
    assert load_catalog(path).models["z-image"] == load_catalog().models["z-image"]


def test_the_version_follows_the_content(folder: Path) -> None:
    first = json.loads(built(folder))["version"]
    assert json.loads(built(folder))["version"] == first

    edit(folder / "kie" / f"{EDITED}.json", lambda each: each["title"].update(en="Another"))
    assert json.loads(built(folder))["version"] != first


def test_shared_words_are_filled_in_and_a_document_s_own_win(folder: Path) -> None:
    def without_labels(document: dict[str, Any]) -> None:
        document["options"] = {"aspect_ratio": {"label": {"ru": "Форма", "en": "Shape"}}}

    edit(folder / "kie" / f"{EDITED}.json", without_labels)
    options = entry_of(built(folder), "z-image")["options"]

    assert options["aspect_ratio"]["label"]["en"] == "Shape"
    assert options["aspect_ratio"]["choices"]["1:1"]["en"] == "Square 1:1"
    assert options["nsfw_checker"]["label"]["en"] == "Adult content filter"


def test_the_notes_of_a_document_stay_with_its_editors(folder: Path) -> None:
    entry = entry_of(built(folder), "z-image")

    assert not {"notes", "$schema"} & entry.keys()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        pytest.param(
            lambda each: each["input_schema"]["properties"].update(odd_one={"type": "boolean"}),
            "z-image: field odd_one has no label: give one, here or in words.json",
            id="no-label",
        ),
        pytest.param(
            lambda each: each["input_schema"]["properties"]["aspect_ratio"]["enum"].append("7:5"),
            "z-image: the choices of aspect_ratio are not the values of its enum",
            id="no-label-of-a-value",
        ),
        pytest.param(
            lambda each: each["options"].update(strength={}),
            "z-image: option strength is not in the input schema",
            id="text-of-no-field",
        ),
        pytest.param(
            lambda each: each.pop("input_schema"), "'input_schema' is a req", id="no-schema"
        ),
        pytest.param(
            lambda each: each.update(input_schema=[]),
            "input_schema: cannot be read",
            id="odd-schema",
        ),
    ],
)
def test_a_mistake_names_its_document(
    folder: Path, change: Callable[[dict[str, Any]], object], complaint: str
) -> None:
    path = folder / "kie" / f"{EDITED}.json"
    edit(path, change)

    with pytest.raises(CatalogError) as caught:
        built(folder)
    assert str(caught.value).startswith(f"{path}: ")
    assert complaint in str(caught.value)


def of(model_id: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    return next(each for each in entries if each["id"] == model_id)


def price_in_cents(entries: list[dict[str, Any]]) -> None:
    parts = of("google/imagen4", entries)["offers"][0]["price"]["parts"]
    parts[0]["rates"][0]["credits"] = "800"


def lost_model(entries: list[dict[str, Any]]) -> None:
    entries.remove(of("veo-3-1", entries))


def one_tier(entries: list[dict[str, Any]]) -> None:
    of("google/imagen4-fast", entries)["tier"] = "4"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (price_in_cents, "google/imagen4: 800 credits are absurd, text-to-image per image costs"),
        (lost_model, "veo/extend: refers to jobs of veo-3-1, which is no model"),
        (one_tier, "google/imagen4-fast: has the family and tier of google/imagen4"),
    ],
)
def test_models_must_agree_with_each_other(
    change: Callable[[list[dict[str, Any]]], None], complaint: str
) -> None:
    entries = shipped()
    check_together(entries, path=CATALOG_FILE)

    change(entries)
    with pytest.raises(CatalogError) as caught:
        check_together(entries, path=CATALOG_FILE)
    assert complaint in str(caught.value)
