"""Opens and closes sales."""

import structlog

from generation_svc.domain.caller import Caller
from generation_svc.domain.money import MoneyState
from generation_svc.domain.money_error import MoneyOff, RecoveryMissing
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.usecase.money.permission import check_money

_logger = structlog.get_logger(__name__)


async def set_sales(
    deps: Dependencies, caller: Caller, *, is_open: bool, reason: str
) -> MoneyState:
    """Open sales or close them; every replica knows within seconds.

    Raises MoneyOff, and RecoveryMissing where only the recovery may open them.
    """
    check_money(deps)
    async with deps.database.transaction() as tx:
        state = await tx.money.set_sales(None if is_open else reason)
    if state is None:
        raise RecoveryMissing
    deps.money.terms.expire()
    words = "sales were opened" if is_open else "sales were closed"
    _logger.warning(words, actor=caller.name, reason=reason)
    return state


async def get_sales(deps: Dependencies) -> MoneyState:
    """Return whether anything is sold. Raises MoneyOff."""
    check_money(deps)
    state = await deps.database.read(lambda tx: tx.money.state())
    if state is None:
        raise MoneyOff
    return state
