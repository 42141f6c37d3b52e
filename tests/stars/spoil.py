"""Exchanges that are not of Telegram's shape, to see that the models notice."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tests.stars.exchange import Exchange

Spoil = Callable[[Any], None]
NEEDED: dict[str, tuple[str, ...]] = {
    "invoice": ("title", "description", "start_parameter", "currency", "total_amount"),
    "pre_checkout_query": ("id", "from", "currency", "total_amount", "invoice_payload"),
    "successful_payment": (
        "currency",
        "total_amount",
        "invoice_payload",
        "telegram_payment_charge_id",
        "provider_payment_charge_id",
    ),
    "refunded_payment": ("total_amount", "invoice_payload", "telegram_payment_charge_id"),
    "source": ("type",),
    "receiver": ("type",),
}
"""The objects of the answers, and the fields that each of them cannot lack."""


def spoiled(exchanges: list[Exchange]) -> Iterator[Exchange]:
    """Yield copies in which a call or an answer has a field too many or one too few."""
    for one in exchanges:
        params = {**one.params, "surprise": 1}
        yield replace(one, params=params, fits=False, about="an unknown parameter")
        for name, needed in NEEDED.items():
            if _found(one.answer, name):
                yield _changed(one, name, about=f"{name} with a surprise", spoil=_add)
                for field in needed:
                    yield _changed(one, name, about=f"{name} without {field}", spoil=_drop(field))


def _changed(one: Exchange, name: str, *, about: str, spoil: Spoil) -> Exchange:
    answer = copy.deepcopy(one.answer)
    for found in _found(answer, name):
        spoil(found)
    return replace(one, answer=answer, fits=False, about=about)


def _add(found: dict[str, Any]) -> None:
    found["surprise"] = 1


def _drop(field: str) -> Spoil:
    return lambda found: found.pop(field)


def _found(value: Any, name: str) -> list[dict[str, Any]]:
    """Return every object of this name at any depth."""
    children: list[Any] = []
    if isinstance(value, dict):
        here = [value[name]] if isinstance(value.get(name), dict) else []
        children = list(value.values())
    else:
        here = []
        children = value if isinstance(value, list) else []
    return here + [found for child in children for found in _found(child, name)]
