"""The statements about Stars: how far lists were read, and where the ledger differs from them."""

from generation_svc.domain.star import NANO, UNCOMPARED, StarDirection, StarPartner, StarState
from generation_svc.domain.top_up import TELEGRAM_STARS, TopUpState

_ENDED = f"('{TopUpState.REFUNDED}', '{TopUpState.CHARGED_BACK}')"
TAKE_TURN = """
INSERT INTO money_cursor AS c (name, position, time) VALUES (%(name)s, 0, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET position = c.position RETURNING position
"""
"""Locks how far a bot's list was read, and tells it."""

SET_CURSOR = """
INSERT INTO money_cursor AS c (name, position, time)
VALUES (%(name)s, %(offset)s, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET position = excluded.position, time = excluded.time
"""
"""Says from where on a list is read next, or how often it still is."""

NOTE_END = """
INSERT INTO money_cursor AS c (name, position, time) VALUES (%(name)s, 0, %(time)s)
ON CONFLICT (name) DO UPDATE SET time = greatest(c.time, excluded.time)
"""
"""Notes when a list was read to its end."""

COUNT_DOWN = """
UPDATE money_cursor SET position = position - 1, time = clock_timestamp()
WHERE name = %(name)s AND position > 0
"""
"""Notes a reading that an order waits for."""

IS_ORDERED = "SELECT position FROM money_cursor WHERE name = %(name)s AND position > 0"
"""Tells whether an order waits for readings of a list."""

ORDERED = """
SELECT split_part(name, '/', 2)::bigint AS bot_id FROM money_cursor
WHERE name LIKE 'stars_order/%%' AND position > 0 ORDER BY 1
"""
"""The bots of whose lists orders wait for readings."""

# From one bot to the next in the index: a DISTINCT would read all top-ups for some bots.
_NEXT_BOT = f"SELECT min(bot_id) FROM top_up WHERE provider = '{TELEGRAM_STARS}'"
BOTS = f"""
WITH RECURSIVE seller (bot_id) AS (({_NEXT_BOT}) UNION ALL
    SELECT ({_NEXT_BOT} AND top_up.bot_id > seller.bot_id) FROM seller WHERE bot_id IS NOT NULL)
SELECT bot_id FROM unnest(%(bots)s::bigint[]) AS given (bot_id)
UNION SELECT bot_id FROM seller WHERE bot_id IS NOT NULL
UNION SELECT split_part(name, '/', 2)::bigint FROM money_cursor WHERE name LIKE 'stars/%%'
ORDER BY bot_id
"""
"""The given bots, those that sold something, and those of which a list was read."""

_KEPT = """bot_id bigint, id text, direction text, amount bigint, nano bigint, partner text,
    time timestamptz, user_id bigint, transaction_type text, payload text, document jsonb,
    position bigint"""
KEEP = f"""
INSERT INTO star_transaction (bot_id, id, direction, amount, nano, partner, time, user_id,
    transaction_type, payload, document, position, state, problem)
SELECT bot_id, id, direction, amount, nano, partner, time, user_id, transaction_type, payload,
    document, position, '{StarState.MISSING}', '{UNCOMPARED}'
FROM jsonb_to_recordset(%(rows)s) AS listed ({_KEPT}) ORDER BY bot_id, id, direction
ON CONFLICT (bot_id, id, direction) DO UPDATE SET amount = excluded.amount, nano = excluded.nano,
    document = excluded.document, position = excluded.position
RETURNING *
"""
"""Writes what a page lists, and returns it as it is known now."""

FIND = """
SELECT * FROM star_transaction WHERE (bot_id, id, direction) = (%(bot_id)s, %(id)s, %(direction)s)
"""
"""A transaction that was listed."""

# What a process kept and did not live to compare comes first: nothing else looks at it. The others
# are chosen at random: else many that nothing heals would stand before one that became healable.
OPEN = f"""
SELECT * FROM (
    SELECT * FROM star_transaction
    WHERE bot_id = %(bot_id)s AND settled_as IS NULL AND problem <> ''
    ORDER BY problem <> '{UNCOMPARED}', random() LIMIT %(limit)s
) AS chosen ORDER BY problem <> '{UNCOMPARED}', time, position
"""
"""The transactions of a bot that have a problem."""

JUDGE = """
UPDATE star_transaction SET state = %(state)s, problem = %(problem)s
WHERE (bot_id, id, direction) = (%(bot_id)s, %(id)s, %(direction)s) AND settled_as IS NULL
"""
"""Notes what is known of a transaction, unless an operator settled it."""

SETTLE = """
UPDATE star_transaction SET state = %(state)s, problem = '', settled_as = %(settled_as)s,
    settle_actor = %(actor)s, settle_reason = %(reason)s, settle_time = now()
WHERE (bot_id, id, direction) = (%(bot_id)s, %(id)s, %(direction)s)
"""
"""Notes what an operator decided about a transaction."""

_FAILED = "document#>>'{receiver,withdrawal_state,type}' = 'failed'"
# One that comes back has an id of its own: as many came back as failed, or some did not.
CAME_BACK = f"""
SELECT count(*) FILTER (WHERE direction = '{StarDirection.IN}')
    >= count(*) FILTER (WHERE {_FAILED}) AS has_come_back
FROM star_transaction WHERE bot_id = %(bot_id)s AND partner = '{StarPartner.FRAGMENT}'
    AND amount = %(amount)s AND nano = %(nano)s
"""
"""Tells whether all failed withdrawals of an amount came back."""

UNLISTED = f"""
NOT EXISTS (SELECT FROM star_transaction AS listed WHERE listed.bot_id = top_up.bot_id
    AND listed.id = top_up.external_id AND listed.direction = '{StarDirection.OUT}')
AND NOT EXISTS (SELECT FROM star_transaction AS listed WHERE listed.bot_id = top_up.bot_id
    AND listed.direction = '{StarDirection.OUT}' AND listed.payload = top_up.id::text)
"""
"""Holds of a top-up whose payment Telegram does not list as returned."""
ATTRIBUTE = f"""
UPDATE star_transaction SET payload = found.id::text, state = '{StarState.BOOKED}', problem = ''
FROM (SELECT id FROM top_up WHERE bot_id = %(bot_id)s AND provider = '{TELEGRAM_STARS}'
    AND state = '{TopUpState.CHARGED_BACK}' AND {UNLISTED}
    AND CASE WHEN %(top_up_id)s::uuid IS NULL THEN amount = %(amount)s
        ELSE top_up.id = %(top_up_id)s END
    ORDER BY refund_time LIMIT 1) AS found
WHERE (bot_id, star_transaction.id, direction) = (%(bot_id)s, %(id)s, %(direction)s)
    AND settled_as IS NULL
RETURNING found.id AS top_up_id
"""
"""Makes what nobody named took the chargeback of a top-up that lacks one."""

_STARS = f"top_up.provider = '{TELEGRAM_STARS}' AND top_up.bot_id IS NOT NULL"
_UNSEEN = f"""
NOT EXISTS (SELECT FROM star_transaction AS listed WHERE listed.bot_id = top_up.bot_id
    AND listed.id = top_up.external_id AND listed.direction = '{StarDirection.IN}')
"""
# Nobody paid it, and it was taken back: Telegram rightly lists neither.
_CAME_TO_NOTHING = f"top_up.state IN {_ENDED} AND {UNLISTED}"
_OF_TOP_UP = f"""
SELECT top_up.bot_id, external_id AS id, '{{direction}}' AS direction, amount, 0::bigint AS nano,
    'user' AS partner, {{time}} AS time, user_id, '' AS transaction_type, '' AS payload,
    '{StarState.MISSING}' AS state, '{{{{}}}}'::jsonb AS document, '{{problem}}' AS problem
FROM top_up JOIN money_cursor ON money_cursor.name = 'stars_end/' || top_up.bot_id
WHERE {{where}} AND {{time}} < money_cursor.time - %(grace)s
"""
_EVERY = " UNION ALL ".join(
    (
        "(SELECT bot_id, id, direction, amount, nano, partner, time, user_id, transaction_type,"
        " payload, state, document, problem FROM star_transaction WHERE problem <> ''"
        " ORDER BY bot_id, time LIMIT %(limit)s)",
        _OF_TOP_UP.format(
            direction=StarDirection.IN,
            time="create_time",
            problem="it was credited, and Telegram does not list it",
            where=f"{_STARS} AND {_UNSEEN} AND NOT ({_CAME_TO_NOTHING})",
        ),
        _OF_TOP_UP.format(
            direction=StarDirection.OUT,
            time="refund_time",
            problem="its credits were taken back, and Telegram does not list a refund",
            where=f"{_STARS} AND top_up.state IN {_ENDED} AND {UNLISTED} AND NOT ({_UNSEEN})",
        ),
    )
)
DIFFERENCES = f"SELECT * FROM ({_EVERY}) AS every ORDER BY bot_id, time LIMIT %(limit)s"
"""What Telegram lists and the ledger lacks or has otherwise, and the reverse."""

_NANOSTARS = f"amount::numeric * CASE currency WHEN 'xtr' THEN {NANO} ELSE 1 END"
# What was booked an hour ago at most and is not listed yet counts as listed.
BALANCE = f"""
SELECT (SELECT coalesce(sum({_NANOSTARS} * CASE source WHEN 'telegram' THEN 1 ELSE -1
        END), 0) FROM transfer WHERE currency IN ('xtr', 'xtr_nano')
        AND 'telegram' IN (source, target)) AS booked,
    (SELECT coalesce(sum((amount::numeric * {NANO} + nano) * CASE direction WHEN 'in' THEN 1 ELSE -1
        END), 0) FROM star_transaction WHERE state <> '{StarState.MISSING}')
    + {NANO} * (SELECT coalesce(sum(amount), 0) FROM top_up
        WHERE currency = 'XTR' AND (bot_id IS NULL OR {_UNSEEN}))
    - {NANO} * (SELECT coalesce(sum(amount), 0) FROM top_up
        WHERE currency = 'XTR' AND state IN {_ENDED} AND (bot_id IS NULL OR {UNLISTED}))
    + {NANO} * (SELECT coalesce(sum(amount), 0) FROM transfer WHERE kind = 'stars_in'
        AND target = 'suspense' AND currency = 'xtr' AND cause LIKE '{TELEGRAM_STARS}/%%'
        AND NOT EXISTS (SELECT FROM top_up WHERE '{TELEGRAM_STARS}/' || external_id = cause)
        AND NOT EXISTS (SELECT FROM star_transaction
            WHERE '{TELEGRAM_STARS}/' || star_transaction.id = cause)) AS listed
"""
"""The Stars of all bots, in nanostars: as they were booked, and as listed."""
