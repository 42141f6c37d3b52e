"""What must hold of each transaction in Stars that is matched with what was booked."""

from generation_svc.domain.ledger_audit import Rule
from generation_svc.domain.star import NANO
from generation_svc.domain.top_up import TELEGRAM_STARS
from generation_svc.storage.audit.query import Check, statement_of


def _number(path: str) -> str:
    """Return a number of a document; nothing for what is none."""
    return f"CASE jsonb_typeof({path}) WHEN 'number' THEN ({path})::numeric ELSE 0 END"


# An affiliate's share is a part of what the user paid, and never comes to the bot.
_SHARE = f"""abs({_number("side -> 'affiliate' -> 'amount'")} * {NANO}
            + {_number("side -> 'affiliate' -> 'nanostar_amount'")})"""
"""In nanostars, of a transaction whose other side is the document `side`."""
STARS = statement_of(
    f"""
    SELECT star.*, row_number() OVER (ORDER BY bot_id, id, direction) AS place,
        jsonb_build_array(bot_id, id, direction)::text AS key, paid.*,
        (amount::numeric * {NANO} + nano + {_SHARE}) / {NANO} AS whole_amount
    FROM star_transaction AS star LEFT JOIN LATERAL (
        SELECT top_up.amount AS paid_amount, top_up.state AS paid_state FROM top_up
        WHERE top_up.provider = '{TELEGRAM_STARS}' AND top_up.external_id = star.id
            AND top_up.bot_id = star.bot_id AND top_up.currency = 'XTR' LIMIT 1) AS paid ON true,
        LATERAL (SELECT CASE direction WHEN 'in' THEN document -> 'source'
            ELSE document -> 'receiver' END AS side) AS other
    WHERE %(after)s::jsonb IS NULL OR (bot_id, id, direction) > (
        (%(after)s::jsonb->>0)::bigint, %(after)s::jsonb->>1, %(after)s::jsonb->>2)
    ORDER BY bot_id, id, direction LIMIT %(limit)s
    """,
    Check(
        Rule.STAR,
        subject="id",
        problem=(
            "format('%%s Stars went %%s and are matched; what was booked is %%s, %%s',"
            " trim_scale(whole_amount), direction, coalesce(paid_amount::text, 'nothing'),"
            " coalesce(paid_state, 'unknown'))"
        ),
        condition=(
            "state = 'matched' AND (paid_amount IS DISTINCT FROM whole_amount"
            " OR direction = 'out' AND paid_state = 'credited')"
        ),
    ),
)
"""The statement of a page of them."""
