"""The check of the ledger in SQL: one statement for a piece of each part.

A statement sees one moment. Each rule is about rows that one statement reads together, so it needs
no snapshot that is older than that, which would keep the server from tidying up. Each reads a range
of a primary key in its order, and for each row what belongs to it by an index: a piece is as quick
in a large ledger.
"""

from generation_svc.domain.ledger import Currency
from generation_svc.domain.ledger_audit import Rule, known_ways
from generation_svc.domain.port.media import FIRST_COVER_POSITION
from generation_svc.storage.attempt_state import is_live
from generation_svc.storage.import_audit import IMPORT_PAGE, IMPORT_RULES, IMPORTED
from generation_svc.storage.star_audit import STAR_PAGE, STAR_RULES

_WAYS = ", ".join(f"('{kind}', '{s}', '{t}', '{c}')" for kind, s, t, c in sorted(known_ways()))
# Only what looks like a UUID is read as one.
_IS_UUID = "'^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'"
_FIND = """
WITH page AS MATERIALIZED ({page}), found AS ({found})
SELECT (SELECT count(*) FROM page) AS count,
    (SELECT key FROM page WHERE place = (SELECT max(place) FROM page)) AS last,
    ARRAY(SELECT jsonb_build_array(rule, subject, problem) FROM found LIMIT 1000) AS differences
"""


def _statement(page: str, *rules: tuple[Rule, str, str, str]) -> str:
    """Return a statement of rules: each with its subject, its problem and when it is broken."""
    found = " UNION ALL ".join(
        f"SELECT '{rule}' AS rule, {subject} AS subject, {problem} AS problem FROM page"
        f" WHERE {condition}"
        for rule, subject, problem, condition in rules
    )
    return _FIND.format(page=page, found=found)


def _has(rest: str) -> str:
    """Return the condition that there is such a row.

    An EXISTS among the columns may be planned as a hash of its whole table; a value is looked up.
    """
    return f"(SELECT true FROM {rest} LIMIT 1) IS NOT NULL"


# Refunds of one top-up after the first one have a number behind its id.
_CAUSE = "split_part(transfer.cause, '/', 1)"
_CAUSE_ID = f"CASE WHEN {_CAUSE} ~ {_IS_UUID} THEN {_CAUSE}::uuid END"
_TRANSFERS = _statement(
    f"""
    SELECT transfer.*, row_number() OVER (ORDER BY id) AS place, id::text AS key,
        (kind, source, target, currency) IN ({_WAYS}) AS is_known,
        owner IS NULL OR {_has("wallet WHERE wallet.owner = transfer.owner")} AS is_owned,
        CASE WHEN kind IN ('hold', 'capture', 'release') THEN
                {_has(f"hold WHERE hold.job_id = {_CAUSE_ID} AND hold.owner = transfer.owner")}
            WHEN kind IN ('top_up', 'refund', 'chargeback', 'debt_payment') THEN
                {_has(f"top_up WHERE top_up.id = {_CAUSE_ID} AND top_up.owner = transfer.owner")}
            WHEN kind IN ('import', 'import_undo') THEN {_has(IMPORTED)}
            ELSE true END AS is_caused,
        coalesce((SELECT earlier.balance_after FROM transfer AS earlier
            WHERE earlier.owner = transfer.owner AND earlier.id < transfer.id
            ORDER BY earlier.id DESC LIMIT 1), 0)
            + CASE WHEN target IN ('granted', 'paid') THEN amount ELSE 0 END
            - CASE WHEN source IN ('granted', 'paid') THEN amount ELSE 0 END AS balance
    FROM transfer WHERE id > coalesce(%(after)s::bigint, 0) ORDER BY id LIMIT %(limit)s
    """,
    (
        Rule.ROUTE,
        "key",
        "format('%%s of %%s goes from %%s to %%s', kind, currency, source, target)",
        "NOT is_known",
    ),
    (Rule.OWNER, "key", "format('owner %%s has no wallet', owner)", "NOT is_owned"),
    (
        Rule.CAUSE,
        "key",
        "format('there is nothing of %%s that a %%s could be for: %%s', owner, kind, cause)",
        "NOT is_caused",
    ),
    (
        Rule.BALANCE,
        "key",
        "format('the balance after it is %%s and should be %%s', balance_after, balance)",
        "owner IS NOT NULL AND balance_after <> balance",
    ),
)

_ACCOUNTS = ("granted", "paid", "held", "debt")
# A debt is what an account below zero lacks.
_SUMS = ", ".join(
    f"coalesce({'-' if kind == 'debt' else ''}sum(CASE WHEN target = '{kind}' THEN amount"
    f" WHEN source = '{kind}' THEN -amount ELSE 0 END), 0)::bigint AS sum_{kind}"
    for kind in _ACCOUNTS
)
_WALLETS = _statement(
    f"""
    SELECT wallet.*, row_number() OVER (ORDER BY owner) AS place, owner AS key, sums.*,
        (SELECT coalesce(sum(granted + paid), 0) FROM hold
            WHERE hold.owner = wallet.owner AND hold.state = 'open')::bigint AS kept
    FROM wallet, LATERAL (SELECT {_SUMS} FROM transfer
        WHERE transfer.owner = wallet.owner AND currency = '{Currency.CREDIT}') AS sums
    WHERE wallet.owner > coalesce(%(after)s, '') ORDER BY owner LIMIT %(limit)s
    """,
    *(
        (
            Rule.WALLET,
            "key",
            f"format('{kind} is %%s and its transfers make %%s', {kind}, sum_{kind})",
            f"{kind} <> sum_{kind}",
        )
        for kind in _ACCOUNTS
    ),
    (
        Rule.HELD,
        "key",
        "format('%%s are held and %%s are kept for open jobs', held, kept)",
        "held <> kept",
    ),
    (
        Rule.NEGATIVE,
        "key",
        "format('granted %%s, paid %%s, held %%s, debt %%s', granted, paid, held, debt)",
        "least(granted, paid, held, debt) < 0",
    ),
)

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
_OF_JOB = f"""
    SELECT job.state AS job_state, job.is_free, job.credits, job.is_ceiling, job.charged_credits,
        job.state IN ('queued', 'running') OR job.state = 'cancelled' AND
            {_has(f"attempt WHERE attempt.job_id = job.id AND {is_live('attempt.state')}")}
            AS is_under_way,
        job.result
    FROM job WHERE job.id = hold.job_id LIMIT 1
"""
# A settled attempt of a failed job came after its hold was released, and is free. Media stay with
# their job as rows when their bytes are gone.
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
_HOLDS = _statement(
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
    (
        Rule.JOB,
        "key",
        "format('there is no job for a hold of %%s that is %%s', total, state)",
        "job_state IS NULL AND (state = 'open' OR create_time > now() - interval '1 day')",
    ),
    (
        Rule.OPEN,
        "key",
        "format('the hold is %%s and its job is %%s', state, job_state)",
        "job_state IS NOT NULL AND (state = 'open') <> is_under_way",
    ),
    (
        Rule.KEPT,
        "key",
        "format('%%s and %%s are held, and the transfers held %%s and %%s', granted, paid,"
        " kept_granted, kept_paid)",
        "(kept_granted, kept_paid) IS DISTINCT FROM (granted::numeric, paid::numeric)",
    ),
    (
        Rule.ENDED,
        "key",
        "format('of %%s + %%s a hold that is %%s captured %%s; the transfers took %%s and gave back"
        " %%s + %%s', granted, paid, state, captured, taken, back_granted, back_paid)",
        "(taken, back_granted, back_paid) IS DISTINCT FROM CASE WHEN state = 'open' THEN"
        " (0::numeric, 0::numeric, 0::numeric) ELSE (captured::numeric,"
        " (granted - least(captured, granted))::numeric,"
        " (paid - (captured - least(captured, granted)))::numeric) END",
    ),
    (
        Rule.LENT,
        "key",
        "format('%%s are lent, and the transfers lent %%s', lent, kept_lent)",
        "kept_lent <> lent",
    ),
    (
        Rule.QUOTE,
        "key",
        "format('%%s are held and %%s were quoted', total, credits)",
        "job_state IS NOT NULL AND total <> credits OR captured > total",
    ),
    # Of a cancelled job what came after the release is free, and so is what was never stored.
    (
        Rule.DELIVERED,
        "key",
        "format('%%s were captured; %%s of %%s files are stored, which is worth %%s', captured,"
        " delivered, greatest(promised, delivered + missing), worth)",
        "job_state IS NOT NULL AND state <> 'open' AND captured <> worth AND NOT (captured = 0"
        " AND job_state = 'cancelled' AND end_time < stored_time)",
    ),
    (
        Rule.CHARGED,
        "key",
        "format('its job says %%s, and %%s were captured', charged_credits, captured)",
        "charged_credits IS NOT NULL AND charged_credits <> captured"
        " AND NOT (job_state = 'cancelled' AND charged_credits = 0 AND state = 'open')",
    ),
    (Rule.FREE, "key", "format('%%s are held for a free job', total)", "is_free"),
)

_MOVES = "transfer WHERE cause = job.id::text AND kind IN ('hold', 'capture', 'release')"
_JOBS = _statement(
    f"""
    SELECT id, is_free, charged_credits, {_has("hold WHERE hold.job_id = job.id")} AS has_hold,
        is_free AND {_has(_MOVES)} AS has_moved,
        row_number() OVER (ORDER BY id) AS place, id::text AS key
    FROM job WHERE id > coalesce(%(after)s::uuid, '00000000-0000-0000-0000-000000000000')
    ORDER BY id LIMIT %(limit)s
    """,
    (
        Rule.FREE,
        "key",
        "format('a free job was charged %%s', coalesce(charged_credits, 0))",
        "is_free AND (has_moved OR charged_credits > 0)",
    ),
    (
        Rule.CHARGED,
        "key",
        "format('it was charged %%s, and nothing was ever held', charged_credits)",
        "charged_credits > 0 AND NOT has_hold",
    ),
)

# In the order of an index, or the first that comes to hand is looked for in the whole table.
_LATER = "star.time > top_up.create_time + interval '1 hour' ORDER BY star.time DESC"
_IN_STARS = "star_transaction AS star WHERE star.bot_id = top_up.bot_id AND star.direction = 'in'"
_TOP_UPS = _statement(
    f"""
    SELECT top_up.*, moved.*, starred.*, row_number() OVER (ORDER BY id) AS place, id::text AS key,
        CASE state WHEN 'credited' THEN 0 ELSE credits END AS due_back,
        CASE WHEN currency = 'XTR' THEN amount ELSE 0 END AS due_stars,
        CASE WHEN currency = 'XTR' AND state IN ('refunded', 'charged_back') THEN amount ELSE 0 END
            AS due_stars_back,
        {_has(f"{_IN_STARS} AND {_LATER}")}
            AND NOT {_has(f"{_IN_STARS} AND star.id = top_up.external_id")} AS is_unseen
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
    (
        Rule.TOP_UP,
        "key",
        "format('%%s were bought and %%s were credited', credits, credited)",
        "credited <> credits",
    ),
    (
        Rule.REFUND,
        "key",
        "format('it is %%s: %%s should be back, and %%s are', state, due_back, back)",
        "back <> due_back",
    ),
    (
        Rule.STARS,
        "key",
        "format('it is %%s: of %%s Stars %%s came and %%s went back', state, due_stars, stars,"
        " stars_back)",
        "stars <> due_stars OR stars_back <> due_stars_back",
    ),
    (
        Rule.STAR_SEEN,
        "key",
        "format('Telegram lists later payments and not this one, %%s', external_id)",
        # What was charged back has gone, whether it ever came or not.
        "is_unseen AND state NOT IN ('refunded', 'charged_back')",
    ),
)

_EARLIER = (
    "receipt AS earlier WHERE earlier.series = receipt.series"
    " AND earlier.number = receipt.number - 1"
)
_RECEIPT_CAUSE = (
    "top_up WHERE top_up.id = receipt.cause"
    " AND (receipt.kind = 'top_up' OR top_up.state IN ('refunded', 'charged_back'))"
)
_RECEIPTS = _statement(
    f"""
    SELECT receipt.*, row_number() OVER (ORDER BY series, number) AS place,
        ((series::bigint << 40) + number)::text AS key,
        number = 1 OR {_has(_EARLIER)} AS follows, {_has(_RECEIPT_CAUSE)} AS is_caused
    FROM receipt WHERE (series, number) > (
        (coalesce(%(after)s::bigint, 0) >> 40)::int,
        coalesce(%(after)s::bigint, 0) & ((1::bigint << 40) - 1))
    ORDER BY series, number LIMIT %(limit)s
    """,
    (
        Rule.RECEIPT,
        "format('%%s-%%s', series, number)",
        "format('there is no number %%s before it', number - 1)",
        "NOT follows",
    ),
    (
        Rule.RECEIPT_CAUSE,
        "format('%%s-%%s', series, number)",
        "format('there is no %%s %%s that it could be for', replace(kind, '_', '-'), cause)",
        "NOT is_caused",
    ),
)

PARTS = {
    "transfer": _TRANSFERS,
    "wallet": _WALLETS,
    "hold": _HOLDS,
    "job": _JOBS,
    "top_up": _TOP_UPS,
    "receipt": _RECEIPTS,
    "star": _statement(STAR_PAGE, *STAR_RULES),
    "import": _statement(IMPORT_PAGE, *IMPORT_RULES),
}
"""The statement of each part of the ledger."""
