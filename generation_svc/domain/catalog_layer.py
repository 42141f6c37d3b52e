"""The layers of the catalog: the shipped file, what was imported, and what the operator overrides.

They are merged per model. An import stands in the place of the shipped entry; an override changes
single members of whichever holds, so that a deploy undoes neither.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from generation_svc.domain.schema import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class Override:
    """What the operator wants otherwise of one model."""

    patch: JsonObject = field(default_factory=dict)
    """A JSON Merge Patch (RFC 7396) of the model's entry; null removes a member."""
    is_off: bool = False
    """Whether new jobs may not use it."""
    reason: str = ""
    update_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class CatalogLayers:
    """The layers that are kept in the database, at one revision."""

    revision: int = 0
    """Grows with every change of a layer."""
    imports: Mapping[str, JsonObject] = field(default_factory=dict)
    """The imported entries, by model."""
    overrides: Mapping[str, Override] = field(default_factory=dict)
    """By model."""


class ChangeKind(StrEnum):
    """What a review says of one model."""

    NEW = "new"
    CHANGED = "changed"
    PRICE_MOVED = "price_moved"
    """Its price changed and nothing else."""
    GONE = "gone"
    SWITCHED = "switched"
    """It was switched off or on and nothing else changed."""


@dataclass(frozen=True, slots=True)
class MemberChange:
    """One place in an entry that becomes another; None where there is nothing."""

    path: str
    """Such as `offers[0].price.parts[0].rates[0].credits`."""
    before: JsonValue
    after: JsonValue


@dataclass(frozen=True, slots=True)
class ModelChange:
    """What becomes of one model."""

    model_id: str
    kind: ChangeKind
    members: tuple[MemberChange, ...] = ()


def patched(entry: JsonValue, patch: JsonValue) -> JsonValue:
    """Return an entry after a JSON Merge Patch."""
    if not isinstance(patch, dict):
        return patch
    made = dict(entry) if isinstance(entry, dict) else {}
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        else:
            made[name] = patched(made.get(name), value)
    return made
