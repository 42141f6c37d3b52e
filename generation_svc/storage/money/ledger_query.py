"""The statements of the ledger."""

from generation_svc.domain.ledger import AccountKind, Currency, HoldState, TransferKind
from generation_svc.storage.attempt_state import is_live

# From number to number and not from time to time: a clock that was set back leaves no gap.
STATEMENT = """
SELECT * FROM transfer WHERE owner = %(owner)s
    AND id >= (SELECT min(id) FROM transfer WHERE owner = %(owner)s
        AND time >= %(start)s AND time < %(end)s)
    AND id <= (SELECT max(id) FROM transfer WHERE owner = %(owner)s
        AND time >= %(start)s AND time < %(end)s)
ORDER BY id DESC LIMIT %(limit)s
"""
"""The latest transfers of an owner in a period."""

OPENING = """
SELECT balance_after FROM transfer WHERE owner = %(owner)s AND CASE
    WHEN %(first)s::bigint IS NULL THEN time < %(start)s ELSE id < %(first)s::bigint END
ORDER BY id DESC LIMIT 1
"""
"""The balance of an owner before a period, or before a transfer."""

# An update of nothing, since it locks and reads what was there, and one statement is enough. In the
# order of the names, as everybody locks several.
LOCK = """
INSERT INTO wallet (owner, update_time) SELECT owner, now() FROM unnest(%(owners)s::text[])
    AS given (owner) ORDER BY owner
ON CONFLICT (owner) DO UPDATE SET update_time = wallet.update_time RETURNING *
"""
"""Locks the wallets of owners, and makes those that there are not."""

# An update of nothing, since it waits for whoever is writing the row, and reads what was written.
NOTE_GRANT = """
INSERT INTO credit_grant (id, owner, credits, actor, reason, time)
VALUES (%(id)s, %(owner)s, %(credits)s, %(actor)s, %(reason)s, now())
ON CONFLICT (id) DO UPDATE SET id = excluded.id RETURNING *, xmax = 0 AS is_new
"""
"""Notes a grant, or finds it."""

# Whoever moves an owner's credits has its wallet's lock (LOCK), so that no balance is of another
# moment. What no wallet keeps apart, such as Stars, the unique key of transfers does: one that was
# written at the same time is passed over, and what wallets become follows from what was written. A
# debt is what an account below zero lacks.
MOVE = f"""
WITH given AS (
    SELECT given.*, sum(change) OVER (PARTITION BY owner ORDER BY number) AS change_so_far
    FROM jsonb_to_recordset(%(transfers)s) AS given (number int, currency text, amount bigint,
        source text, target text, owner text, change bigint, kind text, cause text, actor text,
        reason text, detail jsonb)
    WHERE NOT EXISTS (SELECT FROM transfer WHERE transfer.cause = given.cause
        AND transfer.kind = given.kind AND transfer.source = given.source
        AND transfer.target = given.target)
), moved AS (
    INSERT INTO transfer (time, currency, amount, source, target, owner, balance_after, kind, cause,
        actor, reason, detail)
    SELECT clock_timestamp(), currency, amount, source, target, given.owner,
        wallet.balance + change_so_far, kind, cause, actor, reason, detail
    FROM given LEFT JOIN LATERAL (SELECT granted + paid AS balance FROM wallet
        WHERE wallet.owner = given.owner LIMIT 1) AS wallet ON true ORDER BY number
    ON CONFLICT DO NOTHING RETURNING currency, amount, source, target, owner
), change AS (
    SELECT owner, account, sum(amount)::bigint AS amount FROM (
        SELECT owner, target AS account, amount, currency FROM moved UNION ALL
        SELECT owner, source, -amount, currency FROM moved) AS entry
    WHERE owner IS NOT NULL AND currency = '{Currency.CREDIT}' GROUP BY owner, account
), total AS (
    SELECT owner, {
    ", ".join(
        f"coalesce(sum(amount) FILTER (WHERE account = '{kind}'), 0)::bigint AS {kind}"
        for kind in ("granted", "paid", "held", "debt")
    )
} FROM change GROUP BY owner
), changed AS (
    UPDATE wallet SET granted = wallet.granted + total.granted, paid = wallet.paid + total.paid,
        held = wallet.held + total.held, debt = wallet.debt - total.debt, update_time = now()
    FROM total WHERE wallet.owner = total.owner
        AND wallet.owner = ANY (ARRAY(SELECT owner FROM total))
)
SELECT count(*) AS written FROM moved
"""
"""Writes transfers that are not written yet, and what they change of wallets."""

# With the model, since the attempt and its job are forgotten after some weeks.
BOOK_COST = f"""
INSERT INTO transfer (time, currency, amount, source, target, kind, cause, actor, reason, detail)
SELECT clock_timestamp(), '{Currency.KIE_MILLI}', %(amount)s, '{AccountKind.PROVIDER}',
    CASE WHEN %(is_success)s AND hold.state = '{HoldState.RELEASED}'
        THEN '{AccountKind.LATE_RESULTS}' ELSE '{AccountKind.PROVIDER_COST}' END,
    '{TransferKind.PROVIDER_COST}', attempt.id::text, 'service', '',
    jsonb_build_object('model_id', job.model_id, 'is_free', job.is_free, 'account', attempt.account)
FROM attempt JOIN job ON job.id = attempt.job_id LEFT JOIN hold ON hold.job_id = attempt.job_id
WHERE attempt.id = %(id)s AND NOT EXISTS (SELECT FROM transfer
    WHERE cause = %(id)s::text AND kind = '{TransferKind.PROVIDER_COST}')
ON CONFLICT DO NOTHING
"""
"""Books what the provider took for an attempt, once; its transfer outlives the attempt."""

OVER = f"""
SELECT job_id, create_time, EXISTS (SELECT FROM attempt WHERE attempt.job_id = found.job_id
    AND attempt.state = 'settled') AS is_stored
FROM (SELECT job_id, create_time FROM hold
    WHERE state = '{HoldState.OPEN}' AND (create_time, job_id) > (%(time)s, %(job_id)s)
    ORDER BY create_time, job_id) AS found
WHERE NOT EXISTS (SELECT FROM attempt WHERE attempt.job_id = found.job_id
        AND {is_live("attempt.state")})
    AND NOT EXISTS (SELECT FROM job WHERE job.id = found.job_id
        AND job.state IN ('queued', 'running'))
ORDER BY create_time, job_id LIMIT %(limit)s
"""
"""The open holds of jobs that are over, the oldest first."""
