"""What must hold of each top-up, beside its transfers and what Telegram lists."""

from generation_svc.domain.ledger_audit import Rule
from generation_svc.storage.audit.query import Check, exists, statement_of

# In the order of an index, or the first that comes to hand is looked for in the whole table.
_LATER = "star.time > top_up.create_time + interval '1 hour' ORDER BY star.time DESC"
_IN_STARS = "star_transaction AS star WHERE star.bot_id = top_up.bot_id AND star.direction = 'in'"
TOP_UPS = statement_of(
    f"""
    SELECT top_up.*, moved.*, starred.*, row_number() OVER (ORDER BY id) AS place, id::text AS key,
        CASE state WHEN 'credited' THEN 0 ELSE credits END AS due_back,
        CASE WHEN currency = 'XTR' THEN amount ELSE 0 END AS due_stars,
        CASE WHEN currency = 'XTR' AND state IN ('refunded', 'charged_back') THEN amount ELSE 0 END
            AS due_stars_back,
        {exists(f"{_IN_STARS} AND {_LATER}")}
            AND NOT {exists(f"{_IN_STARS} AND star.id = top_up.external_id")} AS is_unseen
    FROM top_up LEFT JOIN LATERAL (
        SELECT coalesce(sum(amount) FILTER (WHERE kind IN ('top_up', 'debt_payment')), 0)
                AS credited,
            coalesce(sum(CASE WHEN target = 'exchange' THEN amount ELSE -amount END)
                FILTER (WHERE kind IN ('refund', 'chargeback')), 0) AS back
        FROM transfer WHERE currency = 'credit' AND transfer.cause = ANY (ARRAY(
            SELECT top_up.id::text UNION ALL
            SELECT top_up.id || '/' || number FROM generate_series(2, top_up.refund_count)
                AS number))
    ) AS moved ON true LEFT JOIN LATERAL (
        SELECT coalesce(sum(amount) FILTER (WHERE kind = 'stars_in' AND target = 'exchange'), 0)
                AS stars,
            coalesce(sum(amount) FILTER (WHERE kind = 'stars_out' AND source = 'exchange'), 0)
                AS stars_back
        FROM transfer WHERE transfer.cause = top_up.provider || '/' || top_up.external_id
            AND currency = 'xtr'
    ) AS starred ON true
    WHERE id > coalesce(%(after)s::uuid, '00000000-0000-0000-0000-000000000000')
    ORDER BY id LIMIT %(limit)s
    """,
    Check(
        Rule.TOP_UP,
        problem="format('%%s were bought and %%s were credited', credits, credited)",
        condition="credited <> credits",
    ),
    Check(
        Rule.REFUND,
        problem="format('it is %%s: %%s should be back, and %%s are', state, due_back, back)",
        condition="back <> due_back",
    ),
    Check(
        Rule.STARS,
        problem=(
            "format('it is %%s: of %%s Stars %%s came and %%s went back', state, due_stars, stars,"
            " stars_back)"
        ),
        condition="stars <> due_stars OR stars_back <> due_stars_back",
    ),
    Check(
        Rule.STAR_SEEN,
        problem="format('Telegram lists later payments and not this one, %%s', external_id)",
        # What was charged back has gone, whether it ever came or not.
        condition="is_unseen AND state NOT IN ('refunded', 'charged_back')",
    ),
)
"""The statement of a page of them."""
