"""Computes what inputs cost at an offer's price."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from math import prod
from typing import Any

from generation_svc.domain.error import AtelierError
from generation_svc.domain.price import (
    Condition,
    FieldQuantity,
    FixedQuantity,
    ItemQuantity,
    OfferPrice,
    PricePart,
    Quantity,
    Rate,
    SecondsQuantity,
    SizeQuantity,
    TextQuantity,
)
from generation_svc.domain.schema import JsonValue

MAX_CREDITS = Decimal(10**9)
"""The most that a quote comes to: more is a mistake in the inputs, and no row could hold it."""
Measured = Mapping[str, Sequence[Decimal]]
"""The seconds of each media of a field, by the field's name."""


class PriceUnknown(AtelierError):
    """There is no price for these inputs."""


class LengthUnknown(AtelierError):
    """The price follows the length of media that was not measured."""

    def __init__(self, field: str) -> None:
        self.field = field
        super().__init__(f"The length of {field} is not known.")


@dataclass(frozen=True, slots=True)
class QuoteLine:
    """One part of a price: a rate times an amount of a unit."""

    rate: Decimal
    amount: Decimal
    unit: str
    conditions: tuple[Condition, ...] = ()
    """What of the inputs decided on the rate."""
    is_ceiling: bool = False
    """Whether it is the most that the part can cost."""
    is_most: bool = False
    """Whether the amount is the most that there can be."""

    @property
    def credits(self) -> Decimal:
        """What the part costs."""
        return self.rate * self.amount


@dataclass(frozen=True, slots=True)
class Quote:
    """What inputs cost, exactly or at most."""

    lines: tuple[QuoteLine, ...]
    is_ceiling: bool

    @property
    def credits(self) -> Decimal:
        """The sum, in the provider's credits."""
        return sum((line.credits for line in self.lines), Decimal(0))

    @property
    def whole_credits(self) -> int:
        """What a person pays: rounded up once, on the sum, and never nothing."""
        return whole_credits(self.credits)


@dataclass(frozen=True, slots=True)
class _Given:
    """What a price is computed from."""

    inputs: Mapping[str, Any]
    """With the defaults of the schema."""
    measured: Measured


def whole_credits(cost: Decimal) -> int:
    """Return what a person pays for what costs something."""
    return max(1, int(cost.to_integral_value(ROUND_CEILING)))


def quote(
    price: OfferPrice,
    inputs: Mapping[str, JsonValue],
    *,
    defaults: Mapping[str, JsonValue],
    measured: Measured,
) -> Quote:
    """Return what inputs cost. Raises PriceUnknown, or LengthUnknown for media never measured.

    `defaults` are the schema's: the provider counts with them where a field is left out.
    """
    if price.unknown is not None:
        raise PriceUnknown(price.unknown)
    given = _Given({**defaults, **inputs}, measured)
    first, *others = price.parts
    if (quoted := _part(first, given)) is None:
        raise PriceUnknown("The provider names no price for these inputs.")
    # A surcharge that does not apply has no rate.
    surcharges = [found for part in others if (found := _part(part, given)) is not None]
    parts = (quoted, *surcharges)
    whole = Quote(parts, price.is_ceiling or any(line.is_ceiling for line in parts))
    if whole.credits > MAX_CREDITS:
        raise PriceUnknown(f"They would cost more than {MAX_CREDITS} credits.")
    return whole


def _part(part: PricePart, given: _Given) -> QuoteLine | None:
    """Return what a part comes to; None where no rate holds."""
    rate = next((each for each in part.rates if _holds(each, given)), None)
    if rate is None:
        return None
    amounts = [_amount(quantity, given) for quantity in part.quantities]
    number = prod((amount for amount, _ in amounts), start=Decimal(1))
    is_most = any(is_ceiling for _, is_ceiling in amounts)
    is_ceiling = rate.is_ceiling or is_most
    return QuoteLine(rate.credits, number, part.unit, rate.conditions, is_ceiling, is_most)


def _holds(rate: Rate, given: _Given) -> bool:
    return all(_is_met(condition, given.inputs) for condition in rate.conditions)


def _is_met(condition: Condition, inputs: Mapping[str, Any]) -> bool:
    if not condition.values:
        return (inputs.get(condition.field) not in (None, [])) is condition.is_present
    return inputs.get(condition.field) in condition.values


def _amount(quantity: Quantity, given: _Given) -> tuple[Decimal, bool]:
    """Return a quantity, and whether it is only a ceiling."""
    match quantity:
        case FieldQuantity():
            return _number(quantity, given.inputs)
        case ItemQuantity(field, beyond):
            return Decimal(max(0, len(given.inputs.get(field) or ()) - beyond)), False
        case SecondsQuantity():
            return _seconds(quantity, given), False
        case TextQuantity(path, per):
            return Decimal(_characters(path, given.inputs)) / per, False
        case SizeQuantity(field, megapixels):
            return megapixels[given.inputs[field]], False
        case FixedQuantity(number, is_ceiling):
            return number, is_ceiling


def _number(quantity: FieldQuantity, inputs: Mapping[str, Any]) -> tuple[Decimal, bool]:
    told = inputs.get(quantity.field, quantity.absent)
    number = None if told is None else Decimal(str(told))
    if quantity.at_most is not None and (number is None or number < 0):
        return quantity.at_most, True
    if number is None:
        raise PriceUnknown(f"The price follows {quantity.field}, which is left out.")
    if quantity.divided_by is None:
        return number, False
    divided = number / Decimal(str(inputs[quantity.divided_by]))
    return divided.to_integral_value(ROUND_CEILING), False


def _seconds(quantity: SecondsQuantity, given: _Given) -> Decimal:
    lengths = [_length(field, given) for field in quantity.fields]
    return max(lengths) if quantity.is_longest else sum(lengths, Decimal(0))


def _length(field: str, given: _Given) -> Decimal:
    """Return the seconds of all media of a field, each rounded up as the provider does."""
    told, seconds = given.inputs.get(field), given.measured.get(field, ())
    count = len(told) if isinstance(told, list) else int(told is not None)
    if len(seconds) != count:
        raise LengthUnknown(field)
    return sum((each.to_integral_value(ROUND_CEILING) for each in seconds), Decimal(0))


def _characters(path: str, inputs: Mapping[str, Any]) -> int:
    field, _, inner = path.partition("[].")
    if not inner:
        return len(inputs.get(field) or "")
    return sum(len(item.get(inner) or "") for item in inputs.get(field) or ())
