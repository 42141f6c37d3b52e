"""What must hold of each job: a free one moves nothing, and a charged one had a hold."""

from generation_svc.domain.ledger_audit import Rule
from generation_svc.storage.audit.query import Check, exists, statement_of

_MOVES = "transfer WHERE cause = job.id::text AND kind IN ('hold', 'capture', 'release')"
JOBS = statement_of(
    f"""
    SELECT id, is_free, charged_credits, {exists("hold WHERE hold.job_id = job.id")} AS has_hold,
        is_free AND {exists(_MOVES)} AS has_moved,
        row_number() OVER (ORDER BY id) AS place, id::text AS key
    FROM job WHERE id > coalesce(%(after)s::uuid, '00000000-0000-0000-0000-000000000000')
    ORDER BY id LIMIT %(limit)s
    """,
    Check(
        Rule.FREE,
        problem="format('a free job was charged %%s', coalesce(charged_credits, 0))",
        condition="is_free AND (has_moved OR charged_credits > 0)",
    ),
    Check(
        Rule.CHARGED,
        problem="format('it was charged %%s, and nothing was ever held', charged_credits)",
        condition="charged_credits > 0 AND NOT has_hold",
    ),
)
"""The statement of a page of them."""
