"""What must hold of each receipt: its number follows, and there is what it is for."""

from generation_svc.domain.ledger_audit import Rule
from generation_svc.storage.audit.query import Check, exists, statement_of

_EARLIER = (
    "receipt AS earlier WHERE earlier.series = receipt.series"
    " AND earlier.number = receipt.number - 1"
)
_RECEIPT_CAUSE = (
    "top_up WHERE top_up.id = receipt.cause"
    " AND (receipt.kind = 'top_up' OR top_up.state IN ('refunded', 'charged_back'))"
)
RECEIPTS = statement_of(
    f"""
    SELECT receipt.*, row_number() OVER (ORDER BY series, number) AS place,
        ((series::bigint << 40) + number)::text AS key,
        number = 1 OR {exists(_EARLIER)} AS follows, {exists(_RECEIPT_CAUSE)} AS is_caused
    FROM receipt WHERE (series, number) > (
        (coalesce(%(after)s::bigint, 0) >> 40)::int,
        coalesce(%(after)s::bigint, 0) & ((1::bigint << 40) - 1))
    ORDER BY series, number LIMIT %(limit)s
    """,
    Check(
        Rule.RECEIPT,
        subject="format('%%s-%%s', series, number)",
        problem="format('there is no number %%s before it', number - 1)",
        condition="NOT follows",
    ),
    Check(
        Rule.RECEIPT_CAUSE,
        subject="format('%%s-%%s', series, number)",
        problem=(
            "format('there is no %%s %%s that it could be for', replace(kind, '_', '-'), cause)"
        ),
        condition="NOT is_caused",
    ),
)
"""The statement of a page of them."""
