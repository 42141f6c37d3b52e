"""Reads KIE's word on how a model does: a day in stretches of ten minutes (kie-api.md §9)."""

from typing import Any

LATEST = 6
"""How many stretches are an hour."""


def normal_share_of(data: Any) -> float | None:
    """Return the share of the last hour that KIE calls normal; None without traffic.

    `isNormal` is KIE's own judgement; in which unit it tells rates is not documented.
    """
    if isinstance(data, dict):
        data = data.get("buckets") or data.get("list") or data.get("records")
    stretches = [each for each in data if isinstance(each, dict)] if isinstance(data, list) else []
    latest = sorted(stretches, key=lambda each: str(each.get("start", "")))[-LATEST:]
    told = [each["isNormal"] for each in latest if isinstance(each.get("isNormal"), bool)]
    return sum(told) / len(told) if told else None
