"""Converts a checked catalog entry to the domain's `Model`."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from generation_svc.catalog.price import parse_price
from generation_svc.catalog.shape import schema_at
from generation_svc.domain.input_check import (
    DifferenceCheck,
    InputCheck,
    ItemCheck,
    SameJobCheck,
)
from generation_svc.domain.media import MediaKind
from generation_svc.domain.media_input import (
    MediaInput,
    MediaRole,
    ReferenceInput,
    ReferencePart,
)
from generation_svc.domain.model import (
    Choice,
    Consent,
    LocalizedText,
    Model,
    Offer,
    Option,
    ResultForm,
    ResultShape,
    SeedClaim,
)
from generation_svc.domain.purpose import Purpose
from generation_svc.domain.schema import JsonSchema, JsonValue, Steps


def parse_model(data: dict[str, Any]) -> Model:
    """Return the model of an entry that keeps model.schema.json."""
    schema, duration = data["input_schema"], data["duration"]
    return Model(
        id=data["id"],
        purpose=Purpose(data["purpose"]),
        title=LocalizedText(**data["title"]),
        description=LocalizedText(**data["description"]),
        hint=LocalizedText(**data["hint"]),
        prompt_examples=tuple(LocalizedText(**text) for text in data["prompt_examples"]),
        input_schema=schema,
        media_inputs=tuple(_media(each, schema) for each in data.get("media_inputs", ())),
        reference_inputs=tuple(
            _reference(each, schema) for each in data.get("reference_inputs", ())
        ),
        result=_result(data["result"]),
        options=tuple(_option(data, path) for path in option_paths(schema)),
        unsupported_fields=data.get("unsupported_fields", {}),
        is_free=data["is_free"],
        offer=_offer(data["offers"][0]),
        usual_duration=_seconds(duration.get("usual_seconds")),
        longest_duration=timedelta(seconds=duration["longest_seconds"]),
        **_rest(data),
    )


def _rest(data: dict[str, Any]) -> dict[str, Any]:
    """Return what an entry may lack."""
    return {
        "checks": tuple(_check(each) for each in data.get("checks", ())),
        "operator_fields": data.get("operator_fields", {}),
        "family": data.get("family"),
        "tier": data.get("tier", ""),
        "seed": SeedClaim(data["seed"]) if "seed" in data else None,
        "consent": Consent(data["consent"]) if "consent" in data else None,
        "withdrawn": data.get("withdrawn"),
    }


def option_paths(schema: JsonSchema, within: str = "") -> Iterator[str]:
    """Yield the path of each field of an input schema, each followed by the fields in it."""
    for name, rule in schema.get("properties", {}).items():
        path = f"{within}{name}"
        yield path
        items = rule.get("items", {})
        inner = [
            each
            for branch in (items, *items.get("oneOf", ()))
            for each in option_paths(branch, f"{path}[].")
        ]
        yield from dict.fromkeys(inner)  # branches may share a field


def steps_to(name: str) -> Steps:
    """Return the steps that lead to an input in a schema, through the items of its lists."""
    steps: list[str | int] = []
    for part in name.split("."):
        steps.append(part.removesuffix("[]"))
        if part.endswith("[]"):
            steps.append(0)
    return tuple(steps)


def choice_key(value: JsonValue) -> str:
    """Return how a value of an enum is spelled as a key."""
    return value if isinstance(value, str) else json.dumps(value)


def _media(data: dict[str, Any], schema: JsonSchema) -> MediaInput:
    """Return a media input; how many it takes is what the input schema says."""
    *holder_steps, field = steps_to(data["name"])
    holder = schema_at(schema, holder_steps)
    rule = schema_at(holder, (field,))
    is_list, is_required = rule.get("type") == "array", field in holder.get("required", ())
    return MediaInput(
        name=data["name"],
        kind=MediaKind(data["kind"]),
        role=MediaRole(data["role"]),
        at_least=(rule.get("minItems", 0) if is_list else 1) if is_required else 0,
        at_most=rule["maxItems"] if is_list else 1,
        is_list=is_list,
        mime_types=tuple(data["mime_types"]),
        max_bytes=data["max_bytes"],
        max_duration=_seconds(data.get("max_seconds")),
        min_duration=_seconds(data.get("min_seconds")),
        min_pixels=data.get("min_pixels"),
        max_pixels=data.get("max_pixels"),
    )


def _reference(data: dict[str, Any], schema: JsonSchema) -> ReferenceInput:
    *holder, field = steps_to(data["name"])
    return ReferenceInput(
        name=data["name"],
        part=ReferencePart(data["part"]),
        model_ids=tuple(data.get("models", ())),
        is_required=field in schema_at(schema, holder).get("required", ()),
    )


def _result(data: dict[str, Any]) -> ResultForm:
    kinds = tuple(MediaKind(kind) for kind in data["kinds"])
    return ResultForm(kinds=kinds, shape=ResultShape(data["shape"]), max_bytes=data["max_bytes"])


def _offer(data: dict[str, Any]) -> Offer:
    return Offer(
        provider=data["provider"],
        model_id=data["model"],
        names=data["fields"],
        lists=frozenset(data.get("lists", ())),
        required=tuple(data["required"]),
        price=parse_price(data["price"]),
        requires_callback=data.get("requires_callback", False),
    )


def _check(data: dict[str, Any]) -> InputCheck:
    match data:
        case {"difference": rule}:
            return DifferenceCheck(
                start=rule["from"],
                end=rule["to"],
                holder=rule.get("in"),
                at_least=rule.get("minimum"),
                at_most=rule.get("maximum"),
            )
        case {"item": rule}:
            return ItemCheck(each=rule["each"], of=rule["of"])
        case _:
            return SameJobCheck(each=data["same_job"]["each"], other=data["same_job"]["as"])


def _seconds(number: float | None) -> timedelta | None:
    return None if number is None else timedelta(seconds=number)


def _option(data: dict[str, Any], path: str) -> Option:
    schema, texts = schema_at(data["input_schema"], steps_to(path)), data["options"][path]
    return Option(
        field=path,
        label=LocalizedText(**texts["label"]),
        hint=LocalizedText(**texts["hint"]) if "hint" in texts else None,
        default=schema.get("default"),
        is_offered=texts.get("is_offered", False),
        choices=tuple(_choices(schema, texts)),
        is_closed="enum" in schema or "examples" not in schema,
    )


def _choices(schema: JsonSchema, texts: dict[str, Any]) -> Iterator[Choice]:
    labels, current = texts.get("choices", {}), texts.get("current")
    for value in schema.get("enum", schema.get("examples", ())):
        key = choice_key(value)
        if key in labels:
            is_current = current is None or key in current
            yield Choice(value, LocalizedText(**labels[key]), is_current)
