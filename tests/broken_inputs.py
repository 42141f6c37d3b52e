"""Inputs that break one rule of a model, and where the mistake must be named."""

from __future__ import annotations

import random
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator

from generation_svc.catalog.example import example, field_value
from generation_svc.domain.input_check import DifferenceCheck, ItemCheck, SameJobCheck
from generation_svc.domain.model import Model
from generation_svc.domain.schema import JsonObject

OTHER_JOB = "job:0198c5a0-7c3e-7a41-9f3b-2d1c6b5e4fff/1"
_TRIES = 400


@dataclass(frozen=True)
class Broken:
    """Inputs that break one rule."""

    rule: str
    inputs: JsonObject
    fields: frozenset[str]
    """Of these at least one must be named; `` stands for the inputs as a whole."""


def broken_inputs(model: Model, rng: random.Random) -> Iterator[Broken]:
    """Yield inputs for each rule of the model; a rule that none of many examples meets is told."""
    yield from _unknown(model, rng)
    yield from _fields(model, rng)
    for number, rule in enumerate(model.input_schema.get("allOf", ())):
        yield from _rule(model, rule, rng, name=f"rule {number}")
    yield from _branches(model, rng)
    yield from _either(model, rng)
    for check in model.checks:
        yield from _check(model, check, rng)


def some(model: Model, rng: random.Random, *, meets: dict[str, Any] | None = None) -> JsonObject:
    """Return valid inputs, of which a condition holds if there is one."""
    for _ in range(_TRIES):
        made = example(model, rng, share=rng.choice((0.1, 0.3, 0.6, 0.9)))
        if made is not None and (meets is None or Draft202012Validator(meets).is_valid(made)):
            return deepcopy(made)
    raise AssertionError(f"{model.id}: no inputs meet {meets}")


def _unknown(model: Model, rng: random.Random) -> Iterator[Broken]:
    yield Broken("unknown", some(model, rng) | {"no_such_field": 1}, frozenset({"no_such_field"}))


def _fields(model: Model, rng: random.Random) -> Iterator[Broken]:
    for name in model.required:
        made = some(model, rng)
        del made[name]
        yield Broken(f"{name} is required", made, frozenset({name}))
    for name, schema in model.properties.items():
        for wrong in _wrong(dict(schema)):
            made = some(model, rng) | {name: wrong}
            yield Broken(f"{name} as {wrong!r:.30}", made, frozenset({name}))


def _wrong(schema: dict[str, Any]) -> Iterator[Any]:
    """Yield a value of each way in which a field can be wrong."""
    yield {"of": "no type"}
    if "enum" in schema:
        yield "none of them" if schema["type"] == "string" else 987_654
        return
    if "minimum" in schema:
        yield schema["minimum"] - 1
    if "exclusiveMinimum" in schema:
        yield schema["exclusiveMinimum"]
    if "maximum" in schema:
        yield schema["maximum"] + 1
    if "multipleOf" in schema:
        yield schema.get("minimum", 0) + schema["multipleOf"] / 2
    yield from _too_long(schema)


def _too_long(schema: dict[str, Any]) -> Iterator[Any]:
    if "maxLength" in schema:
        yield "x" * (schema["maxLength"] + 1)
    if "maxItems" in schema:
        yield ["media:0198c5a0-7c3e-7a41-9f3b-2d1c6b5e4f00"] * (schema["maxItems"] + 1)
    if schema.get("minItems"):
        yield []


def _rule(model: Model, rule: Any, rng: random.Random, *, name: str) -> Iterator[Broken]:
    then = rule["then"]
    for field in then.get("required", ()):
        made = some(model, rng, meets=rule["if"])
        made.pop(field, None)
        yield Broken(f"{name} requires {field}", made, frozenset({field}))
    for field, bound in then.get("properties", {}).items():
        for value in _outside(model, field, bound, rng):
            made = some(model, rng, meets=rule["if"]) | {field: value}
            yield Broken(f"{name} bounds {field}", made, frozenset({field}))
    if "anyOf" in then:
        made = some(model, rng, meets=rule["if"])
        for each in then["anyOf"]:
            made.pop(each["required"][0], None)
        yield Broken(f"{name} wants one", made, frozenset({""}))


def _outside(model: Model, field: str, bound: Any, rng: random.Random) -> Iterator[Any]:
    """Yield values that the field takes elsewhere, but not under the rule."""
    schema = model.properties[field]
    if bound is False:
        yield field_value(model, field, rng=rng)
        return
    allowed = bound.get("enum", [bound["const"]] if "const" in bound else None)
    if allowed is not None:
        yield from [value for value in schema["enum"] if value not in allowed][:1]
    if "maxLength" in bound:
        yield "x" * (bound["maxLength"] + 1)
    if "maxItems" in bound and schema["maxItems"] > bound["maxItems"]:
        value = field_value(model, field, rng=rng)
        yield [*(value if isinstance(value, list) else ())][:1] * (bound["maxItems"] + 1)
    if "maximum" in bound:
        yield bound["maximum"] + 1


def _branches(model: Model, rng: random.Random) -> Iterator[Broken]:
    """Break the branch that holds in every way; another branch may be what is then told."""
    branches = model.input_schema.get("oneOf", ())
    named = {name for each in branches for name in _names(each)} | {""}
    for number, branch in enumerate(branches):
        for field in branch.get("required", ()):
            made = some(model, rng, meets={**branch})
            del made[field]
            if not any(Draft202012Validator(each).is_valid(made) for each in branches):
                yield Broken(f"branch {number} requires {field}", made, frozenset(named))
        for field, bound in branch.get("properties", {}).items():
            if bound is False:
                made = some(model, rng, meets={**branch}) | {
                    field: field_value(model, field, rng=rng)
                }
                if not any(Draft202012Validator(each).is_valid(made) for each in branches):
                    yield Broken(f"branch {number} forbids {field}", made, frozenset(named))


def _names(branch: Any) -> set[str]:
    return {*branch.get("required", ()), *branch.get("properties", {})}


def _either(model: Model, rng: random.Random) -> Iterator[Broken]:
    if either := model.input_schema.get("anyOf"):
        made = some(model, rng)
        for each in either:
            made.pop(each["required"][0], None)
        yield Broken("wants one", made, frozenset({""}))


def _check(model: Model, check: Any, rng: random.Random) -> Iterator[Broken]:
    match check:
        case DifferenceCheck(start=start, end=end, holder=None):
            made = some(model, rng) | {start: 20, end: 20}
            yield Broken(f"{end} above {start}", made, frozenset({end}))
        case DifferenceCheck(start=start, end=end, holder=holder):
            made = some(model, rng, meets={"required": [holder]})
            first: Any = made[str(holder)]
            first[0] |= {start: 20, end: 10}
            yield Broken(f"{end} above {start}", made, frozenset({str(holder)}))
        case ItemCheck(each=each):
            made = some(model, rng)
            items: Any = made[each.partition("[]")[0]]
            items[0][each.rpartition(".")[2]] = "Speaker 99"
            yield Broken(f"{each} is one of {check.of}", made, frozenset({each.partition("[]")[0]}))
        case SameJobCheck(each=each, other=other):
            made = some(model, rng, meets={"required": [each, other]}) | {each: OTHER_JOB}
            yield Broken(f"{each} of the job of {other}", made, frozenset({each}))
