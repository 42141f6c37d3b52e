"""Converts the price of an offer to the domain's value."""

from decimal import Decimal
from typing import Any

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


def parse_price(data: dict[str, Any]) -> OfferPrice:
    """Return the price of an offer that keeps model.schema.json."""
    if "unknown" in data:
        return OfferPrice(parts=(), unknown=data["unknown"])
    return OfferPrice(
        parts=tuple(_part(each) for each in data["parts"]),
        is_ceiling=data.get("is_ceiling", False),
    )


def _part(data: dict[str, Any]) -> PricePart:
    return PricePart(
        rates=tuple(_rate(each) for each in data["rates"]),
        quantities=tuple(_quantity(each) for each in data["times"]),
        unit=data["unit"],
    )


def _rate(data: dict[str, Any]) -> Rate:
    conditions = tuple(_condition(*each) for each in data.get("when", {}).items())
    return Rate(conditions, Decimal(data["credits"]), data.get("is_ceiling", False))


def _condition(field: str, wanted: Any) -> Condition:
    if isinstance(wanted, dict):
        return Condition(field, is_present=wanted["present"])
    return Condition(field, tuple(wanted) if isinstance(wanted, list) else (wanted,))


def _quantity(data: dict[str, Any]) -> Quantity:
    match data:
        case {"field": field}:
            absent, most = _decimal(data.get("absent")), _decimal(data.get("at_most"))
            return FieldQuantity(field, absent, most, data.get("divided_by"))
        case {"items": field}:
            return ItemQuantity(field, data.get("beyond", 0))
        case {"seconds_of": field}:
            return SecondsQuantity((field,))
        case {"longest_of": fields}:
            return SecondsQuantity(tuple(fields), is_longest=True)
        case {"characters": path}:
            return TextQuantity(path, data.get("per", 1))
        case {"megapixels": {"field": field, "values": values}}:
            return SizeQuantity(field, {name: Decimal(each) for name, each in values.items()})
        case _:
            number = data.get("constant", data.get("at_most"))
            return FixedQuantity(Decimal(str(number)), is_ceiling="at_most" in data)


def _decimal(number: float | None) -> Decimal | None:
    return None if number is None else Decimal(str(number))
