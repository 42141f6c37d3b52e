"""What the bot reads of a model's message, and what stands in where nothing is told."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from google.protobuf.json_format import MessageToDict

from atelier.generation.v1 import model_pb2 as pb
from edge_bot.view.purpose import PURPOSE_OF_KIND, Purpose

_NUMBERS = frozenset(int(each) for each in Purpose if each is not Purpose.OTHER)


def purpose_of(model: pb.Model) -> Purpose:
    """Return what a model is chosen for; what comes nearest if the service is older or newer."""
    if model.purpose in _NUMBERS:
        return Purpose(model.purpose)
    return PURPOSE_OF_KIND.get(model.kind, Purpose.OTHER)


def least_credits(model: pb.Model) -> Decimal | None:
    """Return the least that a generation costs; None if it is not told."""
    if model.pricing.is_free:
        return Decimal(0)
    told = model.pricing.min_credits
    return Decimal(told) if told else None


def told_fields(model: pb.Model) -> Sequence[pb.ModelOption]:
    """Return the inputs that have words for people, by path."""
    return model.fields or model.options


def is_brief(model: pb.Model) -> bool:
    """Tell whether only what chooses a model is told: its inputs come when it is opened."""
    return not model.pricing.is_free and not model.input_schema.fields


def schema_of(model: pb.Model) -> dict[str, Any]:
    """Return the JSON Schema of the inputs; empty if it is not told."""
    return MessageToDict(model.input_schema)
