"""Makes inputs that keep a model's schema; a schema that none keeps is a mistake.

It fills in what is required, then mends the inputs rule by rule. What it returns is checked by the
validator of all inputs, so that a wrong guess is never taken for an example.
"""

import random
from collections.abc import Iterator
from typing import Any

from generation_svc.catalog.keyword import InputValidator
from generation_svc.catalog.parse import parse_model
from generation_svc.catalog.validate import validate_inputs
from generation_svc.domain.error import InvalidInputs
from generation_svc.domain.input_check import DifferenceCheck, ItemCheck
from generation_svc.domain.media_input import MediaInput, ReferencePart, field_of, holders
from generation_svc.domain.model import Model
from generation_svc.domain.schema import JsonObject, JsonSchema, JsonValue

_ID = "0198c5a0-7c3e-7a41-9f3b-2d1c6b5e4f00"
_TRIES = 200
_MENDS = 12


def example_problems(entry: dict[str, Any]) -> Iterator[str]:
    """Yield a sentence if no inputs keep the schema of an entry."""
    if "withdrawn" not in entry and example(parse_model(entry), random.Random(1)) is None:
        yield "no inputs keep the input schema: its rules exclude each other"


def example(model: Model, rng: random.Random, *, share: float = 0.0) -> JsonObject | None:
    """Return inputs that the model takes, with this share of its optional fields; None if none."""
    for _ in range(_TRIES):
        made = _mended(model, _object(model, model.input_schema, rng, share=share), rng)
        try:
            validate_inputs(model, made)
        except InvalidInputs:
            continue
        return made
    return None


def field_value(model: Model, name: str, rng: random.Random) -> JsonValue:
    """Return a value that a field takes, whatever the rules say."""
    made: JsonValue = _value(model, model.properties[name], name, rng)
    return made


def _mended(model: Model, made: JsonObject, rng: random.Random) -> JsonObject:
    schema = model.input_schema
    branch = rng.choice(schema["oneOf"]) if "oneOf" in schema else {}
    for _ in range(_MENDS):
        _apply(model, made, branch, rng)
        _apply(model, made, schema, rng)
        for rule in schema.get("allOf", ()):
            holds = InputValidator(rule["if"]).is_valid(made)
            _apply(model, made, rule.get("then" if holds else "else", {}), rng)
    _relate(model, made, rng)
    return made


def _apply(model: Model, made: JsonObject, rule: JsonSchema, rng: random.Random) -> None:
    """Make inputs keep what a rule adds to the schema of the fields."""
    for name, bound in rule.get("properties", {}).items():
        if bound is False:
            made.pop(name, None)
        elif name in made and not InputValidator(bound).is_valid(made[name]):
            made[name] = _value(model, {**model.properties[name], **bound}, name, rng)
    wanted = [*rule.get("required", ())]
    either = rule.get("anyOf", ())
    if either and not any(set(each["required"]) <= made.keys() for each in either):
        wanted += rng.choice(either)["required"]
    for name in wanted:
        if name not in made:
            bound = rule.get("properties", {}).get(name, {})
            made[name] = _value(model, {**model.properties[name], **(bound or {})}, name, rng)


def _relate(model: Model, made: JsonObject, rng: random.Random) -> None:
    """Make inputs keep the rules that compare fields."""
    for check in model.checks:
        if isinstance(check, DifferenceCheck):
            _keep_apart(model, made, check)
        elif isinstance(check, ItemCheck):
            _choose(made, check, rng)


def _keep_apart(model: Model, made: JsonObject, check: DifferenceCheck) -> None:
    within = f"{check.holder}[].x" if check.holder else "x"
    for _, holder in holders(made, within):
        start: Any = holder.get(check.start, model.defaults.get(check.start, 0))
        holder[check.end] = start + (check.at_least or check.at_most or 1)


def _choose(made: JsonObject, check: ItemCheck, rng: random.Random) -> None:
    values = [holder[field_of(check.of)] for _, holder in holders(made, check.of)]
    for _, holder in holders(made, check.each) if values else ():
        holder[field_of(check.each)] = rng.choice(values)


def _object(
    model: Model, schema: JsonSchema, rng: random.Random, *, share: float, path: str = ""
) -> JsonObject:
    required = schema.get("required", ())
    return {
        name: _value(model, rule, f"{path}{name}", rng, share=share)
        for name, rule in schema["properties"].items()
        if name in required or rng.random() < share
    }


def _value(
    model: Model, schema: JsonSchema, path: str, rng: random.Random, *, share: float = 0.0
) -> Any:
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return rng.choice(schema["enum"])
    match schema["type"]:
        case "boolean":
            return rng.random() < 0.5
        case "integer" | "number":
            return _number(schema, rng)
        case "string":
            return _text(model, schema, path, rng)
        case "array":
            return _list(model, schema, path, rng, share=share)
    if "oneOf" in schema:
        schema = rng.choice(schema["oneOf"])
    return _object(model, schema, rng, share=share, path=f"{path}.")


def _list(
    model: Model, schema: JsonSchema, path: str, rng: random.Random, *, share: float
) -> list[JsonValue]:
    least = schema.get("minItems", 0)
    count = rng.randint(max(1, least), max(1, least, min(schema["maxItems"], least + 2)))
    count = min(count, schema["maxItems"])
    is_media = model.special_input(path) is not None
    inner = path if is_media or schema["items"].get("type") != "object" else f"{path}[]"
    made = [_value(model, schema["items"], inner, rng, share=share) for _ in range(count)]
    return [*dict.fromkeys(made)] if schema.get("uniqueItems") else made


def _number(schema: JsonSchema, rng: random.Random) -> float:
    least = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    most = schema.get("maximum", least + 20)
    step = schema.get("multipleOf", 1)
    count = int((most - least) / step)
    first = 1 if "exclusiveMinimum" in schema else 0
    number = round(least + step * rng.randint(first, max(first, count)), 6)
    return int(number) if schema["type"] == "integer" or number == int(number) else number


def _text(model: Model, schema: JsonSchema, path: str, rng: random.Random) -> str:
    special = model.special_input(path)
    if isinstance(special, MediaInput):
        return f"media:{_ID}"
    if special is not None:
        return f"job:{_ID}" + ("" if special.part is ReferencePart.TASK else "/1")
    if "examples" in schema:
        return str(rng.choice(schema["examples"]))
    length = max(schema.get("minLength", 1), min(schema.get("maxLength", 20), 20))
    return "".join(rng.choice("abcdefgh") for _ in range(length))
