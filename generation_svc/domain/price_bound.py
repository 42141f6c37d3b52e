"""The least that any inputs of a model can cost."""

from collections.abc import Mapping
from decimal import Decimal
from math import prod

from generation_svc.domain.model import Model
from generation_svc.domain.price import (
    FieldQuantity,
    FixedQuantity,
    ItemQuantity,
    PricePart,
    Quantity,
    SecondsQuantity,
    SizeQuantity,
    TextQuantity,
)
from generation_svc.domain.schema import JsonSchema

_ONE = Decimal(1)


def least_cost(model: Model) -> Decimal | None:
    """Return the least in the provider's credits; None for a model without a price.

    It is a bound: the rules of the inputs may keep the cheapest values of two fields apart.
    """
    price = model.offer.price
    if price.unknown is not None:
        return None
    base, *surcharges = price.parts
    # A surcharge whose rates all have conditions may not apply at all.
    certain = [part for part in surcharges if any(not rate.conditions for rate in part.rates)]
    return sum((_least_of(part, model.properties) for part in (base, *certain)), Decimal(0))


def _least_of(part: PricePart, schemas: Mapping[str, JsonSchema]) -> Decimal:
    rate = min(rate.credits for rate in part.rates)
    return prod((_least(quantity, schemas) for quantity in part.quantities), start=rate)


def _least(quantity: Quantity, schemas: Mapping[str, JsonSchema]) -> Decimal:
    match quantity:
        case FieldQuantity():
            return _least_number(quantity, schemas.get(quantity.field, {}))
        case ItemQuantity(field, beyond):
            return Decimal(max(0, schemas[field].get("minItems", 0) - beyond))
        case SecondsQuantity():
            return _ONE
        case TextQuantity(_, per):
            return _ONE / per
        case SizeQuantity(_, megapixels):
            return min(megapixels.values())
        case FixedQuantity(number, _):
            return number


def _least_number(quantity: FieldQuantity, schema: JsonSchema) -> Decimal:
    told = [*schema.get("enum", ()), schema.get("minimum"), schema.get("default"), quantity.absent]
    numbers = [Decimal(str(each)) for each in told if each is not None]
    positive = [number for number in numbers if number > 0]  # below it, the model decides itself
    return min(positive, default=_ONE) if quantity.divided_by is None else _ONE
