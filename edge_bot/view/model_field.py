"""What the bot reads of a model's message that not every release of the service tells.

A service that does not tell it yet is served with what can be told from the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from google.protobuf.json_format import MessageToDict

from atelier.generation.v1 import model_pb2 as pb
from atelier.generation.v1.generation_service_pb2 import ListModelsRequest
from edge_bot.view.purpose import PURPOSE_OF_KIND, Purpose

_HAS_VIEWS = "view" in ListModelsRequest.DESCRIPTOR.fields_by_name
FULL_VIEW: dict[str, Any] = {"view": 2} if _HAS_VIEWS else {}
"""What asks ListModels for the inputs of all models; older contracts always tell them."""

_NUMBERS = frozenset(int(each) for each in Purpose if each is not Purpose.OTHER)


def purpose_of(model: pb.Model) -> Purpose:
    """Return what a model is chosen for; what comes nearest if the service is older or newer."""
    number = int(getattr(model, "purpose", 0))
    if number in _NUMBERS:
        return Purpose(number)
    return PURPOSE_OF_KIND.get(model.kind, Purpose.OTHER)


def family_of(model: pb.Model) -> str:
    """Return what folds a model into one entry with others; empty if it stands alone."""
    return str(getattr(model, "family", ""))


def tier_of(model: pb.Model) -> str:
    """Return what people call a model in its family; empty if it is the plain one."""
    return str(getattr(model, "tier", ""))


def least_credits(model: pb.Model) -> Decimal | None:
    """Return the least that a generation costs; None if it is not told."""
    if model.pricing.is_free:
        return Decimal(0)
    told = str(getattr(model.pricing, "min_credits", ""))
    return Decimal(told) if told else None


def told_fields(model: pb.Model) -> Sequence[pb.ModelOption]:
    """Return the inputs that have words for people, by path."""
    return getattr(model, "fields", ()) or model.options


def hint_of(option: pb.ModelOption) -> dict[str, str]:
    """Return what to know about an input, by language; empty if nothing is told."""
    return dict(getattr(option, "hints", {}))


def is_main(option: pb.ModelOption) -> bool:
    """Tell whether an input is offered by buttons; one with choices, where it is not told."""
    return bool(getattr(option, "is_offered", option.choices))


def is_measured(media: pb.MediaInput | None) -> bool:
    """Tell whether the price follows the length of media, so that no link is taken."""
    return bool(getattr(media, "is_measured", False))


def schema_of(model: pb.Model) -> dict[str, Any]:
    """Return the JSON Schema of the inputs; empty if it is not told."""
    return MessageToDict(model.input_schema)
