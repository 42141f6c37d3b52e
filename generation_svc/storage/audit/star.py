"""What must hold of each transaction in Stars, beside what was booked of it."""

from generation_svc.domain.ledger_audit import Rule
from generation_svc.domain.star import INVOICE, NANO
from generation_svc.domain.top_up import TELEGRAM_STARS
from generation_svc.storage.audit.query import Check, exists, statement_of


def _number(path: str) -> str:
    """Return a number of a document; nothing for what is none."""
    return f"CASE jsonb_typeof({path}) WHEN 'number' THEN ({path})::numeric ELSE 0 END"


# An affiliate's share is a part of what the user paid, and never comes to the bot.
_SHARE = f"""abs({_number("side -> 'affiliate' -> 'amount'")} * {NANO}
            + {_number("side -> 'affiliate' -> 'nanostar_amount'")})"""
"""In nanostars, of a transaction whose other side is the document `side`."""
_IS_INVOICE = f"star.partner = 'user' AND star.transaction_type = '{INVOICE}'"
_OF_PAYMENT = f"'{TELEGRAM_STARS}/' || star.id"
_MOVED = f"""
    SELECT coalesce(sum(transfer.amount * CASE currency WHEN 'xtr' THEN {NANO}::numeric ELSE 1 END),
        0) / {NANO} AS moved
    FROM transfer WHERE transfer.cause = ANY (ARRAY[named.cause, named.cause || '/nano'])
        AND transfer.kind = 'stars_' || star.direction AND 'telegram' IN (source, target)
        AND (NOT named.is_invoice OR target = 'suspense')
"""
# What an operator settled has transfers of its own. What went back under the id of a payment is
# booked as that payment's, whatever Telegram calls it.
_IS_BOOKED = """settled_as IS NULL AND CASE WHEN is_invoice
    THEN direction = 'in' AND state = 'suspense'
    ELSE state IN ('booked', 'suspense') AND NOT is_of_payment END"""
STARS = statement_of(
    f"""
SELECT star.*, row_number() OVER (ORDER BY bot_id, id, direction) AS place,
    jsonb_build_array(bot_id, id, direction)::text AS key, paid.*, named.*, booked.*,
    {exists(f"transfer WHERE transfer.cause = {_OF_PAYMENT}")} AS is_of_payment,
    (amount::numeric * {NANO} + nano
        + CASE WHEN is_invoice OR state = 'matched' THEN {_SHARE} ELSE 0 END) / {NANO}
        AS whole_amount
FROM star_transaction AS star LEFT JOIN LATERAL (
    SELECT top_up.amount AS paid_amount, top_up.state AS paid_state FROM top_up
    WHERE top_up.provider = '{TELEGRAM_STARS}' AND top_up.external_id = star.id
        AND top_up.bot_id = star.bot_id AND top_up.currency = 'XTR' LIMIT 1) AS paid ON true,
    LATERAL (SELECT CASE direction WHEN 'in' THEN document -> 'source'
        ELSE document -> 'receiver' END AS side) AS other,
    LATERAL (SELECT {_IS_INVOICE} AS is_invoice, CASE WHEN {_IS_INVOICE} THEN {_OF_PAYMENT}
        ELSE format('star/%%s/%%s/%%s', bot_id, direction, id) END AS cause) AS named,
    LATERAL ({_MOVED}) AS booked
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
    Check(
        Rule.STAR,
        subject="id",
        problem=(
            "format('%%s Stars went %%s and are %%s; its transfers moved %%s',"
            " trim_scale(whole_amount), direction,"
            " CASE state WHEN 'booked' THEN 'booked' ELSE 'in suspense' END, trim_scale(moved))"
        ),
        condition=f"{_IS_BOOKED} AND moved <> whole_amount",
    ),
)
"""The statement of a page of them."""
