"""Checks rules that compare fields, and says what would be right."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from generation_svc.catalog.value import shown
from generation_svc.domain.input_check import DifferenceCheck, ItemCheck, SameJobCheck
from generation_svc.domain.media_input import field_of, holders, parse_reference
from generation_svc.domain.model import Model
from generation_svc.domain.schema import JsonObject, Steps

_Found = Iterator[tuple[Steps, str]]


def broken_checks(model: Model, given: JsonObject) -> _Found:
    """Yield each place that breaks a check of the model, and what would be right there."""
    for check in model.checks:
        match check:
            case DifferenceCheck():
                yield from _difference(check, given, defaults=model.defaults)
            case ItemCheck():
                yield from _item(check, given)
            case SameJobCheck():
                yield from _same_job(check, given)


def _difference(
    check: DifferenceCheck, given: JsonObject, *, defaults: Mapping[str, Any]
) -> _Found:
    within = f"{check.holder}[].x" if check.holder else "x"
    known = {} if check.holder else defaults
    for steps, holder in holders(given, within):
        start, end = (holder.get(name, known.get(name)) for name in (check.start, check.end))
        if not (_is_number(start) and _is_number(end)):
            continue
        # As decimals: 20.3 - 10.3 is 10.000000000000002 in binary.
        if not _is_within(check, Decimal(str(end)) - Decimal(str(start))):
            name = check.end if check.end in holder else check.start
            yield (*steps, name), _difference_words(check, start=start, end=end)


def _is_within(check: DifferenceCheck, between: Decimal) -> bool:
    least, most = check.at_least, check.at_most
    is_enough = between >= Decimal(str(least)) if least is not None else between > 0
    return is_enough and (most is None or between <= Decimal(str(most)))


def _difference_words(check: DifferenceCheck, *, start: Any, end: Any) -> str:
    numbers = f"here {check.start} is {shown(start)} and {check.end} is {shown(end)}"
    return f"{check.end} must be {_distance_words(check)}; {numbers}."


def _distance_words(check: DifferenceCheck) -> str:
    most = f"at most {check.at_most:g}" if check.at_most is not None else ""
    if check.at_least is None:
        return f"above {check.start}" + (f", by {most}" if most else "")
    least = f"at least {check.at_least:g}"
    return f"{' and '.join(filter(None, (least, most)))} above {check.start}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _item(check: ItemCheck, given: JsonObject) -> _Found:
    allowed = [value for _, value in _values(given, check.of)]
    for steps, value in _values(given, check.each):
        if value not in allowed:
            known = ", ".join(dict.fromkeys(shown(each) for each in allowed))
            yield steps, f"Must be one that {check.of} names: {known or 'there are none'}."


def _values(given: JsonObject, path: str) -> Iterator[tuple[Steps, Any]]:
    field = field_of(path)
    for steps, holder in holders(given, path):
        if field in holder:
            yield (*steps, field), holder[field]


def _same_job(check: SameJobCheck, given: JsonObject) -> _Found:
    one, other = (_job_of(given.get(name)) for name in (check.each, check.other))
    if one is not None and other is not None and one != other:
        yield (check.each,), f"Must be of the job that {check.other} names."


def _job_of(value: Any) -> object:
    reference = parse_reference(value) if isinstance(value, str) else None
    return reference.job_id if reference else None
