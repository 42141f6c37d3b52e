"""Makes inputs that keep a model's schema; a schema that none keeps is a mistake.

It fills in what is required, then mends the inputs rule by rule. What it returns is checked by the
validator of all inputs, so that a wrong guess is never taken for an example.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
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
    maker = _Maker(model, rng, share)
    for _ in range(_TRIES):
        made = maker.inputs()
        try:
            validate_inputs(model, made)
        except InvalidInputs:
            continue
        return made
    return None


def field_value(model: Model, name: str, *, rng: random.Random) -> JsonValue:
    """Return a value that a field takes, whatever the rules say."""
    return value_at(model, model.properties[name], path=name, rng=rng)


def value_at(model: Model, schema: JsonSchema, *, path: str, rng: random.Random) -> JsonValue:
    """Return a value that a place takes, such as that of `shots[].prompt`, whatever the rules."""
    value: JsonValue = _Maker(model, rng, share=0.0).value(schema, path)
    return value


def relate(model: Model, made: JsonObject, *, rng: random.Random) -> None:
    """Have each text that repeats one of a list elsewhere in the inputs repeat one of these."""
    _Maker(model, rng, share=0.0).choose_items(made)


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes inputs of one model by chance."""

    model: Model
    rng: random.Random
    share: float
    """How many of the optional fields are given."""

    def inputs(self) -> JsonObject:
        schema = self.model.input_schema
        made = self._object(schema)
        branch = self.rng.choice(schema["oneOf"]) if "oneOf" in schema else {}
        for _ in range(_MENDS):
            self._apply(branch, made)
            self._apply(schema, made)
            for rule in schema.get("allOf", ()):
                holds = InputValidator(rule["if"]).is_valid(made)
                self._apply(rule.get("then" if holds else "else", {}), made)
        self._relate(made)
        return made

    def value(self, schema: JsonSchema, path: str) -> Any:
        """Return a value that a place takes."""
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self.rng.choice(schema["enum"])
        match schema["type"]:
            case "boolean":
                return self.rng.random() < 0.5
            case "integer" | "number":
                return self._number(schema)
            case "string":
                return self._text(schema, path)
            case "array":
                return self._list(schema, path)
        form = self.rng.choice(schema["oneOf"]) if "oneOf" in schema else schema
        return self._object(form, within=f"{path}.")

    def _apply(self, rule: JsonSchema, made: JsonObject) -> None:
        """Make inputs keep what a rule adds to the schema of the fields."""
        for name, bound in rule.get("properties", {}).items():
            if bound is False:
                made.pop(name, None)
            elif name in made and not InputValidator(bound).is_valid(made[name]):
                made[name] = self._bounded(name, rule)
        wanted = [*rule.get("required", ())]
        either = rule.get("anyOf", ())
        if either and not any(set(each["required"]) <= made.keys() for each in either):
            wanted += self.rng.choice(either)["required"]
        for name in wanted:
            if name not in made:
                made[name] = self._bounded(name, rule)

    def _bounded(self, name: str, rule: JsonSchema) -> Any:
        bound = rule.get("properties", {}).get(name) or {}
        return self.value({**self.model.properties[name], **bound}, name)

    def _relate(self, made: JsonObject) -> None:
        """Make inputs keep the rules that compare fields."""
        for check in self.model.checks:
            if isinstance(check, DifferenceCheck):
                self._keep_apart(check, made)
        self.choose_items(made)

    def choose_items(self, made: JsonObject) -> None:
        """Have texts that repeat one of a list elsewhere repeat one of these."""
        for check in self.model.checks:
            if isinstance(check, ItemCheck):
                self._choose(check, made)

    def _keep_apart(self, check: DifferenceCheck, made: JsonObject) -> None:
        within = f"{check.holder}[].x" if check.holder else "x"
        for _, holder in holders(made, within):
            start: Any = holder.get(check.start, self.model.defaults.get(check.start, 0))
            holder[check.end] = start + (check.at_least or check.at_most or 1)

    def _choose(self, check: ItemCheck, made: JsonObject) -> None:
        values = [holder[field_of(check.of)] for _, holder in holders(made, check.of)]
        for _, holder in holders(made, check.each) if values else ():
            holder[field_of(check.each)] = self.rng.choice(values)

    def _object(self, schema: JsonSchema, *, within: str = "") -> JsonObject:
        required = schema.get("required", ())
        return {
            name: self.value(rule, f"{within}{name}")
            for name, rule in schema["properties"].items()
            if name in required or self.rng.random() < self.share
        }

    def _list(self, schema: JsonSchema, path: str) -> list[JsonValue]:
        least = max(1, schema.get("minItems", 0))
        count = self.rng.randint(least, max(least, min(schema["maxItems"], least + 2)))
        items = schema["items"]
        inner = f"{path}[]" if items.get("type") == "object" else path
        made = [self.value(items, inner) for _ in range(count)]
        return [*dict.fromkeys(made)] if schema.get("uniqueItems") else made

    def _number(self, schema: JsonSchema) -> float:
        least = schema.get("minimum", schema.get("exclusiveMinimum", 0))
        most = schema.get("maximum", least + 20)
        step = schema.get("multipleOf", 1)
        first = 1 if "exclusiveMinimum" in schema else 0
        steps = self.rng.randint(first, max(first, int((most - least) / step)))
        number = round(least + step * steps, 6)
        is_whole = schema["type"] == "integer" or number == int(number)
        return int(number) if is_whole else number

    def _text(self, schema: JsonSchema, path: str) -> str:
        special = self.model.special_input(path)
        if isinstance(special, MediaInput):
            return f"media:{_ID}"
        if special is not None:
            return f"job:{_ID}" + ("" if special.part is ReferencePart.TASK else "/1")
        if "examples" in schema:
            return str(self.rng.choice(schema["examples"]))
        length = max(schema.get("minLength", 1), min(schema.get("maxLength", 20), 20))
        return "".join(self.rng.choice("abcdefgh") for _ in range(length))
