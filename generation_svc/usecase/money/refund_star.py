"""Has a bot return a payment once more that Telegram does not list as returned.

The ledger has it as taken back, which stays so: no transfer is made. Telegram returns a payment
once, so asking for it again returns it at most that once.
"""

import structlog

from generation_svc.domain.money_error import StarNotFound, StarNotSettled
from generation_svc.domain.port.transaction import Transaction
from generation_svc.domain.star import StarDirection
from generation_svc.domain.star_settlement import Settlement
from generation_svc.domain.top_up import ENDED, TELEGRAM_STARS, TopUp
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.usecase.money.permission import check_money

_logger = structlog.get_logger(__name__)


async def return_again(deps: Dependencies, settlement: Settlement) -> None:
    """Make the return of a payment due; one that Telegram lists as returned stays as it is.

    Raises MoneyOff, StarNotFound and StarNotSettled.
    """
    check_money(deps)
    async with deps.database.transaction() as tx:
        top_up = await _ended(tx, settlement)
        is_due = await tx.top_ups.return_again(top_up)
    _logger.warning(
        "a payment is to be returned once more" if is_due else "the payment is returned already",
        top_up_id=str(top_up.id),
        owner=top_up.owner,
        actor=settlement.caller.name,
        reason=settlement.reason,
    )


async def _ended(tx: Transaction, settlement: Settlement) -> TopUp:
    """Return the top-up of which the ledger says that its payment went back, locked."""
    found = await tx.top_ups.find(TELEGRAM_STARS, settlement.star_id)
    if not found or found.bot_id != settlement.bot_id or settlement.direction is StarDirection.IN:
        raise StarNotFound(settlement.star_id)
    top_up = await tx.top_ups.lock(found.id)
    assert top_up is not None  # top-ups are never deleted
    if top_up.state not in ENDED:
        raise StarNotSettled("its credits were not taken back (RefundTopUp does that)")
    bot_id, paid = settlement.bot_id, StarDirection.IN
    if await tx.stars.find(bot_id, settlement.star_id, direction=paid) is None:
        raise StarNotSettled("Telegram does not list the payment, so nothing of it can go back")
    return top_up
