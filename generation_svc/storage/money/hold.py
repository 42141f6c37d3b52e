"""How credits are held and given back, in SQL: parts of the statements that change jobs.

Tests hold them to the same rules in Python (`tests/ledger_rule`).
"""

from generation_svc.domain.attempt import LIVE_STATES
from generation_svc.domain.job import JobState
from generation_svc.domain.ledger import AccountKind, Currency, HoldState, TransferKind
from generation_svc.domain.port.acceptance import Refusal

_TRANSFER = (
    "time, currency, amount, source, target, owner, balance_after, kind, cause, actor, reason,"
    " detail"
)
_LIVE = ", ".join(f"'{state}'" for state in sorted(LIVE_STATES))

_MONTH = "date_trunc('month', now(), 'UTC')"

# What stands before a candidate in its batch is counted as if it was taken: so those who are
# accepted are the first ones, and one price that is too high does not keep a later one from the
# credits that are left. That one is decided upon with the next batch.
#
# Callers may share a wallet and only some of them its limit: they come first, so that those who are
# accepted stay the first ones.
#
# What was lent counts for its month; a transaction that began before the first of the new one, and
# comes after it, lends in the new one: months of a wallet never go back. Without a wallet nothing
# is lent, for there would be nobody to owe it.
DECIDED_BY_CREDITS = f"""
weighed AS (
    SELECT judged.*, wallet.granted AS had_granted, coalesce(wallet.balance, 0) AS balance,
        coalesce(wallet.balance + greatest(0, monthly_limit - wallet.lent), 0) AS available,
        sum(charge) OVER (PARTITION BY payer, barrier IS NULL
            ORDER BY monthly_limit DESC, number
            ROWS UNBOUNDED PRECEDING)::bigint AS charge_so_far
    FROM judged LEFT JOIN LATERAL (
        SELECT granted, granted + paid AS balance,
            CASE WHEN lent_month >= {_MONTH} THEN lent ELSE 0 END AS lent
        FROM wallet WHERE wallet.owner = judged.payer LIMIT 1
    ) AS wallet ON true
), measured AS (
    SELECT weighed.*, greatest(0, available - coalesce(max(charge_so_far)
        FILTER (WHERE barrier IS NULL AND charge_so_far <= available)
        OVER (PARTITION BY payer), 0)) AS remaining
    FROM weighed
), decided AS (
    SELECT measured.*, CASE WHEN barrier IS NOT NULL THEN barrier
            WHEN payer IS NULL OR charge_so_far <= available THEN NULL
            WHEN charge > remaining THEN '{Refusal.CREDITS}'
            ELSE '{Refusal.AGAIN}' END AS refusal
    FROM measured
)"""
"""Decides on what nothing else stands against, by what the payers have and may be lent."""

# What is lent goes from the debt to the paid credits, and from there with the others to what is
# held: so whoever ends the hold finds it where all of it came from.
HELD = f"""
held AS (
    INSERT INTO hold (job_id, owner, model_id, granted, paid, lent, margin, promised, create_time)
    SELECT id, payer, model_id, first, charge - first, greatest(0, charge_so_far - balance)
        - greatest(0, charge_so_far - charge - balance), margin, promised, now()
    FROM decided, LATERAL (SELECT least(charge_so_far, had_granted)
        - least(charge_so_far - charge, had_granted) AS first) AS share
    WHERE refusal IS NULL AND payer IS NOT NULL
    RETURNING job_id, owner, model_id, granted, paid, lent
), kept AS (
    INSERT INTO transfer ({_TRANSFER})
    SELECT now(), '{Currency.CREDIT}', amount, source, target, held.owner,
        greatest(0, balance - charge_so_far) + rest, '{TransferKind.HOLD}', job_id::text, 'service',
        '', jsonb_build_object('model_id', held.model_id)
    FROM held JOIN decided ON decided.id = held.job_id, LATERAL (VALUES
        (1, '{AccountKind.DEBT}', '{AccountKind.PAID}', lent, held.granted + held.paid),
        (2, '{AccountKind.GRANTED}', '{AccountKind.HELD}', held.granted, held.paid),
        (3, '{AccountKind.PAID}', '{AccountKind.HELD}', held.paid, 0))
        AS share (place, source, target, amount, rest)
    WHERE amount > 0 ORDER BY monthly_limit DESC, number, place
), spent AS (
    UPDATE wallet SET granted = wallet.granted - sums.granted,
        paid = wallet.paid + sums.lent - sums.paid, debt = wallet.debt + sums.lent,
        held = wallet.held + sums.granted + sums.paid, update_time = now(),
        lent = sums.lent + CASE WHEN sums.lent = 0 OR lent_month >= {_MONTH}
            THEN wallet.lent ELSE 0 END,
        lent_month = CASE WHEN sums.lent = 0 THEN lent_month
            ELSE greatest(lent_month, {_MONTH}) END
    FROM (SELECT owner, sum(granted)::bigint AS granted, sum(paid)::bigint AS paid,
            sum(lent)::bigint AS lent FROM held GROUP BY owner) AS sums
    WHERE wallet.owner = sums.owner
)"""
"""Holds what the accepted ones cost."""

_CAPTURED = """(CASE WHEN %(count)s::bigint <= 0 THEN 0
    WHEN %(cost)s::numeric IS NULL THEN (granted + paid) * %(count)s::bigint
        / greatest(promised, %(count)s::bigint + %(missing)s::bigint)
    ELSE least(granted + paid, greatest(1, ceil(%(cost)s::numeric * margin)))::bigint
        * %(count)s::bigint / (%(count)s::bigint + %(missing)s::bigint) END)"""

_HOLD_MONTH = "date_trunc('month', create_time, 'UTC')"

_OWED = "least(wallet.debt, ended.paid)"

# The transfers wait for the wallet's row: so their numbers are in the order of the balances. The
# bought credits that come back pay its debt: else whoever had a payment returned while its credits
# were held would have both. So what was lent and is unused is owed no longer, and its month can
# lend it again. How much the debt was, only the update itself knows, which sees the row as others
# left it, and it can only return what it wrote.
_GIVEN_BACK = f"""
changed AS (
    UPDATE wallet SET granted = wallet.granted + ended.granted,
        paid = wallet.paid + ended.paid - {_OWED}, debt = wallet.debt - {_OWED},
        written_off = {_OWED}, held = wallet.held - ended.total, update_time = now(),
        lent = greatest(0, wallet.lent
            - CASE WHEN wallet.lent_month = ended.month THEN ended.unused ELSE 0 END)
    FROM ended WHERE wallet.owner = ended.owner
    RETURNING wallet.granted + wallet.paid AS balance, wallet.written_off AS owed
), moved AS (
    INSERT INTO transfer ({_TRANSFER})
    SELECT now(), '{Currency.CREDIT}', amount, ended.source, target, owner, balance - rest,
        kind, job_id::text, 'service', '', jsonb_build_object('model_id', model_id)
    FROM ended, changed, LATERAL (VALUES
        ('{TransferKind.CAPTURE}', '{AccountKind.INCOME}', taken, granted + paid - owed),
        ('{TransferKind.RELEASE}', '{AccountKind.GRANTED}', granted, paid - owed),
        ('{TransferKind.RELEASE}', '{AccountKind.DEBT}', owed, paid - owed),
        ('{TransferKind.RELEASE}', '{AccountKind.PAID}', paid - owed, 0))
        AS share (kind, target, amount, rest)
    WHERE amount > 0
)"""

# Who ends a job writes what it was charged with its last revision; a cancelled one has had its own.
END = f"""
WITH ended AS (
    UPDATE hold SET captured = {_CAPTURED}, end_time = now(), state = CASE
        WHEN {_CAPTURED} > 0 THEN '{HoldState.CAPTURED}' ELSE '{HoldState.RELEASED}' END
    WHERE job_id = %(job_id)s AND state = '{HoldState.OPEN}' AND (%(is_over)s OR NOT EXISTS (
        SELECT FROM attempt WHERE attempt.job_id = %(job_id)s AND attempt.state IN ({_LIVE})))
    RETURNING job_id, owner, model_id, captured, captured AS taken, granted + paid AS total,
        granted - least(captured, granted) AS granted,
        paid - (captured - least(captured, granted)) AS paid, '{AccountKind.HELD}' AS source,
        least(lent, paid - (captured - least(captured, granted))) AS unused, {_HOLD_MONTH} AS month
), {_GIVEN_BACK}, told AS (
    UPDATE job SET charged_credits = captured FROM ended
    WHERE job.id = ended.job_id AND job.state = '{JobState.CANCELLED}'
)
SELECT captured FROM ended
"""
"""Ends an open hold: what was captured becomes income, and the rest goes back where it was."""

LOWER = f"""
WITH due AS (
    SELECT job_id, captured AS former, {_CAPTURED} AS captured FROM hold
    WHERE job_id = %(job_id)s AND state = '{HoldState.CAPTURED}'
), ended AS (
    UPDATE hold SET captured = due.captured FROM due
    WHERE hold.job_id = due.job_id AND hold.captured = former AND due.captured < former
    RETURNING hold.job_id, owner, model_id, hold.captured, 0::bigint AS taken, 0::bigint AS total,
        least(former, granted) - least(hold.captured, granted) AS granted,
        greatest(former - granted, 0) - greatest(hold.captured - granted, 0) AS paid,
        '{AccountKind.INCOME}' AS source, {_HOLD_MONTH} AS month,
        least(lent, paid - greatest(hold.captured - granted, 0))
        - least(lent, paid - greatest(former - granted, 0)) AS unused
), {_GIVEN_BACK}, told AS (
    UPDATE job SET charged_credits = captured FROM ended
    WHERE job.id = ended.job_id AND charged_credits IS NOT NULL
)
SELECT captured FROM ended
"""
"""Gives back of a captured hold what is more than its worth, once that is known."""
