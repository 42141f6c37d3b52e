"""What must hold of each hold, beside its job, its transfers and what is stored."""

from generation_svc.domain.ledger_audit import Rule
from generation_svc.domain.port.media import FIRST_COVER_POSITION
from generation_svc.storage.attempt_state import is_live
from generation_svc.storage.audit.query import Check, exists, statement_of

# What a hold is worth is worked out here once more, and not as the statement does that captures.
_DUE = """
    CASE WHEN delivered <= 0 THEN 0
        WHEN is_ceiling AND cost IS NOT NULL THEN div(least(total, greatest(1, ceil(cost * margin)))
            * delivered, delivered + missing)
        ELSE div(total::numeric * delivered, greatest(promised, delivered + missing)) END
"""
_OF_HOLD = """
    SELECT coalesce(sum(amount) FILTER (WHERE kind = 'hold' AND source = 'granted'), 0)
            AS kept_granted,
        coalesce(sum(amount) FILTER (WHERE kind = 'hold' AND source = 'paid'), 0) AS kept_paid,
        coalesce(sum(amount) FILTER (WHERE kind = 'capture'), 0)
            - coalesce(sum(amount) FILTER (WHERE source = 'income'), 0) AS taken,
        coalesce(sum(amount) FILTER (WHERE kind = 'release' AND target = 'granted'), 0)
            AS back_granted,
        coalesce(sum(amount) FILTER (WHERE kind = 'release' AND target IN ('paid', 'debt')), 0)
            AS back_paid,
        coalesce(sum(amount) FILTER (WHERE kind = 'hold' AND source = 'debt'), 0) AS kept_lent
    FROM transfer WHERE transfer.cause = hold.job_id::text
"""
# A success of what had been given up is free, and fetched while nothing is held for it. The first
# result that is stored ends the hold, though another task of the job may come later.
_MAY_CHARGE = f"""
    attempt WHERE attempt.job_id = job.id AND {is_live("attempt.state")}
        AND coalesce(attempt.state <> 'succeeded' OR attempt.end_time <= hold.end_time, true)
"""
_IS_STORED = exists("attempt WHERE attempt.job_id = job.id AND attempt.state = 'settled'")
_OF_JOB = f"""
    SELECT job.state AS job_state, job.is_free, job.credits, job.is_ceiling, job.charged_credits,
        job.state IN ('queued', 'running') OR job.state = 'cancelled' AND
            {exists(_MAY_CHARGE)} AND NOT {_IS_STORED} AS is_under_way,
        job.result
    FROM job WHERE job.id = hold.job_id LIMIT 1
"""
# A settled attempt of a failed job came after its hold was released, and is free; so may that of a
# cancelled one be. Media stay with their job as rows when their bytes are gone.
_OF_RESULT = f"""
    SELECT attempt.cost, attempt.end_time AS stored_time,
        CASE WHEN files.count > 0 THEN files.count
            WHEN coalesce(attempt.observation->>'result_text', '') <> '' THEN 1 ELSE 0 END
            AS delivered,
        greatest(jsonb_array_length(coalesce(attempt.observation->'result_urls', '[]'))
            - files.count, 0) AS missing
    FROM attempt, LATERAL (SELECT count(*) FROM media WHERE media.attempt_id = attempt.id
        AND media.position < {FIRST_COVER_POSITION}) AS files
    WHERE attempt.job_id = hold.job_id AND attempt.state = 'settled'
    ORDER BY attempt.number LIMIT 1
"""
_WORTH = f"CASE WHEN job_state = 'failed' THEN 0 ELSE {_DUE} END"
HOLDS = statement_of(
    f"""
    SELECT *, {_WORTH} AS worth, job_id::text AS key FROM (
        SELECT hold.*, row_number() OVER (ORDER BY job_id) AS place,
            hold.granted + hold.paid AS total, moved.*, of_job.*, cost, stored_time,
            coalesce(delivered, 0) AS delivered, coalesce(missing, 0) AS missing
        FROM hold LEFT JOIN LATERAL ({_OF_HOLD}) AS moved ON true
            LEFT JOIN LATERAL ({_OF_JOB}) AS of_job ON true
            LEFT JOIN LATERAL ({_OF_RESULT}) AS of_result ON true
        WHERE job_id > coalesce(%(after)s::uuid, '00000000-0000-0000-0000-000000000000')
        ORDER BY job_id LIMIT %(limit)s
    ) AS hold
    """,
    # What is older may have been forgotten with all that belonged to it.
    Check(
        Rule.JOB,
        problem="format('there is no job for a hold of %%s that is %%s', total, state)",
        condition=(
            "job_state IS NULL AND (state = 'open' OR create_time > now() - interval '1 day')"
        ),
    ),
    Check(
        Rule.OPEN,
        problem="format('the hold is %%s and its job is %%s', state, job_state)",
        condition="job_state IS NOT NULL AND (state = 'open') <> is_under_way",
    ),
    Check(
        Rule.KEPT,
        problem=(
            "format('%%s and %%s are held, and the transfers held %%s and %%s', granted, paid,"
            " kept_granted, kept_paid)"
        ),
        condition="(kept_granted, kept_paid) IS DISTINCT FROM (granted::numeric, paid::numeric)",
    ),
    Check(
        Rule.ENDED,
        problem=(
            "format('of %%s + %%s a hold that is %%s captured %%s; the transfers took %%s and gave"
            " back %%s + %%s', granted, paid, state, captured, taken, back_granted, back_paid)"
        ),
        condition=(
            "(taken, back_granted, back_paid) IS DISTINCT FROM CASE WHEN state = 'open' THEN"
            " (0::numeric, 0::numeric, 0::numeric) ELSE (captured::numeric,"
            " (granted - least(captured, granted))::numeric,"
            " (paid - (captured - least(captured, granted)))::numeric) END"
        ),
    ),
    Check(
        Rule.LENT,
        problem="format('%%s are lent, and the transfers lent %%s', lent, kept_lent)",
        condition="kept_lent <> lent",
    ),
    Check(
        Rule.QUOTE,
        problem="format('%%s are held and %%s were quoted', total, credits)",
        condition="job_state IS NOT NULL AND total <> credits OR captured > total",
    ),
    # Of a cancelled job what came after the release is free, and so is what was never stored.
    Check(
        Rule.DELIVERED,
        problem=(
            "format('%%s were captured; %%s of %%s files are stored, which is worth %%s', captured,"
            " delivered, greatest(promised, delivered + missing), worth)"
        ),
        condition=(
            "job_state IS NOT NULL AND state <> 'open' AND captured <> worth AND NOT (captured = 0"
            " AND job_state = 'cancelled' AND end_time < stored_time)"
        ),
    ),
    Check(
        Rule.CHARGED,
        problem="format('its job says %%s, and %%s were captured', charged_credits, captured)",
        condition=(
            "charged_credits IS NOT NULL AND charged_credits <> captured"
            " AND NOT (job_state = 'cancelled' AND charged_credits = 0 AND state = 'open')"
        ),
    ),
    Check(
        Rule.FREE,
        problem="format('%%s are held for a free job', total)",
        condition="is_free",
    ),
)
"""The statement of a page of them."""
