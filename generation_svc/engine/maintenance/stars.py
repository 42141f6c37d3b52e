"""Tells the operator, once an hour, where Telegram's list of Stars and the ledger differ."""

import structlog

from generation_svc.domain.star import UNCOMPARED, StarDifference
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.star_difference import star_differences

_ADVICE = "see docs/operator.md: record it, charge it back, or ask Telegram's support"
_logger = structlog.get_logger(__name__)


async def compare_stars(deps: Dependencies) -> bool:
    """Export how many differences there are, and log each; once is enough."""
    if deps.money.mode is None:
        return False
    async with deps.database.transaction() as tx:
        found = [each for each in await star_differences(tx) if each.problem != UNCOMPARED]
    deps.meter.star_differences.set(len(found))
    for each in found:
        _log(each)
    return False


def _log(difference: StarDifference) -> None:
    told = difference.transaction
    _logger.error(
        "Telegram's list of Stars and the ledger differ",
        bot_id=told.bot_id,
        transaction_id=told.id,
        direction=told.direction,
        amount=told.amount,
        problem=difference.problem,
        advice=_ADVICE,
    )
