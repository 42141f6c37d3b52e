"""Reads the inputs of a model as a form: its fields, and the rules between them.

Of JSON Schema it knows what the contract says that an input schema uses (model.proto).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any, TypeAlias

from atelier.generation.v1 import model_pb2 as pb
from edge_bot.view.input_rule import Rules, Schema, bounded, rules_of
from edge_bot.view.model_field import is_brief, schema_of, told_fields

JsonValue: TypeAlias = Any
"""A value of JSON."""


class FieldKind(Enum):
    """How a person answers a question."""

    TEXT = auto()
    NUMBER = auto()
    YES_NO = auto()
    CHOICE = auto()
    MEDIA = auto()
    REFERENCE = auto()
    VALUES = auto()
    """Several texts or numbers."""
    OBJECTS = auto()
    """A list whose items have fields of their own."""


@dataclass(frozen=True, slots=True)
class FieldChoice:
    """One value that is offered, and what it is called."""

    value: JsonValue
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Field:
    """One question of a form."""

    path: str
    """The path of the input, such as `duration` or `shots[].prompt`."""
    kind: FieldKind
    schema: Schema
    labels: Mapping[str, str]
    hints: Mapping[str, str]
    is_required: bool
    """Whether what holds it always has it."""
    is_main: bool = False
    """Whether it is offered beside the button that begins."""
    choices: tuple[FieldChoice, ...] = ()
    media: pb.MediaInput | None = None
    reference: pb.ReferenceInput | None = None

    @property
    def name(self) -> str:
        """The name of the input where it is."""
        return self.path.rpartition(".")[2]

    @property
    def is_list(self) -> bool:
        """Whether it takes several."""
        return self.schema.get("type") == "array"

    @property
    def least(self) -> int:
        """How many items it takes at least, once it is given."""
        return max(1, int(self.schema.get("minItems", 1)))

    @property
    def most(self) -> int:
        """How many items it takes at most."""
        return int(self.schema.get("maxItems", 1)) if self.is_list else 1


@dataclass(frozen=True, slots=True)
class InputForm:
    """The fields of a model that have words for people, in the order of its schema."""

    schema: Schema
    fields: Mapping[str, Field] = field(default_factory=dict)

    @property
    def top(self) -> tuple[Field, ...]:
        """The fields of the inputs themselves."""
        return tuple(each for each in self.fields.values() if "." not in each.path)

    @property
    def branches(self) -> tuple[Schema, ...]:
        """The ways to fill in the form, of which exactly one is taken; empty if there is one."""
        return tuple(self.schema.get("oneOf", ()))

    @property
    def is_complete(self) -> bool:
        """Whether all that must be asked for can be asked for."""
        return all(name in self.fields for name in self.schema.get("required", ())) and all(
            f"{each.path}[].{name}" in self.fields
            for each in self.top
            if each.kind is FieldKind.OBJECTS
            for name in each.schema["items"].get("required", ())
        )

    def inner(self, path: str) -> tuple[Field, ...]:
        """Return the fields of each item of a list."""
        return tuple(each for each in self.fields.values() if each.path.startswith(f"{path}[]."))

    def find(self, place: str) -> Field | None:
        """Return the field at a place in the inputs, such as `shots[2].prompt`."""
        holder, _, name = place.rpartition(".")
        return self.fields.get(f"{holder.partition('[')[0]}[].{name}" if holder else name)

    def rules(self, inputs: Mapping[str, JsonValue], branch: int) -> Rules:
        """Return what the schema asks for under these inputs."""
        chosen = self.branches[branch] if 0 <= branch < len(self.branches) else {}
        return rules_of(self.schema, inputs, branch=chosen)

    def ruled(self, place: str, rules: Rules) -> Field | None:
        """Return the field at a place as the rules bound it; None if they forbid it."""
        found = self.find(place)
        if found is None or place in rules.forbidden:
            return None
        bounds = rules.bounds.get(place, ())
        return _bounded_field(found, bounds) if bounds else found


class ModelUnopened(Exception):
    """The inputs of a model are needed, and only its brief is there."""

    def __init__(self, model_id: str) -> None:
        self.model_id = model_id
        super().__init__(model_id)


def form_of(model: pb.Model) -> InputForm:
    """Read the form of a model; raises ModelUnopened if its inputs are not told."""
    if is_brief(model):
        raise ModelUnopened(model.id)
    schema = schema_of(model)
    told = {each.field: each for each in told_fields(model)}
    media = {each.name: each for each in model.media_inputs}
    references = {each.name: each for each in model.reference_inputs}
    fields: dict[str, Field] = {}
    # A Struct keeps no order of its fields, so that it is the words that are in the right one.
    places = {path: place for place, path in enumerate((*told, *media, *references))}
    walked = sorted(_walk(schema), key=lambda each: places.get(each[0], len(places)))
    for path, rule, is_required in walked:
        words = told.get(path) or media.get(path) or references.get(path)
        if words is None or not words.labels:
            continue
        option = told.get(path, pb.ModelOption())
        fields[path] = Field(
            path=path,
            kind=_kind(rule, option, is_media=path in media, is_reference=path in references),
            schema=rule,
            labels=dict(words.labels),
            hints=dict(option.hints),
            is_required=is_required,
            is_main=option.is_offered,
            choices=_choices(option),
            media=media.get(path),
            reference=references.get(path),
        )
    return InputForm(schema, fields)


def _walk(schema: Schema, within: str = "") -> Iterator[tuple[str, Schema, bool]]:
    for name, rule in schema.get("properties", {}).items():
        path = f"{within}{name}"
        yield path, rule, name in schema.get("required", ())
        yield from _walk(rule.get("items", {}), f"{path}[].")


def _kind(rule: Schema, option: pb.ModelOption, *, is_media: bool, is_reference: bool) -> FieldKind:
    if is_media:
        return FieldKind.MEDIA
    if is_reference:
        return FieldKind.REFERENCE
    if rule.get("type") == "array":
        is_object = rule.get("items", {}).get("type") == "object"
        return FieldKind.OBJECTS if is_object else FieldKind.VALUES
    if option.choices:
        return FieldKind.CHOICE
    match rule.get("type"):
        case "boolean":
            return FieldKind.YES_NO
        case "integer" | "number":
            return FieldKind.NUMBER
        case _:
            return FieldKind.TEXT


def _choices(option: pb.ModelOption) -> tuple[FieldChoice, ...]:
    return tuple(FieldChoice(plain_value(each.value), dict(each.labels)) for each in option.choices)


def plain_value(value: Any) -> JsonValue:
    """Return a scalar value of the contract as Python has it, whole numbers as int."""
    match value.WhichOneof("kind"):
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "bool_value":
            return value.bool_value
        case _:
            return value.string_value


def whole_numbers(value: JsonValue) -> JsonValue:
    """Return a value of JSON with whole numbers as int: a Struct makes 30 into 30.0."""
    if isinstance(value, dict):
        return {name: whole_numbers(each) for name, each in value.items()}
    if isinstance(value, list):
        return [whole_numbers(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _bounded_field(found: Field, bounds: tuple[Schema, ...]) -> Field:
    schema = bounded(found.schema, bounds)
    allowed = schema.get("enum")
    choices = tuple(each for each in found.choices if allowed is None or each.value in allowed)
    return replace(found, schema=schema, choices=choices)
