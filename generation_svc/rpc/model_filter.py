"""Parses the filter of ListModels, a subset of AIP-160.

    condition = "purpose" ( "=" | "!=" ) PURPOSE | "family" ( "=" | "!=" ) TEXT

`filter_part` says how conditions are joined.
"""

from dataclasses import dataclass

from generation_svc.domain.model import Model
from generation_svc.domain.purpose import Purpose
from generation_svc.rpc.filter_part import FilterReader

_PURPOSES = {f"MODEL_PURPOSE_{purpose.name}": purpose for purpose in Purpose}
_FIELDS = ("purpose", "family")
_OPERATORS = ("=", "!=")


@dataclass(frozen=True, slots=True)
class ModelCondition:
    """What one field of a model must be, or must not be."""

    field: str
    value: str
    is_equal: bool

    def holds(self, model: Model) -> bool:
        """Return whether a model meets it."""
        told = model.purpose if self.field == "purpose" else model.family or ""
        return (told == self.value) is self.is_equal


ModelFilter = tuple[tuple[ModelCondition, ...], ...]
"""Choices, of which each must hold, of conditions, of which one must."""


def parse_model_filter(text: str) -> ModelFilter:
    """Parse a filter; an empty text matches every model. Raises InvalidInputs."""
    return FilterReader(text, condition=_condition).read()


def matches(model: Model, wanted: ModelFilter) -> bool:
    """Return whether a model is one of those that a filter wants."""
    return all(any(each.holds(model) for each in choice) for choice in wanted)


def _condition(reader: FilterReader[ModelCondition]) -> ModelCondition:
    field = reader.word(_FIELDS)
    is_equal = reader.operator(_OPERATORS) == "="
    part = reader.take()
    if field == "purpose":
        purpose = _PURPOSES.get(part.value)
        wanted = f"a purpose, such as {next(iter(_PURPOSES))}"
        return ModelCondition(field, purpose or part.refuse(wanted), is_equal)
    return ModelCondition(field, part.value or part.refuse("a family, as in ListModels"), is_equal)
