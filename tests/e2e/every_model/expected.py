"""The request that a model's document asks for, read from the document and from nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

Json = dict[str, Any]
_FOLDER = Path(__file__).parents[3] / "models" / "kie"


@cache
def documents() -> Mapping[str, Json]:
    """Return the documents of all models by id."""
    read = (json.loads(path.read_text()) for path in sorted(_FOLDER.rglob("*.json")))
    return {each["id"]: each for each in read}


def expected(document: Json, inputs: Json) -> Json:
    """Return `input` of the createTask that inputs become; media and references stand as given."""
    offer, fields = document["offers"][0], document["input_schema"]["properties"]
    strict = document.get("operator_fields", {}).items()
    sent = {name: value for name, value in strict if value is not None}
    for name in offer["required"]:
        if "default" in fields.get(name, {}):
            sent.setdefault(name, fields[name]["default"])
    renamed: Json = _renamed(sent | inputs, "", offer)
    return renamed


def _renamed(value: Any, path: str, offer: Json) -> Any:
    if isinstance(value, list):
        return [_renamed(each, f"{path}[]", offer) for each in value]
    if isinstance(value, dict):
        prefix = f"{path}." if path else ""
        return {
            offer["fields"].get(f"{prefix}{key}", key): _listed(each, f"{prefix}{key}", offer)
            for key, each in value.items()
        }
    return value


def _listed(value: Any, path: str, offer: Json) -> Any:
    renamed = _renamed(value, path, offer)
    is_wanted = path in offer.get("lists", ()) and not isinstance(value, list)
    return [renamed] if is_wanted else renamed


def replaced(value: Any, change: Callable[[str], str]) -> Any:
    """Return a value with each text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [replaced(each, change) for each in value]
    if isinstance(value, dict):
        return {key: replaced(each, change) for key, each in value.items()}
    return value


def difference(sent: Json, wanted: Json) -> str:
    """Say where two requests differ; nothing if they do not."""
    lacking = [f"{key} is not sent" for key in wanted if key not in sent]
    more = [f"{key}={sent[key]!r:.60} is sent" for key in sent if key not in wanted]
    other = [
        f"{key}={sent[key]!r:.120} instead of {wanted[key]!r:.120}"
        for key in wanted
        if key in sent and (sent[key] != wanted[key] or _is_flag(sent[key], wanted[key]))
    ]
    return "; ".join([*lacking, *more, *other])


def _is_flag(one: Any, other: Any) -> bool:
    """Return whether only one of two values that are equal is a yes or no: True is 1."""
    return isinstance(one, bool) is not isinstance(other, bool)
