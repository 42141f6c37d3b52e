"""Checks the ledger for an operator."""

from generation_svc.domain.ledger_audit import LedgerReport
from generation_svc.lifecycle import ledger_audit
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.usecase.money.permission import check_money


async def check_ledger(deps: Dependencies) -> LedgerReport:
    """Return what of the ledger is not as it must be. Raises MoneyOff."""
    check_money(deps)
    return await ledger_audit.check_ledger(deps.database)
