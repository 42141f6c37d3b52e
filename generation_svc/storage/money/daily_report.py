"""Adds up transfers by day and model, in SQL: a range of the index by time, read once.

What a late cost gave back of a charge lowers the income of the day on which it came.
"""

from generation_svc.domain.daily_report import DailyLine
from generation_svc.domain.ledger import AccountKind, TransferKind
from generation_svc.storage.connection import Row

_COST = f"kind = '{TransferKind.PROVIDER_COST}'"

DAILY = f"""
SELECT (time AT TIME ZONE 'UTC')::date AS day,
    coalesce(detail ->> 'model_id', 'unknown') AS model_id,
    count(*) FILTER (WHERE kind = '{TransferKind.CAPTURE}') AS charged_count,
    coalesce(sum(CASE kind WHEN '{TransferKind.CAPTURE}' THEN amount ELSE -amount END)
        FILTER (WHERE kind <> '{TransferKind.PROVIDER_COST}'), 0)::bigint AS income,
    coalesce(sum(amount) FILTER (WHERE {_COST}), 0)::bigint AS cost,
    coalesce(sum(amount) FILTER (WHERE {_COST}
        AND target = '{AccountKind.LATE_RESULTS}'), 0)::bigint AS late_cost,
    coalesce(sum(amount) FILTER (WHERE {_COST}
        AND (detail ->> 'is_free')::boolean), 0)::bigint AS free_cost
FROM transfer
WHERE time >= %(start)s AND time < %(end)s
    AND (kind IN ('{TransferKind.CAPTURE}', '{TransferKind.PROVIDER_COST}')
        OR kind = '{TransferKind.RELEASE}' AND source = '{AccountKind.INCOME}')
GROUP BY 1, 2 ORDER BY 1, 2 LIMIT %(limit)s
"""
"""The lines of the days between two times."""


def daily_line(row: Row) -> DailyLine:
    """Read a line."""
    return DailyLine(
        day=row["day"],
        model_id=row["model_id"],
        charged_count=row["charged_count"],
        income=row["income"],
        cost_milli=row["cost"],
        late_cost_milli=row["late_cost"],
        free_cost_milli=row["free_cost"],
    )
