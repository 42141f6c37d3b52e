"""Computes what inputs cost at an offer's price."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
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
    whole = {**defaults, **inputs}
    quoted = [
        found
        for number, part in enumerate(price.parts)
        if (found := _part(part, whole, measured, is_first=number == 0)) is not None
    ]
    return Quote(
        lines=tuple(line for line, _ in quoted),
        is_ceiling=price.is_ceiling or any(is_ceiling for _, is_ceiling in quoted),
    )


def _part(
    part: PricePart, inputs: Mapping[str, Any], measured: Measured, *, is_first: bool
) -> tuple[QuoteLine, bool] | None:
    rate = next((each for each in part.rates if _holds(each, inputs)), None)
    if rate is None:
        if is_first:
            raise PriceUnknown("The provider names no price for these inputs.")
        return None  # a surcharge that does not apply
    amounts = [_amount(quantity, inputs, measured) for quantity in part.quantities]
    number = Decimal(1)
    for amount, _ in amounts:
        number *= amount
    is_ceiling = rate.is_ceiling or any(is_most for _, is_most in amounts)
    return QuoteLine(rate.credits, number, part.unit), is_ceiling


def _holds(rate: Rate, inputs: Mapping[str, Any]) -> bool:
    return all(_is_met(condition, inputs) for condition in rate.conditions)


def _is_met(condition: Condition, inputs: Mapping[str, Any]) -> bool:
    if not condition.values:
        return bool(inputs.get(condition.field) not in (None, [])) is condition.is_present
    return inputs.get(condition.field) in condition.values


def _amount(
    quantity: Quantity, inputs: Mapping[str, Any], measured: Measured
) -> tuple[Decimal, bool]:
    """Return a quantity, and whether it is only a ceiling."""
    match quantity:
        case FieldQuantity():
            return _number(quantity, inputs)
        case ItemQuantity(field, beyond):
            return Decimal(max(0, len(inputs.get(field) or ()) - beyond)), False
        case SecondsQuantity():
            return _seconds(quantity, inputs, measured), False
        case TextQuantity(path, per):
            return Decimal(_characters(path, inputs)) / per, False
        case SizeQuantity(field, megapixels):
            return megapixels[inputs[field]], False
        case FixedQuantity(number, is_ceiling):
            return number, is_ceiling


def _number(quantity: FieldQuantity, inputs: Mapping[str, Any]) -> tuple[Decimal, bool]:
    given = inputs.get(quantity.field, quantity.absent)
    number = None if given is None else Decimal(str(given))
    if quantity.at_most is not None and (number is None or number < 0):
        return quantity.at_most, True
    if number is None:
        raise PriceUnknown(f"The price follows {quantity.field}, which is left out.")
    if quantity.divided_by is None:
        return number, False
    divided = number / Decimal(str(inputs[quantity.divided_by]))
    return divided.to_integral_value(ROUND_CEILING), False


def _seconds(quantity: SecondsQuantity, inputs: Mapping[str, Any], measured: Measured) -> Decimal:
    lengths = [_length(field, inputs, measured) for field in quantity.fields]
    return max(lengths) if quantity.is_longest else sum(lengths, Decimal(0))


def _length(field: str, inputs: Mapping[str, Any], measured: Measured) -> Decimal:
    given = inputs.get(field)
    count = len(given) if isinstance(given, list) else int(given is not None)
    if len(measured.get(field, ())) != count:
        raise LengthUnknown(field)
    seconds = measured.get(field, ())
    return sum((each.to_integral_value(ROUND_CEILING) for each in seconds), Decimal(0))


def _characters(path: str, inputs: Mapping[str, Any]) -> int:
    field, _, inner = path.partition("[].")
    if not inner:
        return len(inputs.get(field) or "")
    return sum(len(item.get(inner) or "") for item in inputs.get(field) or ())
