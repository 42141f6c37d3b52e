"""Turns what KIE says of a model into a document of the catalog, as far as it can be said.

Texts that nobody has written yet are KIE's English in both languages, and told for review. It is
unproved: it was tried on documents written by hand, never on the real KIE.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from generation_svc.provider.kie.described_field import (
    STRICT,
    DescribedFields,
    map_field,
    our_name,
)
from generation_svc.provider.kie.described_price import new_price
from generation_svc.provider.kie.openapi import Unreadable, input_schema_of

_Json = dict[str, Any]
_SCHEMA = "https://json-schema.org/draft/2020-12/schema"
_MADE = {
    "image": (60_000_000, 600),
    "video": (1_000_000_000, 3600),
    "audio": (200_000_000, 1800),
}
"""What is made, each with the largest size and the longest wait."""
_PURPOSES: Mapping[str, str] = {
    "image": "text-to-image reference-to-image image-to-image image-edit image-upscale"
    " background-removal",
    "video": "text-to-video image-to-video reference-to-video video-edit video-upscale"
    " motion-control lip-sync",
    "audio": "text-to-speech sound-effects audio-isolation",
}
_MAKES = {each: made for made, purposes in _PURPOSES.items() for each in purposes.split()}
"""The purposes whose results come as plain links, and what they are."""
_EXAMPLE = {"ru": "Маяк на скале в шторм", "en": "A lighthouse on a cliff in a storm"}
_NO_HINT = {"ru": "Подсказки пока нет.", "en": "There is no hint yet."}


@dataclass(frozen=True, slots=True)
class Description:
    """What KIE says of one model."""

    model: str
    """KIE's name of it, as createTask takes it."""
    listing: _Json
    """Its entry in the list of models."""
    openapi: object
    price: object


@dataclass(frozen=True, slots=True)
class Described:
    """What became of a description."""

    document: _Json | None
    """None where something stands in the way."""
    problems: tuple[str, ...]
    """What could not be mapped, and what a person should look at; each names the place."""
    moved: tuple[str, ...] = ()
    """The rates that moved, each old and new, per unit."""


def described(description: Description, *, words: _Json | None = None) -> Described:
    """Return the document of a model that nobody has heard of; `words` are the shared ones."""
    fields = DescribedFields()
    try:
        inputs = _inputs(description, fields, words=words or {})
        purpose = _purpose(description.listing)
    except Unreadable as error:
        return Described(None, (*fields.problems, str(error)))
    document = _document(description, inputs, fields, purpose=purpose)
    return Described(document, tuple(fields.problems))


def described_inputs(description: Description, *, words: _Json) -> Described:
    """Return the part of a document that says what the model takes, whatever it makes of it."""
    fields = DescribedFields()
    try:
        document = _inputs(description, fields, words=words)
    except Unreadable as error:
        return Described(None, (*fields.problems, str(error)))
    return Described(document, tuple(fields.problems))


def _inputs(description: Description, fields: DescribedFields, *, words: _Json) -> _Json:
    """Return the members of a document that are about inputs. Raises Unreadable."""
    schema = input_schema_of(description.openapi)
    required = _required(schema, fields)
    filled = {name for name in required if "default" in fields.properties[name]}
    input_schema: _Json = {
        "$schema": _SCHEMA,
        "type": "object",
        "additionalProperties": False,
        "required": [name for name in required if name not in filled],
        "properties": fields.properties,
    }
    if forms := _forms(schema, fields):
        input_schema["oneOf"] = forms
    operator = {name: value for name, value in STRICT.items() if name in fields.properties}
    document: _Json = {
        "input_schema": input_schema,
        "options": {},
        **({"media_inputs": fields.media} if fields.media else {}),
        **({"reference_inputs": fields.references} if fields.references else {}),
        **({"unsupported_fields": fields.unsupported} if fields.unsupported else {}),
        **({"operator_fields": operator} if operator else {}),
        "offers": [{"fields": fields.names, "required": required}],
    }
    _say_labels(document, fields, words=words)
    return document


def _required(schema: _Json, fields: DescribedFields) -> list[str]:
    """Map all fields, and return those that KIE requires. Raises Unreadable."""
    rules = _rules(schema, fields)
    if not rules:
        raise Unreadable("input: has no fields")
    for name, rule in rules.items():
        map_field(name, rule, fields)
    required = [our_name(name) for name in schema.get("required", ())]
    for name in required:
        if name not in fields.properties:
            raise Unreadable(f"{name}: is required and cannot be mapped")
    return required


def _rules(schema: _Json, fields: DescribedFields) -> _Json:
    """Return the rules of all fields, but for those of which two branches say different things."""
    rules, split = dict(schema.get("properties", {})), set()
    for branch in _branches(schema):
        for name, rule in branch.get("properties", {}).items():
            if _bounds(rules.setdefault(name, rule)) != _bounds(rule):
                split.add(name)
    for name in sorted(split):
        fields.problems.append(f"{our_name(name)}: its bounds differ between KIE's branches")
    return {name: rule for name, rule in rules.items() if name not in split}


def _bounds(rule: _Json) -> _Json:
    """Return what a branch says of a field but for the value that tells it from the others."""
    return {key: value for key, value in rule.items() if key not in ("const", "description")}


def _branches(schema: _Json) -> list[_Json]:
    found = schema.get("oneOf") or schema.get("anyOf") or []
    return [each for each in found if isinstance(each, dict)]


def _forms(schema: _Json, fields: DescribedFields) -> list[_Json]:
    """Return the forms of which exactly one holds. Raises Unreadable."""
    branches = _branches(schema)
    if len(branches) < 2:
        return []
    own = [{our_name(name) for name in _spoken_of(each)} for each in branches]
    shared = set.intersection(*own)
    forms = []
    for branch, names in zip(branches, own, strict=True):
        others: set[str] = set().union(*own) - names
        needed = [our_name(name) for name in branch.get("required", ())]
        if missing := [name for name in needed if name not in fields.properties]:
            raise Unreadable(f"oneOf: {missing[0]} is required and cannot be mapped")
        closed = {name: False for name in sorted(others) if name in fields.properties}
        fixed = {
            our_name(name): {"const": rule["const"]}
            for name, rule in branch.get("properties", {}).items()
            if "const" in rule and our_name(name) in shared
        }
        if not closed and not fixed and not needed:
            raise Unreadable("oneOf: nothing tells its branches apart")
        forms.append({"required": needed, "properties": {**fixed, **closed}})
    return forms


def _spoken_of(branch: _Json) -> set[str]:
    return {*branch.get("required", ()), *branch.get("properties", {})}


def _purpose(listing: _Json) -> str:
    said = listing.get("taskType")
    for each in said if isinstance(said, list) else [said]:
        word = re.sub(r"[\s_]+", "-", str(each).strip().lower())
        if word in _MAKES:
            return word
    raise Unreadable(f"taskType: {said!r} is no purpose whose results are known")


def _document(
    description: Description, inputs: _Json, fields: DescribedFields, *, purpose: str
) -> _Json:
    made = _MAKES[purpose]
    max_bytes, longest = _MADE[made]
    ours = {theirs: name for name, theirs in fields.names.items()}
    price = new_price(description.price, names=ours, properties=fields.properties)
    if "unknown" in price:
        fields.problems.append(f"price: {price['unknown']}")
    (offer,) = inputs["offers"]
    return {
        "id": description.model,
        "purpose": purpose,
        **_texts(description.listing, fields, has_prompt="prompt" in fields.properties),
        **inputs,
        "result": {"kinds": [made], "shape": "urls", "max_bytes": max_bytes},
        "duration": {"longest_seconds": longest},
        "offers": [{"provider": "kie", "model": description.model, **offer, "price": price}],
        "is_free": False,
    }


def _texts(listing: _Json, fields: DescribedFields, *, has_prompt: bool) -> _Json:
    title = _line(listing.get("title"), otherwise="A new model", most=60)
    about = _line(listing.get("description"), otherwise=title, most=200)
    fields.problems.append(
        "title, description, hint, examples: for review: not written by a person"
    )
    return {
        "title": {"ru": title, "en": title},
        "description": {"ru": f"Описание пока на английском: {about}", "en": about},
        "hint": _NO_HINT,
        "prompt_examples": [_EXAMPLE] if has_prompt else [],
    }


def _line(text: object, *, otherwise: str, most: int) -> str:
    words = " ".join(str(text or "").split())
    is_english = words and not re.search(r"[А-Яа-яЁё]", words)
    return words[:most].strip() if is_english else otherwise


def _say_labels(document: _Json, fields: DescribedFields, *, words: _Json) -> None:
    """Give labels to fields and values that the shared words do not know."""
    for name, rule in fields.properties.items():
        option = option_of(name, rule, label=fields.labels[name], words=words)
        if "label" in option:
            fields.problems.append(f"{name}: for review: its label is KIE's, in English")
        if option:
            document["options"][name] = option


def option_of(name: str, rule: _Json, *, label: str, words: _Json) -> _Json:
    """Return what a document has to say of a field that the shared words do not."""
    shared = words.get("fields", {}).get(name, {})
    option: _Json = {} if "label" in shared else {"label": {"ru": label, "en": label}}
    known = {**words.get("choices", {}), **shared.get("choices", {})}
    keys = [each if isinstance(each, str) else json.dumps(each) for each in rule.get("enum", ())]
    texts = {key: key.replace("_", " ") for key in keys if key not in known}
    if texts:
        option["choices"] = {key: {"ru": text, "en": text} for key, text in texts.items()}
    return option
