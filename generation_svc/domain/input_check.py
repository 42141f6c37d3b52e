"""Rules of inputs that a JSON Schema cannot say: they compare the values of several fields."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceCheck:
    """How far one number must be above another."""

    start: str
    end: str
    """The fields of the two numbers; a field that is left out counts with its default."""
    holder: str | None = None
    """The list in whose items the fields stand; None for the inputs themselves."""
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemCheck:
    """A value that must be one of those elsewhere in the inputs."""

    each: str
    of: str
    """The paths of the values and of what they may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SameJobCheck:
    """A reference that must mean the job that another one means."""

    each: str
    other: str


InputCheck: TypeAlias = DifferenceCheck | ItemCheck | SameJobCheck
