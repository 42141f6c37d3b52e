"""What an offer costs: rates, what they are multiplied with, and whether the sum is a ceiling.

Amounts are the provider's credits. A price is the sum of its parts; of a part's rates the first one
whose condition holds counts, times each of its quantities.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from generation_svc.domain.schema import JsonValue


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold of one field for a rate to count."""

    field: str
    values: tuple[JsonValue, ...] = ()
    """The values of which it must have one; empty where only its presence matters."""
    is_present: bool = True


@dataclass(frozen=True, slots=True)
class Rate:
    """What one unit costs, and when."""

    conditions: tuple[Condition, ...]
    """All of them must hold; none means always."""
    credits: Decimal
    is_ceiling: bool = False
    """Whether the provider may charge less."""


@dataclass(frozen=True, slots=True)
class FieldQuantity:
    """The number that a field holds, or its default."""

    field: str
    absent: Decimal | None = None
    """What holds where the field is left out and the schema has no default."""
    at_most: Decimal | None = None
    """The ceiling where the model decides by itself: left out, or a number below 0."""
    divided_by: str | None = None
    """A field by whose number it is divided, rounded up."""


@dataclass(frozen=True, slots=True)
class ItemQuantity:
    """The number of items in a list, or of those after the first few."""

    field: str
    beyond: int = 0


@dataclass(frozen=True, slots=True)
class SecondsQuantity:
    """The measured length of the media in one or several fields, in whole seconds rounded up."""

    fields: tuple[str, ...]
    is_longest: bool = False
    """Whether the longest field counts, and not the sum."""


@dataclass(frozen=True, slots=True)
class TextQuantity:
    """The length of a text, or of a text in each item of a list, in units of so many characters."""

    path: str
    per: int = 1


@dataclass(frozen=True, slots=True)
class SizeQuantity:
    """The megapixels of a picture, by the name of its size."""

    field: str
    megapixels: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class FixedQuantity:
    """A number that the inputs do not change."""

    number: Decimal
    is_ceiling: bool = False


Quantity: TypeAlias = (
    FieldQuantity | ItemQuantity | SecondsQuantity | TextQuantity | SizeQuantity | FixedQuantity
)


@dataclass(frozen=True, slots=True)
class PricePart:
    """Rates, and the quantities that the one that counts is multiplied with."""

    rates: tuple[Rate, ...]
    quantities: tuple[Quantity, ...]
    unit: str
    """What is counted, such as `second`."""


@dataclass(frozen=True, slots=True)
class OfferPrice:
    """What an offer costs."""

    parts: tuple[PricePart, ...]
    is_ceiling: bool = False
    """Whether the sum is the most it can cost, and not what it costs."""
    unknown: str | None = None
    """Why there is no finite price; then there are no parts."""

    @property
    def measured_fields(self) -> tuple[str, ...]:
        """The fields whose media must be measured before the price is known."""
        seconds = (
            quantity.fields
            for part in self.parts
            for quantity in part.quantities
            if isinstance(quantity, SecondsQuantity)
        )
        return tuple(dict.fromkeys(field for fields in seconds for field in fields))
