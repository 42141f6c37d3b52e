"""Builds the catalog file from a document per model and the words that they share.

A document says what is its own; what many models call the same is said once in `words.json`, by the
name of a field or by a value. The notes of a document are for its editors and stay there.
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from generation_svc.catalog.document import SHAPE_VERSION, check_entry, check_together
from generation_svc.catalog.error import CatalogError
from generation_svc.catalog.load import MODELS_FOLDER, parsed, read
from generation_svc.catalog.parse import choice_key, option_paths, steps_to
from generation_svc.catalog.shape import schema_at
from generation_svc.domain.schema import JsonSchema

_EDITORS_OWN = ("$schema", "notes")
_VERSION_LENGTH = 16
_Json = dict[str, Any]


def built(folder: Path = MODELS_FOLDER) -> str:
    """Return the text of the catalog file. Raises CatalogError, which names the document."""
    words_path, schema_path = folder / "words.json", folder / "model.schema.json"
    words = parsed(read(words_path), path=words_path)
    schema = parsed(read(schema_path), path=schema_path)
    found = {}
    for path in sorted(folder.glob("*/*/*.json")):
        entry = merged(parsed(read(path), path=path), words=words, path=path)
        check_entry(entry, schema=schema, path=path)
        found[path] = entry
    entries = _ordered([*found.values()], first=words["first"])
    check_together(entries, path=folder)
    return _written(entries)


def merged(document: _Json, *, words: _Json, path: Path) -> _Json:
    """Return a document as an entry of the file, with the words filled in."""
    entry = {name: value for name, value in document.items() if name not in _EDITORS_OWN}
    schema = document.get("input_schema", {})
    own = document.get("options", {})
    try:
        paths = list(option_paths(schema))
        options = {each: _option(schema, each, own.get(each, {}), words=words) for each in paths}
    except (AttributeError, KeyError, TypeError) as error:
        raise CatalogError(path, f"input_schema: cannot be read: {error!r}") from error
    # What belongs to no field stays, so that it is found.
    return {**entry, "options": {**own, **options}}


def _option(schema: JsonSchema, path: str, own: _Json, *, words: _Json) -> _Json:
    field = path.rpartition(".")[2]
    shared = words["fields"].get(field, {})
    texts = {name: shared[name] for name in ("label", "hint") if name in shared} | own
    if "label" in own and "hint" not in own:
        texts.pop("hint", None)  # it explains another label
    rule = schema_at(schema, steps_to(path))
    labels = _labels(rule, own, shared=shared, words=words)
    return {**texts, "choices": labels} if labels else texts


def _labels(rule: JsonSchema, own: _Json, *, shared: _Json, words: _Json) -> _Json:
    """Return what the values are called: by the document, by the field, or by the value itself."""
    given = own.get("choices", {}), shared.get("choices", {}), words["choices"]
    values = rule.get("enum", () if "pattern" in rule else rule.get("examples", ()))
    keys = [choice_key(value) for value in values]
    found = {key: next((each[key] for each in given if key in each), None) for key in keys}
    return {**own.get("choices", {}), **{key: text for key, text in found.items() if text}}


def _ordered(entries: list[_Json], *, first: list[str]) -> list[_Json]:
    """Return the entries by id, some first: the first of a kind is that kind's default."""
    places = {model_id: number for number, model_id in enumerate(first)}
    return sorted(entries, key=lambda each: (places.get(each["id"], len(places)), each["id"]))


def _written(entries: list[_Json]) -> str:
    lines = ",\n".join(_lines(entries))
    version = sha256(lines.encode()).hexdigest()[:_VERSION_LENGTH]
    head = f'{{"schema_version": {SHAPE_VERSION}, "version": "{version}", "models": [\n'
    return f"{head}{lines}\n]}}\n"


def _lines(entries: list[_Json]) -> Iterator[str]:
    for entry in entries:
        yield json.dumps(entry, ensure_ascii=False, separators=(",", ":"))
