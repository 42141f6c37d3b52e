"""Documents of any price, and any inputs of theirs: a quote is a number or a named refusal."""

from __future__ import annotations

import json
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from generation_svc.catalog.price import parse_price
from generation_svc.catalog.price_check import price_problems
from generation_svc.domain.quote import MAX_CREDITS, LengthUnknown, PriceUnknown, Quote, quote

MODELS = Path(__file__).parents[2] / "models"
SCHEMA = json.loads((MODELS / "model.schema.json").read_text(encoding="utf-8"))
PRICE = Draft202012Validator({"$ref": "#/$defs/price", "$defs": SCHEMA["$defs"]})
NAMES = ("prompt", "number", "choice", "size", "flag", "list", "lines", "clip", "nobody")
CREDITS = st.sampled_from(["0", "0.8", "4", "12.5", "999999999", "0.0001"])
COUNT = st.integers(0, 5) | st.sampled_from([0.5, 2**53])
NUMBERS: st.SearchStrategy[list[Any]] = st.sampled_from(
    [["1", "2"], ["0", "5"], ["-1", "4"], ["high", "low"], [1, 2.5], ["1"]]
)
SIZES: st.SearchStrategy[list[Any]] = st.sampled_from(
    [["square", "wide"], ["square"], [1, "square"], []]
)
Json = dict[str, Any]


@st.composite
def properties(draw: st.DrawFn) -> Json:
    """Return a schema for each field that there may be, some with a default."""
    least, most = draw(st.integers(-3, 2)), draw(st.integers(3, 2**53))
    number: Json = {"type": draw(st.sampled_from(["integer", "number"]))}
    number |= draw(st.sampled_from([{}, {"minimum": least}, {"minimum": least, "maximum": most}]))
    sizes, values = draw(SIZES), draw(NUMBERS)
    line = {"type": "object", "properties": {"text": {"type": "string"}, "n": {"type": "integer"}}}
    made: Json = {
        "prompt": {"type": "string"},
        "number": number,
        "choice": {"type": "string", "enum": values},
        "size": {"type": "string", **({"enum": sizes} if sizes else {})},
        "flag": {"type": "boolean"},
        "list": {"type": "array", "items": {"type": "string"}},
        "lines": {"type": "array", "items": line},
        "clip": {"type": "string"},
    }
    defaults: Json = {"number": 3, "choice": values[0], "size": "square", "flag": True}
    for name in draw(st.sets(st.sampled_from(sorted(defaults)))):
        made[name]["default"] = defaults[name]
    return made


def quantities() -> st.SearchStrategy[Json]:
    field = st.sampled_from(NAMES)
    number = st.fixed_dictionaries(
        {"field": field}, optional={"absent": COUNT, "at_most": COUNT, "divided_by": field}
    )
    path = st.sampled_from(["prompt", "number", "lines[].text", "lines[].n", "list[].text", "flag"])
    sizes = st.dictionaries(st.sampled_from(["square", "wide"]), CREDITS, min_size=1)
    return st.one_of(
        number,
        st.fixed_dictionaries({"items": field}, optional={"beyond": st.integers(1, 3)}),
        st.fixed_dictionaries({"seconds_of": field}),
        st.fixed_dictionaries({"longest_of": st.lists(field, min_size=2, max_size=3)}),
        st.fixed_dictionaries({"characters": path}, optional={"per": st.integers(1, 1000)}),
        st.fixed_dictionaries(
            {"megapixels": st.fixed_dictionaries({"field": field, "values": sizes})}
        ),
        st.fixed_dictionaries({"constant": COUNT}),
        st.fixed_dictionaries({"at_most": COUNT | CREDITS}),
    )


def prices() -> st.SearchStrategy[Json]:
    wanted = st.sampled_from(["1", "square", True, 2, ["1", "2"], {"present": True}])
    when = st.dictionaries(st.sampled_from(NAMES), wanted, min_size=1, max_size=2)
    rate = st.fixed_dictionaries({"credits": CREDITS}, optional={"when": when})
    part = st.fixed_dictionaries(
        {
            "rates": st.lists(rate, min_size=1, max_size=2),
            "times": st.lists(quantities(), max_size=2),
            "unit": st.sampled_from(["image", "second", "megapixel"]),
        }
    )
    return st.fixed_dictionaries(
        {"parts": st.lists(part, min_size=1, max_size=2)},
        optional={"is_ceiling": st.booleans(), "partial": st.just("some inputs have none")},
    )


@st.composite
def entries(draw: st.DrawFn) -> Json:
    fields = draw(properties())
    required = draw(st.sets(st.sampled_from(sorted(fields))))
    return {
        "input_schema": {"required": sorted(required), "properties": fields},
        "media_inputs": [{"name": "clip", "kind": "video"}],
        "offers": [{"price": draw(prices())}],
    }


def value_of(name: str, rule: Json) -> st.SearchStrategy[Any]:
    if "enum" in rule:
        return st.sampled_from(rule["enum"])
    if rule["type"] in ("integer", "number"):
        least, most = rule.get("minimum", -(2**53)), rule.get("maximum", 2**53)
        whole = st.integers(least, most)
        if rule["type"] == "integer":
            return whole
        return whole | st.floats(least, most, allow_nan=False)
    lines = st.fixed_dictionaries({}, optional={"text": st.text(max_size=9), "n": st.integers()})
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "boolean": st.booleans(),
        "array": st.lists(lines if name == "lines" else st.text(max_size=3), max_size=4),
        "string": st.text(max_size=40),
    }
    return kinds[rule["type"]]


@st.composite
def documents_and_inputs(draw: st.DrawFn) -> tuple[Json, Json]:
    entry = draw(entries())
    fields, required = entry["input_schema"]["properties"], entry["input_schema"]["required"]
    given_ones = {*required, *draw(st.sets(st.sampled_from(sorted(fields))))}
    return entry, {name: draw(value_of(name, fields[name])) for name in sorted(given_ones)}


def quoted(entry: Json, inputs: Json) -> Quote:
    fields = entry["input_schema"]["properties"].items()
    defaults = {name: rule["default"] for name, rule in fields if "default" in rule}
    price = parse_price(entry["offers"][0]["price"])
    measured = {"clip": [Decimal("3.2")]} if "clip" in inputs else {}
    return quote(price, inputs, defaults=defaults, measured=measured)


def quote_or_none(entry: Json, inputs: Json) -> Quote | None:
    """Return a quote, or None where it is refused by name; another fault is the test's."""
    try:
        return quoted(entry, inputs)
    except (PriceUnknown, LengthUnknown):
        return None


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(documents_and_inputs())
def test_a_document_that_is_taken_is_quoted_or_refused_by_name(made: tuple[Json, Json]) -> None:
    entry, inputs = made
    assert PRICE.is_valid(entry["offers"][0]["price"])
    assume(not list(price_problems(entry)))
    told = quote_or_none(entry, inputs)
    if told is None:
        return
    assert told.credits.is_finite()
    assert 0 <= told.credits <= MAX_CREDITS
    assert told.credits <= told.whole_credits


ENTRY: Json = {
    "input_schema": {
        "required": ["prompt"],
        "properties": {
            "prompt": {"type": "string"},
            "size": {"type": "string", "enum": ["square", "wide"]},
            "number": {"type": "integer"},
            "word": {"type": "string", "enum": ["high", "2"]},
            "list": {"type": "array", "items": {"type": "string"}},
        },
    },
    "offers": [{"price": {"parts": [{"rates": [{"credits": "4"}], "unit": "image"}]}}],
}
SQUARES = {"field": "size", "values": {"square": "1", "wide": "2"}}


@pytest.mark.parametrize(
    ("quantity", "named"),
    [
        ({"megapixels": SQUARES}, "the megapixels of size, which may be left out"),
        ({"field": "number", "absent": 1}, "number, which may be below 0"),
        ({"field": "word", "absent": 1}, "word, which is no number"),
        ({"field": "prompt"}, "prompt, which is no number"),
        ({"field": "number", "at_most": 3, "divided_by": "list"}, "list, which is no number"),
        ({"field": "number", "at_most": 3, "divided_by": "number"}, "number, which may be left"),
        ({"items": "prompt"}, "the items of prompt, which is no list"),
        ({"characters": "number"}, "the characters of number, which is no text"),
        ({"characters": "list[].text"}, "the characters of list[].text, which is no text"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_what_cannot_be_counted_is_refused_with_its_field(quantity: Json, named: str) -> None:
    entry = deepcopy(ENTRY)
    entry["offers"][0]["price"]["parts"][0]["times"] = [quantity]
    assert any(named in problem for problem in price_problems(entry)), [*price_problems(entry)]


def test_inputs_that_cost_more_than_anybody_can_pay_are_refused_by_name() -> None:
    entry = deepcopy(ENTRY)
    entry["input_schema"]["properties"]["number"] = {"type": "integer", "minimum": 1}
    entry["input_schema"]["required"].append("number")
    entry["offers"][0]["price"]["parts"][0]["times"] = [{"field": "number"}]
    assert not list(price_problems(entry))
    assert quoted(entry, {"prompt": "a", "number": 5}).credits == 20
    with pytest.raises(PriceUnknown, match="more than"):
        quoted(entry, {"prompt": "a", "number": 2**53})
