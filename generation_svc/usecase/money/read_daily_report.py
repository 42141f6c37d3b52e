"""Reads what models brought and cost, day by day."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from generation_svc.domain.daily_report import DailyLine
from generation_svc.domain.error import FieldViolation, InvalidInputs
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.usecase.money.permission import check_money

MAX_LINES = 20_000
"""How long a report may be."""


async def read_daily_report(
    deps: Dependencies, *, first_day: date, last_day: date
) -> Sequence[DailyLine]:
    """Return the lines of some days of UTC, by day and model.

    Raises MoneyOff, and InvalidInputs for days that have too many lines.
    """
    check_money(deps)
    start, end = _midnight(first_day), _midnight(last_day) + timedelta(days=1)
    lines = await deps.database.read(
        lambda tx: tx.ledger.daily_lines(start=start, end=end, limit=MAX_LINES + 1)
    )
    if len(lines) > MAX_LINES:
        words = f"More than {MAX_LINES} lines. Ask for fewer days."
        raise InvalidInputs((FieldViolation("last_day", words),))
    return lines


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)
