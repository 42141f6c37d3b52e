"""Brings a document that a person wrote up to what KIE says of its model now.

Texts, roles, rules and names stay a person's. Bounds, values, defaults, new fields and the credits
of rates are taken over; all else that differs is named.
"""

from copy import deepcopy
from typing import Any

from generation_svc.provider.kie.described_model import (
    Described,
    Description,
    described_inputs,
    option_of,
)
from generation_svc.provider.kie.described_price import renew_price

_Json = dict[str, Any]
_WORDS = (
    *("minimum", "maximum", "exclusiveMinimum", "multipleOf", "maxLength"),
    *("minItems", "maxItems", "default", "enum"),
)
"""What of a field's rule KIE is believed about."""


def renewed(known: _Json, description: Description, *, words: _Json) -> Described:
    """Return the document of a known model, with what changed at KIE."""
    document = deepcopy(known)
    price = renew_price(document["offers"][0], description.price)
    problems = [*price.problems]
    fresh = described_inputs(description, words=words)
    if fresh.document is None:
        return Described(document, (*problems, *fresh.problems), price.moved)
    problems += [each for each in fresh.problems if "for review" not in each]
    _renew_fields(document, fresh.document, problems)
    return Described(document, tuple(problems), price.moved)


def _renew_fields(document: _Json, fresh: _Json, problems: list[str]) -> None:
    schema, offer = document["input_schema"], document["offers"][0]
    named = {offer["fields"].get(name, name): name for name in schema["properties"]}
    fresh_names = fresh["offers"][0]["fields"]
    seen = set()
    for name, rule in fresh["input_schema"]["properties"].items():
        theirs = fresh_names.get(name, name)
        seen.add(theirs)
        if theirs in named:
            _renew_rule(document, named[theirs], rule, problems)
        elif name in schema["properties"] or name in document.get("unsupported_fields", {}):
            problems.append(f"{name}: KIE calls it {theirs}, which a person has to look at")
        else:
            _add_field(document, fresh, name)
    problems += [f"{theirs}: KIE describes it no more" for theirs in named if theirs not in seen]


def _renew_rule(document: _Json, name: str, fresh: _Json, problems: list[str]) -> None:
    rule = document["input_schema"]["properties"][name]
    if rule["type"] != fresh["type"]:
        problems.append(f"{name}: is of the type {rule['type']} and KIE says {fresh['type']}")
        return
    for word in _WORDS:
        if word in fresh and rule.get(word) != fresh[word]:
            rule[word] = fresh[word]
    options = document["options"].setdefault(name, {})
    missing = option_of(name, rule, label=name.replace("_", " "), words={}).get("choices", {})
    choices = options.get("choices", {})
    if "enum" in rule:
        kept = {key: choices.get(key, text) for key, text in missing.items()}
        problems += [f"{name}: for review: {key} is new" for key in missing if key not in choices]
        options["choices"] = kept
        if current := [key for key in options.get("current", ()) if key in kept]:
            options["current"] = current


def _add_field(document: _Json, fresh: _Json, name: str) -> None:
    schema, offer = document["input_schema"], document["offers"][0]
    new_schema, new_offer = fresh["input_schema"], fresh["offers"][0]
    schema["properties"][name] = new_schema["properties"][name]
    if name in new_schema["required"]:
        schema["required"] = [*schema["required"], name]
    if name in new_offer["required"]:
        offer["required"] = [*offer["required"], name]
    if name in new_offer["fields"]:
        offer["fields"] = {**offer["fields"], name: new_offer["fields"][name]}
    if name in fresh["options"]:
        document["options"][name] = fresh["options"][name]
    for kind in ("media_inputs", "reference_inputs"):
        found = [each for each in fresh.get(kind, ()) if each["name"] == name]
        if found:
            document[kind] = [*document.get(kind, ()), *found]
    if name in fresh.get("operator_fields", {}):
        operator = document.get("operator_fields", {})
        document["operator_fields"] = {**operator, name: fresh["operator_fields"][name]}
