"""What the sandbox KIE takes for a task, quantity by quantity."""

import pytest

from sandbox.kie.entry import Json, Price
from sandbox.kie.price import cost_of

SIZES = {"field": "image_size", "values": {"square": "0.25", "wide": "1.5"}}
QUANTITIES: list[tuple[Json, Json, float]] = [
    ({"field": "duration"}, {"duration": 5}, 10),
    ({"field": "duration"}, {"duration": "5"}, 10),
    ({"field": "duration"}, {"duration": "1.5s"}, 3),
    ({"field": "n", "absent": 1}, {}, 2),
    ({"field": "n", "absent": 1}, {"n": 4}, 8),
    ({"field": "duration", "at_most": 15}, {"duration": -1}, 6),
    ({"field": "duration", "at_most": 2}, {}, 4),
    ({"field": "frames", "divided_by": "fps"}, {"frames": 81, "fps": 16}, 12),
    ({"items": "images"}, {"images": ["a", "b"]}, 4),
    ({"items": "images", "beyond": 5}, {"images": ["a"]}, 0),
    ({"seconds_of": "video"}, {}, 14),
    ({"longest_of": ["video", "audio"]}, {}, 18),
    ({"characters": "text", "per": 1000}, {"text": "x" * 1500}, 3),
    ({"characters": "lines[].text"}, {"lines": [{"text": "ab"}, {"text": "c"}, {}]}, 6),
    ({"megapixels": SIZES}, {"image_size": "wide"}, 3),
    ({"constant": 6}, {}, 12),
    ({"at_most": 60}, {}, 6),
    ({"at_most": "0.5"}, {}, 0.5),
]


@pytest.mark.parametrize(("quantity", "fields", "cost"), QUANTITIES)
def test_a_rate_times_a_quantity(quantity: Json, fields: Json, cost: float) -> None:
    price = Price.model_validate({"parts": [{"rates": [{"credits": "2"}], "times": [quantity]}]})
    assert cost_of(price, fields, seconds={"video": 6.2, "audio": 9}) == cost


RATES = [
    {"when": {"mode": "pro", "sound": [True, "on"]}, "credits": "9"},
    {"when": {"video": {"present": True}}, "credits": "5"},
    {"when": {"mode": "std", "video": {"present": False}}, "credits": "3"},
]


@pytest.mark.parametrize(
    ("fields", "cost"),
    [
        ({"mode": "pro", "sound": "on"}, 9),
        ({"mode": "pro", "sound": True, "video": ["a"]}, 9),
        ({"mode": "pro", "sound": False, "video": ["a"]}, 5),
        ({"mode": "std", "video": []}, 3),
        ({"mode": "pro"}, 0),
    ],
)
def test_the_first_rate_whose_conditions_hold_counts(fields: Json, cost: float) -> None:
    price = Price.model_validate({"parts": [{"rates": RATES}]})
    assert cost_of(price, fields, seconds={}) == cost


def test_a_price_is_the_sum_of_its_parts() -> None:
    parts = [{"rates": [{"credits": "0.1"}]}, {"rates": [{"credits": "0.2"}], "times": []}]
    assert cost_of(Price.model_validate({"parts": parts}), {}, seconds={}) == 0.3
