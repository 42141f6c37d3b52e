"""Finds prices that are far from those of the same purpose and unit: mostly a misplaced point."""

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from statistics import median
from typing import Any

FAR = 40
"""How many times above or below the median a rate is absurd."""
_FEWEST = 4
"""How many prices a group needs before its median says something."""


def odd_prices(entries: list[dict[str, Any]]) -> Iterator[str]:
    """Yield a sentence for each rate that its group makes absurd."""
    groups: dict[tuple[str, str], list[tuple[str, Decimal]]] = defaultdict(list)
    for entry in entries:
        for unit, rate in _rates(entry):
            if rate:
                groups[entry["purpose"], unit].append((entry["id"], rate))
    for (purpose, unit), rates in groups.items():
        if len(rates) >= _FEWEST:
            yield from _outliers(rates, what=f"{purpose} per {unit}")


def _rates(entry: dict[str, Any]) -> Iterator[tuple[str, Decimal]]:
    for offer in entry["offers"]:
        for part in offer["price"].get("parts", ())[:1]:
            for rate in part["rates"]:
                yield part["unit"], Decimal(rate["credits"])


def _outliers(rates: list[tuple[str, Decimal]], *, what: str) -> Iterator[str]:
    usual = median(rate for _, rate in rates)
    for model_id, rate in rates:
        if not usual / FAR <= rate <= usual * FAR:
            yield f"{model_id}: {rate} credits are absurd, {what} costs {usual} as a rule"
