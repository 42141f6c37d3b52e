"""Converts models to messages of the contract."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Value

from atelier.generation.v1 import consent_pb2, media_pb2, model_pb2
from generation_svc.domain.ledger import price_of
from generation_svc.domain.media import MediaKind
from generation_svc.domain.media_input import MediaInput, ReferenceInput
from generation_svc.domain.model import Consent, LocalizedText, Model, Option, SeedClaim
from generation_svc.domain.money import NO_MARGIN
from generation_svc.domain.price_bound import least_cost
from generation_svc.domain.schema import JsonSchema
from generation_svc.rpc.convert import struct_to_proto

NOTHING = "UNSPECIFIED"
_SEEDS = {
    None: model_pb2.SEED_SUPPORT_UNSPECIFIED,
    SeedClaim.CLAIMED: model_pb2.SEED_SUPPORT_CLAIMED,
    SeedClaim.PROVED: model_pb2.SEED_SUPPORT_PROVED,
}
_UNITS = {
    "image": model_pb2.PRICE_UNIT_IMAGE,
    "generation": model_pb2.PRICE_UNIT_GENERATION,
    "request": model_pb2.PRICE_UNIT_REQUEST,
    "video": model_pb2.PRICE_UNIT_VIDEO,
    "second": model_pb2.PRICE_UNIT_SECOND,
    "second of input": model_pb2.PRICE_UNIT_INPUT_SECOND,
    "megapixel": model_pb2.PRICE_UNIT_MEGAPIXEL,
    "thousand characters": model_pb2.PRICE_UNIT_THOUSAND_CHARACTERS,
    "million tokens": model_pb2.PRICE_UNIT_MILLION_TOKENS,
}


def model_to_proto(
    model: Model,
    *,
    is_full: bool = True,
    has_operator_fields: bool = False,
    margin: Decimal = NO_MARGIN,
) -> model_pb2.Model:
    """Write what the catalog says of a model that is sold at a margin.

    One that is free is always written in full: callers of the releases 0.1 and 0.2 ask for no view.
    """
    message = model_pb2.Model(
        id=model.id,
        kind=model_pb2.ModelKind.Value(f"MODEL_KIND_{model.kind.name}"),
        titles=_by_language(model.title),
        descriptions=_by_language(model.description),
        pricing=_pricing(model, margin),
        usual_duration=_duration(model.usual_duration),
        result_kinds=[_media_kind(kind) for kind in model.result.kinds],
        purpose=model_pb2.ModelPurpose.Value(f"MODEL_PURPOSE_{model.purpose.name}"),
        family=model.family or "",
        tier=model.tier,
        seed_support=_SEEDS[model.seed],
        consent=consent_to_proto(model.consent),
    )
    if is_full or model.is_free:
        message.MergeFrom(_rest_of(model, has_operator_fields=has_operator_fields))
    return message


def consent_to_proto(consent: Consent | None) -> consent_pb2.ConsentKind.ValueType:
    """Write what of a person is copied."""
    return consent_pb2.ConsentKind.Value(f"CONSENT_KIND_{consent.name if consent else NOTHING}")


def _rest_of(model: Model, *, has_operator_fields: bool) -> model_pb2.Model:
    """Return what only the full view has."""
    hidden = frozenset() if has_operator_fields else frozenset(model.operator_fields)
    return model_pb2.Model(
        input_schema=struct_to_proto(_schema_without(model, hidden)),
        picture_field=model.lone_image.name if model.lone_image else "",  # for 0.1
        longest_duration=_duration(model.longest_duration),
        options=[_option_to_proto(option) for option in model.offered_options],
        prompt_examples=_examples(model),
        prompt_max_length=model.properties.get("prompt", {}).get("maxLength", 0),
        hints=_by_language(model.hint),
        media_inputs=[_media_input_to_proto(model, one) for one in model.media_inputs],
        reference_inputs=[_reference_to_proto(model, one) for one in model.reference_inputs],
        fields=[_option_to_proto(option) for option in model.options if option.field not in hidden],
    )


def _schema_without(model: Model, hidden: frozenset[str]) -> JsonSchema:
    if not hidden:
        return model.input_schema
    fields = {name: rule for name, rule in model.properties.items() if name not in hidden}
    return {**model.input_schema, "properties": fields}


def _pricing(model: Model, margin: Decimal) -> model_pb2.Pricing:
    price = model.offer.price
    if model.is_free:
        return model_pb2.Pricing(is_free=True, min_credits="0")
    least = least_cost(model)
    if least is None:
        return model_pb2.Pricing(unknown_reason=price.unknown or "")
    return model_pb2.Pricing(
        min_credits=str(price_of(least, margin=margin)), unit=_UNITS[price.parts[0].unit]
    )


def _duration(span: timedelta | None) -> Duration | None:
    if span is None:
        return None
    message = Duration()
    message.FromTimedelta(span)
    return message


def _media_kind(kind: MediaKind) -> media_pb2.MediaKind.ValueType:
    return media_pb2.MediaKind.Value(f"MEDIA_KIND_{kind.name}")


def _media_input_to_proto(model: Model, one: MediaInput) -> model_pb2.MediaInput:
    return model_pb2.MediaInput(
        name=one.name,
        kind=_media_kind(one.kind),
        role=model_pb2.MediaRole.Value(f"MEDIA_ROLE_{one.role.name}"),
        min_count=one.at_least,
        max_count=one.at_most,
        is_list=one.is_list,
        mime_types=one.mime_types,
        max_size_bytes=one.max_bytes,
        max_duration=_duration(one.max_duration),
        labels=_labels_of(model, one.name),
        min_duration=_duration(one.min_duration),
        min_pixels=one.min_pixels or 0,
        max_pixels=one.max_pixels or 0,
        is_measured=one.name in model.offer.price.measured_fields,
    )


def _reference_to_proto(model: Model, one: ReferenceInput) -> model_pb2.ReferenceInput:
    return model_pb2.ReferenceInput(
        name=one.name,
        part=model_pb2.ReferencePart.Value(f"REFERENCE_PART_{one.part.name}"),
        model_ids=one.model_ids,
        is_required=one.is_required,
        labels=_labels_of(model, one.name),
    )


def _labels_of(model: Model, name: str) -> dict[str, str]:
    """Return what an input is called."""
    return _by_language(model.option(name).label)


def _by_language(text: LocalizedText) -> dict[str, str]:
    return {"en": text.en, "ru": text.ru}


def _examples(model: Model) -> dict[str, model_pb2.PromptExamples]:
    return {
        language: model_pb2.PromptExamples(
            prompts=[getattr(example, language) for example in model.prompt_examples]
        )
        for language in (("en", "ru") if model.prompt_examples else ())
    }


def _option_to_proto(option: Option) -> model_pb2.ModelOption:
    choices = [
        model_pb2.ModelChoice(value=_value(choice.value), labels=_by_language(choice.label))
        for choice in option.choices
        if choice.is_current
    ]
    return model_pb2.ModelOption(
        field=option.field,
        labels=_by_language(option.label),
        choices=choices,
        default_value=_value(option.default),
        hints=_by_language(option.hint) if option.hint else {},
        is_offered=option.is_offered,
        is_open=not option.is_closed,
    )


def _value(document: Any) -> Value:
    return json_format.ParseDict(document, Value())
