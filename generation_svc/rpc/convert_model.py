"""Converts models to messages of the contract."""

from datetime import datetime, timedelta
from typing import Any

from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Value

from atelier.generation.v1 import media_pb2, model_pb2
from generation_svc.domain.media import MediaKind
from generation_svc.domain.media_input import MediaInput, ReferenceInput
from generation_svc.domain.model import LocalizedText, Model, Option
from generation_svc.rpc.convert import struct_to_proto, time_to_proto

_MAX_OPTIONS = 64
"""How many options a message has (model.proto)."""


def model_to_proto(model: Model, *, unavailable_until: datetime | None = None) -> model_pb2.Model:
    """Write a model, and until when it is switched off if it is."""
    return model_pb2.Model(
        id=model.id,
        kind=model_pb2.ModelKind.Value(f"MODEL_KIND_{model.kind.name}"),
        titles=_by_language(model.title),
        descriptions=_by_language(model.description),
        input_schema=struct_to_proto(model.input_schema),
        picture_field=model.lone_image.name if model.lone_image else "",  # for 0.1
        pricing=model_pb2.Pricing(is_free=model.is_free),
        usual_duration=_duration(model.usual_duration),
        longest_duration=_duration(model.longest_duration),
        options=[_option_to_proto(option) for option in _told_options(model)],
        prompt_examples=_examples(model),
        prompt_max_length=model.properties.get("prompt", {}).get("maxLength", 0),
        hints=_by_language(model.hint),
        unavailable_until_time=time_to_proto(unavailable_until),
        media_inputs=[_media_input_to_proto(model, one) for one in model.media_inputs],
        reference_inputs=[_reference_to_proto(model, one) for one in model.reference_inputs],
        result_kinds=[_media_kind(kind) for kind in model.result.kinds],
    )


def _told_options(model: Model) -> list[Option]:
    """Return the options to tell: of a model that is asked for by a form all, in their order."""
    if model.is_free:
        return list(model.offered_options)
    told = [each for each in model.options if each.field not in model.operator_fields]
    return told[:_MAX_OPTIONS]


def _duration(span: timedelta | None) -> Duration | None:
    if span is None:
        return None
    message = Duration()
    message.FromTimedelta(span)
    return message


def _media_kind(kind: MediaKind) -> media_pb2.MediaKind.ValueType:
    return media_pb2.MediaKind.Value(f"MEDIA_KIND_{kind.name}")


def _media_input_to_proto(model: Model, one: MediaInput) -> model_pb2.MediaInput:
    message = model_pb2.MediaInput(
        name=one.name,
        kind=_media_kind(one.kind),
        role=model_pb2.MediaRole.Value(f"MEDIA_ROLE_{one.role.name}"),
        min_count=one.at_least,
        max_count=one.at_most,
        is_list=one.is_list,
        mime_types=one.mime_types,
        max_size_bytes=one.max_bytes,
        labels=_labels_of(model, one.name),
    )
    if one.max_duration is not None:
        message.max_duration.FromTimedelta(one.max_duration)
    return message


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
    )


def _value(document: Any) -> Value:
    return json_format.ParseDict(document, Value())
