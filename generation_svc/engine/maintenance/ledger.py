"""Checks the ledger once an hour, and tells the operator what differs."""

from datetime import timedelta

import structlog

from generation_svc.lifecycle import ledger_audit
from generation_svc.lifecycle.dependencies import Dependencies

CHECK_EVERY = timedelta(minutes=55)
"""How long after a check the next one is due, in whichever replica."""
MOST_NAMED = 20
"""How many differences are named one by one; the check as a command names all."""
_logger = structlog.get_logger(__name__)


async def check_ledger(deps: Dependencies) -> bool:
    """Check the ledger if that is due, and show what the last check found; once is enough."""
    if deps.money.mode is None:
        return False
    async with deps.database.transaction() as tx:
        is_due = await tx.audit.claim(interval=CHECK_EVERY)
    if is_due:
        await _check(deps)
    async with deps.database.transaction() as tx:
        found = await tx.audit.last()
    if found is not None:  # another replica may be at its first check
        deps.meter.ledger_differences.set(found)
    return False


async def _check(deps: Dependencies) -> None:
    report = await ledger_audit.check_ledger(deps.database)
    for each in report.differences[:MOST_NAMED]:
        _logger.error(
            "the ledger differs",
            action="ledger_difference",
            rule=each.rule,
            subject=each.subject,
            problem=each.problem,
        )
    if len(report.differences) > MOST_NAMED:
        _logger.error("the ledger differs in more", differences=len(report.differences))
    async with deps.database.transaction() as tx:
        await tx.audit.keep(differences=len(report.differences))
