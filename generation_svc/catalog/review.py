"""Checks a change of the catalog's layers as `make catalog` checks documents, and tells it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from generation_svc.catalog.build import merged
from generation_svc.catalog.document import check_entry, check_together
from generation_svc.catalog.error import CatalogError
from generation_svc.catalog.load import MODELS_FOLDER, SCHEMA_FILE, parsed, read
from generation_svc.domain.catalog_layer import (
    CatalogLayers,
    ChangeKind,
    MemberChange,
    ModelChange,
)
from generation_svc.domain.error import InvalidDocument
from generation_svc.domain.schema import JsonObject, JsonValue, Steps, spelled

MAX_MODELS = 1000
MAX_DEPTH = 12
"""How deep two entries are compared; below that a member differs as a whole."""
_PRICE = "offers[0].price"
_WORDS_FILE = MODELS_FOLDER / "words.json"
_Entry = dict[str, Any]


class _Entries(Protocol):
    def entries(self, layers: CatalogLayers) -> dict[str, _Entry]: ...


@cache
def _words() -> Any:
    return parsed(read(_WORDS_FILE), path=_WORDS_FILE)


@cache
def _schema() -> Any:
    return parsed(read(SCHEMA_FILE), path=SCHEMA_FILE)


def checked_documents(
    documents: Sequence[JsonObject], *, known: Mapping[str, _Entry]
) -> dict[str, JsonObject]:
    """Return documents as entries, by model, but for what holds already. Raises InvalidDocument."""
    seen: set[str] = set()
    entries: dict[str, JsonObject] = {}
    for number, document in enumerate(documents):
        name = f"documents[{number}]"
        model_id = document.get("id") if isinstance(document, dict) else None
        if not isinstance(model_id, str):
            raise InvalidDocument(name, "is not an object with an id")
        entry = _filled(document, name=name)
        if model_id in seen:
            raise InvalidDocument(name, f"{model_id} is there twice")
        seen.add(model_id)
        if entry != known.get(model_id):
            entries[model_id] = _checked(entry, name=name)
    return entries


def reviewed(
    catalog: _Entries, before: CatalogLayers, after: CatalogLayers, *, touched: Iterable[str]
) -> Sequence[ModelChange]:
    """Return how entries differ, once all that holds is checked. Raises InvalidDocument."""
    old, new = catalog.entries(before), catalog.entries(after)
    for model_id in touched:
        override = after.overrides.get(model_id)
        if override and model_id not in new:
            raise InvalidDocument(model_id, "there is no such model")
        if override and override.patch:  # a patch of what is imported has to fit it
            _checked(new[model_id], name=model_id)
            if new[model_id]["id"] != model_id:
                raise InvalidDocument(model_id, "an override cannot change the id")
    if len(new) > MAX_MODELS:
        raise InvalidDocument("catalog", f"has more than {MAX_MODELS} models")
    try:
        check_together([*new.values()], path=Path())
    except CatalogError as error:
        raise InvalidDocument("catalog", error.problem) from error
    changes = (_change(each, old=old, new=new, after=after, before=before) for each in touched)
    return [each for each in changes if each]


def _filled(document: JsonObject, *, name: str) -> JsonObject:
    try:
        return merged(document, words=_words(), path=Path(name))
    except CatalogError as error:
        raise InvalidDocument(f"{name} ({document['id']})", error.problem) from error


def _checked(entry: JsonObject, *, name: str) -> JsonObject:
    try:
        check_entry(entry, schema=_schema(), path=Path(name))
    except CatalogError as error:
        raise InvalidDocument(name, error.problem) from error
    return entry


def _change(
    model_id: str,
    *,
    old: Mapping[str, _Entry],
    new: Mapping[str, _Entry],
    before: CatalogLayers,
    after: CatalogLayers,
) -> ModelChange | None:
    if model_id not in old and model_id not in new:
        return None
    members = tuple(_differences(old.get(model_id), new.get(model_id), ()))
    if model_id not in old or model_id not in new:
        is_gone = model_id not in new
        return ModelChange(model_id, ChangeKind.GONE if is_gone else ChangeKind.NEW)
    if members:
        is_price = all(each.path.startswith(_PRICE) for each in members)
        kind = ChangeKind.PRICE_MOVED if is_price else ChangeKind.CHANGED
        return ModelChange(model_id, kind, members)
    was_off, is_off = (_is_off(each, model_id) for each in (before, after))
    if was_off != is_off:
        switched = MemberChange("is_off", was_off, is_off)
        return ModelChange(model_id, ChangeKind.SWITCHED, (switched,))
    return None


def _is_off(layers: CatalogLayers, model_id: str) -> bool:
    override = layers.overrides.get(model_id)
    return override is not None and override.is_off


def _differences(before: JsonValue, after: JsonValue, steps: Steps) -> Iterator[MemberChange]:
    if isinstance(before, dict) and isinstance(after, dict) and len(steps) < MAX_DEPTH:
        for name in dict.fromkeys((*before, *after)):
            yield from _differences(before.get(name), after.get(name), (*steps, name))
    elif _are_alike(before, after) and len(steps) < MAX_DEPTH:
        for index, (one, other) in enumerate(zip(before, after, strict=True)):  # type: ignore[arg-type] # both are lists
            yield from _differences(one, other, (*steps, index))
    elif before != after:
        yield MemberChange(spelled(steps), before, after)


def _are_alike(before: JsonValue, after: JsonValue) -> bool:
    """Return whether two lists have as many objects, which are then compared one by one."""
    if not isinstance(before, list) or not isinstance(after, list):
        return False
    both = [*before, *after]
    return len(before) == len(after) and all(isinstance(each, dict) for each in both)
