"""Converts a checked catalog entry to the domain's `Model`."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from generation_svc.catalog.shape import schema_at
from generation_svc.domain.media import MediaKind
from generation_svc.domain.media_input import (
    MediaInput,
    MediaRole,
    ReferenceInput,
    ReferencePart,
)
from generation_svc.domain.model import (
    Choice,
    Kind,
    LocalizedText,
    Model,
    Option,
    PriceUnit,
    Pricing,
)
from generation_svc.domain.schema import JsonSchema, Steps


def parse_model(data: dict[str, Any]) -> Model:
    """Return the model of an entry that keeps catalog.schema.json."""
    return Model(
        id=data["id"],
        kind=Kind(data["kind"]),
        title=LocalizedText(**data["title"]),
        description=LocalizedText(**data["description"]),
        hint=LocalizedText(**data["hint"]),
        prompt_examples=tuple(LocalizedText(**text) for text in data["prompt_examples"]),
        input_schema=data["input_schema"],
        media_inputs=tuple(
            _media(each, data["input_schema"]) for each in data.get("media_inputs", ())
        ),
        reference_inputs=tuple(
            _reference(each, data["input_schema"]) for each in data.get("reference_inputs", ())
        ),
        result_kinds=tuple(MediaKind(kind) for kind in data["result_kinds"]),
        options=tuple(_option(data, field) for field in data["input_schema"]["properties"]),
        provider_required=tuple(data["kie"]["required"]),
        unsupported_fields=data.get("unsupported_fields", {}),
        pricing=_pricing(data["pricing"]),
        usual_duration=timedelta(seconds=data["duration"]["usual_seconds"]),
        longest_duration=timedelta(seconds=data["duration"]["longest_seconds"]),
    )


def _media(data: dict[str, Any], schema: JsonSchema) -> MediaInput:
    """Return a media input; how many it takes is what the input schema says."""
    *holder_steps, field = steps_to(data["name"])
    holder = schema_at(schema, holder_steps)
    rule = schema_at(holder, (field,))
    is_list, is_required = rule.get("type") == "array", field in holder.get("required", ())
    seconds = data.get("max_seconds")
    return MediaInput(
        name=data["name"],
        kind=MediaKind(data["kind"]),
        role=MediaRole(data["role"]),
        at_least=(rule.get("minItems", 0) if is_list else 1) if is_required else 0,
        at_most=rule["maxItems"] if is_list else 1,
        is_list=is_list,
        mime_types=tuple(data["mime_types"]),
        max_bytes=data["max_bytes"],
        max_duration=timedelta(seconds=seconds) if seconds else None,
        provider_field=data["kie_field"],
        provider_is_list=data.get("kie_is_list", False),
    )


def _reference(data: dict[str, Any], schema: JsonSchema) -> ReferenceInput:
    *holder, field = steps_to(data["name"])
    return ReferenceInput(
        name=data["name"],
        part=ReferencePart(data["part"]),
        model_ids=tuple(data.get("models", ())),
        is_required=field in schema_at(schema, holder).get("required", ()),
        provider_field=data["kie_field"],
    )


def steps_to(name: str) -> Steps:
    """Return the steps that lead to an input in a schema, through the items of its lists."""
    steps: list[str | int] = []
    for part in name.split("."):
        steps.append(part.removesuffix("[]"))
        if part.endswith("[]"):
            steps.append(0)
    return tuple(steps)


def _pricing(data: dict[str, Any]) -> Pricing:
    return Pricing(
        is_free=data["is_free"],
        unit=PriceUnit(data["unit"]),
        credits=Decimal(data["kie_credits"]),
    )


def _option(data: dict[str, Any], field: str) -> Option:
    schema, texts = data["input_schema"]["properties"][field], data["options"][field]
    labels = texts.get("choices", {})
    return Option(
        field=field,
        label=LocalizedText(**texts["label"]),
        hint=LocalizedText(**texts["hint"]) if "hint" in texts else None,
        default=schema.get("default"),
        is_offered=texts.get("is_offered", False),
        choices=tuple(
            Choice(value, LocalizedText(**labels[value])) for value in schema.get("enum", ())
        ),
    )
