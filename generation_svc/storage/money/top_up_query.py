"""The statements about top-ups, packs and receipts."""

from generation_svc.domain.receipt import ReceiptKind
from generation_svc.domain.star import StarDirection
from generation_svc.domain.top_up import TopUpState
from generation_svc.storage.money.star_query import UNLISTED

_ENDED = f"('{TopUpState.REFUNDED}', '{TopUpState.CHARGED_BACK}')"
PACK_COLUMNS = ("id", "credits", "stars")
"""The columns of a pack."""
ADDED = (
    "id",
    "provider",
    "external_id",
    "owner",
    "pack_id",
    "credits",
    "amount",
    "currency",
    "state",
    "bot_id",
    "user_id",
    "caller",
)
"""The columns of a top-up that are written once."""

# A pack that is sold again at an earlier rate is the latest again.
OFFER = """
INSERT INTO pack (id, credits, stars, time)
SELECT id, credits, stars, clock_timestamp() FROM unnest(%(ids)s::text[], %(credits)s::bigint[],
    %(stars)s::bigint[]) AS given (id, credits, stars) ORDER BY id
ON CONFLICT (id, credits, stars) DO UPDATE SET time = EXCLUDED.time
"""
"""Says what packs cost from now on."""

# What Telegram listed itself is confirmed; of other providers nothing is. Each is looked up by its
# key: joined, a day of many payments would have the whole list of Stars read at every checkout.
UNCONFIRMED = f"""
SELECT coalesce(sum(credits), 0)::bigint FROM top_up
WHERE create_time >= date_trunc('day', now(), 'UTC') AND caller = %(caller)s
    AND (SELECT true FROM star_transaction WHERE star_transaction.bot_id = top_up.bot_id
        AND star_transaction.id = top_up.external_id
        AND star_transaction.direction = '{StarDirection.IN}' LIMIT 1) IS NULL
"""
"""Counts a caller's credits of the day that nobody but the caller vouches for."""

STANDING = f"""
SELECT coalesce((SELECT is_blocked FROM wallet WHERE owner = %(owner)s), false) AS is_blocked,
    sales_closed_reason AS closed_reason, restored IS NOT NULL AS is_restored,
    sales_close_time AS close_time, ({UNCONFIRMED}) AS unconfirmed
FROM (VALUES (true)) AS always LEFT JOIN money_state ON name = 'money'
"""
"""Tells what may stand in the way of a payment, in one turn."""

# After a backup was restored, owners were told before of what Telegram's list brings back.
_TELL = """
CASE WHEN %(is_untold)s AND NOT EXISTS (SELECT FROM money_state WHERE restored IS NOT NULL)
    THEN clock_timestamp() + %(patience)s END"""
# The time of the moment and not of the transaction, which may have waited for the wallet: of one
# owner later top-ups are younger.
ADD = f"""
INSERT INTO top_up ({", ".join(ADDED)}, create_time, tell_time)
VALUES ({", ".join(f"%({name})s" for name in ADDED)}, clock_timestamp(), {_TELL})
ON CONFLICT (provider, external_id) DO NOTHING RETURNING id
"""
"""Writes a top-up, unless its payment has one."""

# The oldest are spent first: one is untouched if the paid credits cover it and all younger ones.
_REFUNDABLE = f"""
(top_up.state = '{TopUpState.CREDITED}' AND coalesce((SELECT paid FROM wallet
    WHERE wallet.owner = top_up.owner), 0) >= (SELECT sum(younger.credits) FROM top_up AS younger
        WHERE younger.owner = top_up.owner AND younger.state = '{TopUpState.CREDITED}'
        AND (younger.create_time, younger.id) >= (top_up.create_time, top_up.id))) AS is_refundable
"""
SELECT = f"SELECT top_up.*, {_REFUNDABLE} FROM top_up WHERE {{where}}"
"""Reads top-ups, each with whether it can go back."""

# As above, but what is younger than the page is added once, and not for each of its rows.
PAGE = f"""
WITH page AS MATERIALIZED (
    SELECT * FROM top_up WHERE owner = %(owner)s AND (%(after)s::uuid IS NULL
        OR (create_time, id) < (SELECT create_time, id FROM top_up AS last
            WHERE last.id = %(after)s))
    ORDER BY create_time DESC, id DESC LIMIT %(limit)s
), had AS (
    SELECT coalesce((SELECT paid FROM wallet WHERE wallet.owner = %(owner)s), 0)
        - coalesce((SELECT sum(credits) FROM top_up AS younger WHERE younger.owner = %(owner)s
            AND younger.state = '{TopUpState.CREDITED}' AND (younger.create_time, younger.id)
            > (SELECT create_time, id FROM page ORDER BY create_time DESC, id DESC LIMIT 1)), 0)
        AS paid
)
SELECT page.*, state = '{TopUpState.CREDITED}' AND had.paid
    >= sum(CASE WHEN state = '{TopUpState.CREDITED}' THEN credits ELSE 0 END)
        OVER (ORDER BY create_time DESC, id DESC ROWS UNBOUNDED PRECEDING) AS is_refundable
FROM page, had ORDER BY create_time DESC, id DESC
"""
"""Reads a page of an owner's top-ups, the latest first."""

BEGIN_REFUND = f"""
UPDATE top_up SET state = %(state)s::text, refund_actor = %(actor)s, refund_reason = %(reason)s,
    is_forced = %(is_forced)s, refund_count = refund_count + 1, refund_error = NULL,
    lease_token = NULL, lease_time = NULL, tell_time = {_TELL},
    refund_time = CASE WHEN %(state)s::text <> '{TopUpState.REFUNDING}' THEN now() END
WHERE id = %(id)s
"""
"""Notes that a top-up's credits were taken back, by whom and why."""

END_REFUND = f"""
UPDATE top_up SET state = %(state)s::text, refund_error = %(error)s,
    refund_time = CASE WHEN %(state)s::text IN {_ENDED} THEN coalesce(refund_time, now()) END
WHERE id = %(id)s
"""
"""Notes where a refund has come to."""

# Whoever leased it before tried in vain or is over: its token is no longer the one.
RETURN_AGAIN = f"""
UPDATE top_up SET is_due_again = true, lease_token = NULL, lease_time = NULL
WHERE id = %(id)s AND {UNLISTED} RETURNING id
"""
"""Makes the return of a payment due once more, unless Telegram lists it as returned."""

# Those of which a try was in vain come last: they keep no other from its first. What the list has
# by now, such as a chargeback whose taker it does not name, goes back no second time.
LEASE = f"""
UPDATE top_up SET lease_token = gen_random_uuid(), lease_time = now() + %(span)s
WHERE id IN (SELECT id FROM top_up WHERE bot_id = %(bot_id)s
    AND (state = '{TopUpState.REFUNDING}' OR is_due_again AND {UNLISTED})
    AND (lease_time IS NULL OR lease_time <= now())
    ORDER BY lease_time NULLS FIRST, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
RETURNING *, false AS is_refundable
"""
"""Leases payments that a bot is to return."""

LEASE_UNTOLD = f"""
UPDATE top_up SET tell_time = now() + %(span)s
WHERE id IN (SELECT id FROM top_up WHERE bot_id = %(bot_id)s AND tell_time <= now()
    AND state IN ('{TopUpState.CREDITED}', '{TopUpState.CHARGED_BACK}')
    ORDER BY tell_time LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
RETURNING *, false AS is_refundable
"""
"""Leases top-ups of which a bot is to tell their owners."""

# Only what the epoch covers gets a number: a backup that lacks it has an earlier epoch, so that the
# loss is noticed, and no number is given twice. Before the first epoch nothing needs one.
_IS_COVERED = """NOT EXISTS (SELECT FROM transfer
    WHERE transfer.id > (SELECT epoch_transfer FROM money_state WHERE name = 'money')
    AND transfer.cause IN (top_up.id::text, top_up.id || '/' || top_up.refund_count,
        top_up.provider || '/' || top_up.external_id))"""
# A database that was restored gave numbers that it does not know: it waits for a new series.
NUMBER = f"""
WITH due AS (
    SELECT * FROM ((SELECT id, '{ReceiptKind.TOP_UP}' AS kind, create_time AS time FROM top_up
        WHERE receipt IS NULL AND {_IS_COVERED} ORDER BY create_time, id LIMIT %(limit)s)
    UNION ALL (SELECT id, '{ReceiptKind.REFUND}', refund_time FROM top_up
        WHERE refund_receipt IS NULL AND state IN {_ENDED} AND {_IS_COVERED}
        ORDER BY refund_time, id LIMIT %(limit)s)) AS both_kinds
    ORDER BY time, id, kind DESC LIMIT %(limit)s
), series AS (
    SELECT receipt_series AS series, coalesce((SELECT max(number) FROM receipt
        WHERE receipt.series = receipt_series), 0) AS last FROM money_state
    WHERE name = 'money' AND restored IS NULL
), given AS (
    INSERT INTO receipt (series, number, kind, cause, time)
    SELECT series, last + row_number() OVER (ORDER BY due.time, id, kind DESC), kind, id, now()
    FROM due, series RETURNING series || '-' || lpad(number::text, 6, '0') AS number, kind, cause
), named AS (
    UPDATE top_up SET receipt = coalesce(top_up.receipt, of_top_up),
        refund_receipt = coalesce(top_up.refund_receipt, of_refund)
    FROM (SELECT cause, max(number) FILTER (WHERE kind = '{ReceiptKind.TOP_UP}') AS of_top_up,
        max(number) FILTER (WHERE kind = '{ReceiptKind.REFUND}') AS of_refund
        FROM given GROUP BY cause) AS names
    WHERE top_up.id = names.cause
)
SELECT count(*) AS given FROM given
"""
"""Gives receipts the next numbers of the series."""
