"""What must hold of the ledger after every step, counted from outside of it."""

from __future__ import annotations

from collections import Counter

from generation_svc.domain.ledger_audit import Rule
from generation_svc.lifecycle import ledger_audit
from tests import money
from tests.ledger.world import LIMIT, Events, Paid


async def check(events: Events) -> None:
    """Hold the ledger to its own audit, and to what somebody outside remembers."""
    bench = events.ground.harness
    fuse = events.ground.fuse
    left, fuse.left = fuse.left, None
    report = await ledger_audit.check_ledger(bench.deps.database)
    unlisted = {str(each.top_up and each.top_up.id) for each in events.payments if _is_odd(each)}
    differences = [
        each
        for each in report.differences
        if each.rule != Rule.STAR_SEEN or each.subject not in unlisted
    ]
    assert not differences, differences
    await money.check_ledger(bench)
    for rule, statement in RULES.items():
        found = await bench.query(statement)
        assert not found, (rule, found)
    await _check_payments(events)
    fuse.left = left


def _is_odd(paid: Paid) -> bool:
    return not paid.is_listed


async def _check_payments(events: Events) -> None:
    """Each payment was recorded once at most, and whoever was told of it knows the one."""
    rows = await events.ground.harness.query("SELECT id, external_id, credits FROM top_up")
    assert len({row["external_id"] for row in rows}) == len(rows)
    known = {row["external_id"]: row for row in rows}
    for paid in events.payments:
        found = known.pop(paid.payment.external_id, None)
        if paid.top_up:
            assert found is not None
            assert (found["id"], found["credits"]) == (paid.top_up.id, paid.top_up.credits)
    assert known == {}


async def reached(events: Events) -> Counter[str]:
    """Count what the example came to: a search that never gets somewhere proves nothing of it."""
    (row,) = await events.ground.harness.query(_REACHED)
    return Counter({name: count for name, count in row.items() if count})


_REACHED = """
SELECT count(*) FILTER (WHERE captured > 0) AS charged,
    count(*) FILTER (WHERE 0 < captured AND captured < credits AND NOT is_ceiling) AS partial,
    count(*) FILTER (WHERE captured > 0 AND job.state = 'cancelled') AS cancelled,
    count(*) FILTER (WHERE lent > 0) AS lent,
    (SELECT count(*) FROM transfer WHERE source = 'income') AS lowered,
    (SELECT count(*) FROM transfer WHERE target = 'debt') AS owed,
    (SELECT count(*) FROM receipt) AS numbered,
    count(*) FILTER (WHERE 1 < (SELECT count(*) FROM attempt WHERE attempt.job_id = job.id
        AND attempt.state IN ('settled', 'lost', 'succeeded'))) AS repeated
FROM hold JOIN job ON job.id = hold.job_id
"""
# What owners have is what came in without what was charged.
_INVENTED = """
SELECT * FROM (SELECT
    (SELECT coalesce(sum(granted + paid + held - debt), 0) FROM wallet) AS had,
    (SELECT coalesce(sum(credits), 0) FROM top_up WHERE state = 'credited') AS bought,
    (SELECT coalesce(sum(credits), 0) FROM wallet_import WHERE state = 'imported') AS brought,
    (SELECT coalesce(sum(captured), 0) FROM hold) AS charged,
    (SELECT coalesce(sum(CASE WHEN target = 'granted' THEN amount ELSE -amount END), 0)
        FROM transfer WHERE kind = 'grant') AS given) AS sums
WHERE had <> bought + brought + given - charged
"""
# A late cost gives back from what was captured under a ceiling, so what was paid is the difference
# of the two. That is nothing where a share of one credit is rounded down.
_CHARGED_WRONGLY = """
SELECT job.id FROM job JOIN LATERAL (SELECT count(*) FILTER (WHERE kind = 'capture') AS charges,
        coalesce(sum(amount) FILTER (WHERE target = 'income'), 0) AS taken,
        coalesce(sum(amount) FILTER (WHERE source = 'income'), 0) AS returned
    FROM transfer WHERE transfer.cause = job.id::text) AS moved ON charges > 0
    LEFT JOIN hold ON hold.job_id = job.id
WHERE charges > 1 OR taken > job.credits OR returned > taken OR job.is_free
    OR returned > 0 AND NOT job.is_ceiling OR taken - returned IS DISTINCT FROM hold.captured
    OR NOT EXISTS (SELECT FROM media WHERE media.job_id = job.id)
"""
_CREDITED_TWICE = """
SELECT top_up.id FROM top_up LEFT JOIN LATERAL (SELECT coalesce(sum(amount), 0) AS came
    FROM transfer WHERE transfer.cause = top_up.id::text AND kind IN ('top_up', 'debt_payment'))
    AS moved ON true
WHERE came <> credits
"""
_UNBALANCED = """
SELECT currency, sum(amount) FROM (SELECT currency, amount FROM transfer UNION ALL
    SELECT currency, -amount FROM transfer) AS entry GROUP BY currency HAVING sum(amount) <> 0
"""
_NEGATIVE = "SELECT * FROM wallet WHERE least(granted, paid, held, debt, lent) < 0"
# What was lent and came back unused does not count, as long as its month lasts.
_LENT_WRONGLY = f"""
SELECT wallet.* FROM wallet LEFT JOIN LATERAL (SELECT coalesce(sum(lent - CASE WHEN state = 'open'
        THEN 0 ELSE least(lent, paid - greatest(captured - granted, 0)) END), 0) AS owed
    FROM hold WHERE hold.owner = wallet.owner
        AND date_trunc('month', create_time, 'UTC') = wallet.lent_month) AS month ON true
WHERE wallet.lent <> owed AND lent_month = date_trunc('month', now(), 'UTC')
    OR wallet.lent > {LIMIT}
"""
_RICH_DEBTORS = "SELECT * FROM wallet WHERE least(paid, debt) > 0"
_DOUBLED_RECEIPTS = """
SELECT cause, kind FROM receipt GROUP BY cause, kind HAVING count(*) > 1
"""
RULES = {
    "nothing is invented or lost": _INVENTED,
    "a job is charged once, for what is stored, and not above its quote": _CHARGED_WRONGLY,
    "a top-up is credited once": _CREDITED_TWICE,
    "each currency adds up to nothing": _UNBALANCED,
    "no account is below zero": _NEGATIVE,
    "what is lent is what this month's holds used": _LENT_WRONGLY,
    "who has bought credits owes nothing": _RICH_DEBTORS,
    "a payment has one receipt of a kind": _DOUBLED_RECEIPTS,
}
