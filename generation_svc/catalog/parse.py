"""A model's checked JSON into the domain's `Model`."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from generation_svc.domain.model import (
    Choice,
    Kind,
    LocalizedText,
    Model,
    Option,
    PictureField,
    PriceUnit,
    Pricing,
)


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
        picture=_picture(data["picture"]) if "picture" in data else None,
        options=tuple(_option(data, field) for field in data["input_schema"]["properties"]),
        provider_required=tuple(data["kie"]["required"]),
        unsupported_fields=data.get("unsupported_fields", {}),
        pricing=_pricing(data["pricing"]),
        usual_duration=timedelta(seconds=data["duration"]["usual_seconds"]),
        longest_duration=timedelta(seconds=data["duration"]["longest_seconds"]),
    )


def _picture(data: dict[str, Any]) -> PictureField:
    return PictureField(
        field=data["field"],
        provider_field=data["kie_field"],
        mime_types=tuple(data["mime_types"]),
        max_bytes=data["max_bytes"],
    )


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
