"""Turns what KIE says of a model's price into rates of a document, as far as that needs no guess.

Seen are one record, a list of them, and a list under a name; each has `creditPrice`, `creditUnit`
and at most conditions under `when`, by KIE's names of fields (kie-api.md §9). It is unproved, as
all that is read from KIE's own descriptions.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from generation_svc.provider.kie.openapi import Unreadable

_Json = dict[str, Any]
_LISTS = ("prices", "list", "records")
_PLAIN = ("image", "video", "generation", "request")
"""The units of which a task has one, unless a field of it says otherwise."""
_COUNT = re.compile(r"^n$|count|^num|number|quantity|batch|max_(images|videos)")


@dataclass(frozen=True, slots=True)
class PriceRow:
    """One rate, as KIE tells it."""

    credits: str
    """A plain decimal."""
    unit: str
    when: Mapping[str, Any]

    @property
    def key(self) -> str:
        """What it is a rate of."""
        return json.dumps([self.unit, self.when], sort_keys=True)

    def __str__(self) -> str:
        when = ", ".join(f"{name} {json.dumps(value)}" for name, value in self.when.items())
        return f"per {self.unit}{f' ({when})' if when else ''}"


def price_rows(price: object) -> list[PriceRow]:
    """Return the rates that KIE tells. Raises Unreadable, in words that name what is in the way."""
    note = ""
    if isinstance(price, dict) and "creditPrice" not in price:
        note = str(price.get("note") or "")
        price = next((price[name] for name in _LISTS if name in price), None)
    records = price if isinstance(price, list) else [price] if price else []
    rows = [_row(each) for each in records]
    if not rows:
        raise Unreadable(f"KIE tells no price{f': {note}' if note else ''}"[:200])
    if len({row.key for row in rows}) < len(rows):
        raise Unreadable("KIE tells several prices in words; a person has to say which is when")
    return rows


def _row(record: object) -> PriceRow:
    if not isinstance(record, dict):
        raise Unreadable("KIE's price is no record")
    try:
        number = Decimal(str(record.get("creditPrice")))
    except InvalidOperation as error:
        raise Unreadable("KIE tells no number of credits") from error
    if not number.is_finite() or number < 0:
        raise Unreadable("KIE tells no number of credits")
    when = record.get("when") or {}
    if not isinstance(when, dict):
        raise Unreadable("KIE's conditions of a price are no object")
    unit = re.sub(r"^per\s+", "", str(record.get("creditUnit", "")).strip().lower())
    return PriceRow(f"{number.normalize():f}", unit, when)


def new_price(price: object, *, names: Mapping[str, str], properties: _Json) -> _Json:
    """Return the price of a model that nobody has heard of; where it needs a guess, why.

    `names` are ours by KIE's.
    """
    try:
        rows = price_rows(price)
        if odd := next((row.unit for row in rows if row.unit not in _PLAIN), None):
            raise Unreadable(f"KIE counts by {odd!r}, which needs a person")
        if len({row.unit for row in rows}) > 1:
            raise Unreadable("KIE counts by several units, which needs a person")
        if any(not row.when for row in rows[:-1]):
            raise Unreadable("KIE tells rates after one that always holds, which needs a person")
        if counting := _counting_field(rows[0].unit, properties):
            raise Unreadable(f"{counting}: may say how many a task makes, which needs a person")
        rates = [_rate(row, names=names, properties=properties) for row in rows]
    except Unreadable as error:
        return {"unknown": str(error)[:200]}
    return {"parts": [{"rates": rates, "times": [], "unit": rows[0].unit}]}


def _counting_field(unit: str, properties: _Json) -> str | None:
    """Return a field that may multiply what is counted by the piece."""
    found = (name for name in properties if _COUNT.search(name))
    return next(found, None) if unit in ("image", "video") else None


def _rate(row: PriceRow, *, names: Mapping[str, str], properties: _Json) -> _Json:
    when = {}
    for theirs, wanted in row.when.items():
        ours = names.get(theirs, theirs)
        rule = properties.get(ours)
        values = wanted if isinstance(wanted, list) else [wanted]
        allowed = _values_of(rule) if rule else ()
        if any(value not in allowed for value in values):
            raise Unreadable(f"{theirs}: a price depends on {json.dumps(wanted)}, not mapped")
        when[ours] = wanted
    return {**({"when": when} if when else {}), "credits": row.credits}


def _values_of(rule: _Json) -> list[Any]:
    return [True, False] if rule.get("type") == "boolean" else [*rule.get("enum", ())]


@dataclass(frozen=True, slots=True)
class RenewedPrice:
    """What became of the price of a document."""

    moved: tuple[str, ...] = ()
    """Each rate that moved, old and new, per unit."""
    problems: tuple[str, ...] = ()


def renew_price(offer: _Json, price: object) -> RenewedPrice:
    """Bring the rates of an offer up to what KIE tells, if each of KIE's rates is one of them."""
    known = [*_known_rows(offer)]
    try:
        told = price_rows(price)
    except Unreadable as error:
        # Nothing moved where neither side has a price.
        return RenewedPrice(problems=(f"price: {error}",) if known else ())
    new = {row.key: row for row in told}
    ours = {row.key for row, _ in known}
    strange = [row for key, row in new.items() if key not in ours]
    left = [row for row, _ in known if row.key not in new]
    if len(ours) < len(known):
        return RenewedPrice(problems=("price: two rates of the document look the same at KIE",))
    if strange or left:
        # Nothing is taken over of a price whose form changed: the parts belong together.
        return RenewedPrice(problems=(*_unknown_to(strange), *_told_no_more(left)))
    return RenewedPrice(moved=tuple(_move(known, new)))


def _unknown_to(rows: list[PriceRow]) -> Iterator[str]:
    for row in rows:
        yield f"price: KIE tells {row.credits} credits {row}, and the document has no such rate"


def _told_no_more(rows: list[PriceRow]) -> Iterator[str]:
    for row in rows:
        yield f"price: KIE tells none {row}, and the document has {row.credits} credits"


def _move(known: list[tuple[PriceRow, _Json]], new: Mapping[str, PriceRow]) -> Iterator[str]:
    """Set each rate to what is told of it."""
    for row, rate in known:
        credits_ = new[row.key].credits
        if Decimal(credits_) != Decimal(row.credits):
            rate["credits"] = credits_
            yield f"{row.credits} -> {credits_} credits {row}"


def _known_rows(offer: _Json) -> Iterator[tuple[PriceRow, _Json]]:
    """Yield the rates of a document as KIE would tell them, each with its place."""
    names = offer["fields"]
    for part in offer["price"].get("parts", ()):
        for rate in part["rates"]:
            when = {names.get(name, name): value for name, value in rate.get("when", {}).items()}
            yield PriceRow(rate["credits"], part["unit"], when), rate
