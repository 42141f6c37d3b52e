"""What a quote is made of, in words, and the least that a model can cost."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest

from generation_svc.catalog import load_catalog
from generation_svc.catalog.example import example
from generation_svc.domain.price import Condition
from generation_svc.domain.price_bound import least_cost
from generation_svc.domain.quote import PriceUnknown, Quote, QuoteLine, quote, whole_credits
from generation_svc.domain.quote_text import quote_lines

CATALOG = load_catalog(has_unpaid=True)
MODEL = CATALOG.models["wan/2-7-text-to-video"]
PRICED = [each.id for each in CATALOG.offered if each.offer.price.unknown is None]


def line_of(amount: str, unit: str, *conditions: Condition, is_ceiling: bool = False) -> QuoteLine:
    return QuoteLine(Decimal(1), Decimal(amount), unit, conditions, is_ceiling)


def told(*lines: QuoteLine, language: str = "en", is_ceiling: bool = False) -> list[str]:
    quoted = Quote(lines, is_ceiling)
    return [*quote_lines(MODEL, quoted, inputs={}, language_code=language)]


@pytest.mark.parametrize(
    ("amount", "unit", "english", "russian"),
    [
        ("1", "image", "1 image", "1 изображение"),
        ("2", "image", "2 images", "2 изображения"),
        ("5", "image", "5 images", "5 изображений"),
        ("11", "second", "11 seconds", "11 секунд"),
        ("21", "second", "21 seconds", "21 секунда"),
        ("112", "second", "112 seconds", "112 секунд"),
        ("22", "second of input", "22 seconds of input", "22 секунды исходника"),
        ("1.048576", "megapixel", "1.05 megapixels", "1,05 мегапикселя"),
        ("1.234", "thousand characters", "1,234 characters", "1\xa0234 символа"),
        ("0.02", "thousand characters", "20 characters", "20 символов"),
        ("0.003", "million tokens", "3,000 tokens", "3\xa0000 токенов"),
    ],
)
def test_an_amount_is_told_as_people_count(
    amount: str, unit: str, english: str, russian: str
) -> None:
    assert told(line_of(amount, unit)) == [english]
    assert told(line_of(amount, unit), language="ru") == [russian]


def test_what_decided_on_the_rate_is_told_by_its_labels() -> None:
    line = line_of("8", "second", Condition("resolution", ("1080p",)), Condition("unknown", (1,)))
    quoted = Quote((line,), is_ceiling=False)
    (text,) = quote_lines(MODEL, quoted, inputs={"resolution": "1080p"}, language_code="ru")
    assert text == "8 секунд · Разрешение: 1080p"


def test_an_amount_that_is_a_ceiling_says_so() -> None:
    line = replace(line_of("8", "second", is_ceiling=True), is_most=True)
    assert told(line, is_ceiling=True) == ["at most 8 seconds"]
    assert told(line, language="ru", is_ceiling=True) == ["максимум 8 секунд"]


def test_a_price_that_is_a_ceiling_leaves_its_amounts_as_they_are() -> None:
    line = line_of("1", "video", is_ceiling=True)
    assert told(line, is_ceiling=True) == ["1 video"]
    assert told(line_of("1", "image"), language="ru", is_ceiling=True) == ["1 изображение"]


def test_a_surcharge_that_costs_nothing_is_left_out() -> None:
    free = replace(line_of("0", "image"), rate=Decimal(5))
    assert told(line_of("1", "video"), free) == ["1 video"]
    assert told(free) == ["0 images"]  # the base is always there


@pytest.mark.parametrize(
    ("cost", "paid"), [("0", 1), ("0.006", 1), ("1", 1), ("1.0001", 2), ("145", 145)]
)
def test_a_price_is_rounded_up_once(cost: str, paid: int) -> None:
    assert whole_credits(Decimal(cost)) == paid
    lines = (replace(line_of("1", "image"), rate=Decimal("0.4")),) * 3
    assert Quote(lines, is_ceiling=False).whole_credits == 2


@pytest.mark.parametrize("model_id", PRICED)
def test_nothing_costs_less_than_the_least(model_id: str) -> None:
    model = CATALOG.models[model_id]
    least = least_cost(model)
    assert least is not None
    for seed in range(8):
        inputs = example(model, Random(seed), share=seed / 7)
        assert inputs is not None
        given = {
            field: inputs[field] for field in inputs.keys() & {*model.offer.price.measured_fields}
        }
        measured = {
            field: [Decimal(1)] * (len(value) if isinstance(value, list) else 1)
            for field, value in given.items()
        }
        try:
            quoted = quote(model.offer.price, inputs, defaults=model.defaults, measured=measured)
        except PriceUnknown:
            assert model_id == "grok-imagine-video-1-5-preview"  # which has prices for some inputs
        else:
            assert quoted.credits >= least


def test_a_model_without_a_price_has_no_least() -> None:
    unpriced = next(each for each in CATALOG.offered if each.offer.price.unknown)
    assert least_cost(unpriced) is None
