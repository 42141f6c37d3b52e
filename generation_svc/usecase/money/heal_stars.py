"""Has the edges read all Stars again, and heals what they report, when an operator says so."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from generation_svc.domain.caller import Caller
from generation_svc.domain.star import StarDifference
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.star_difference import star_differences
from generation_svc.usecase.money.permission import check_money

_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StarStanding:
    """How Telegram's lists and the ledger stand to each other."""

    differences: Sequence[StarDifference]
    ordered_bots: Sequence[int]
    """Those whose lists were ordered to be healed, and are not read yet."""


async def heal_stars(
    deps: Dependencies, caller: Caller, *, bots: Sequence[int], reason: str
) -> Sequence[int]:
    """Order that the lists of all known bots, and of these, are healed; return whose."""
    check_money(deps)
    async with deps.database.transaction() as tx:
        ordered = await tx.stars.order(bots)
    _logger.warning("Stars are to be healed", bots=ordered, actor=caller.name, reason=reason)
    return ordered


async def star_standing(deps: Dependencies) -> StarStanding:
    """Return where they differ now, and whose lists are still to be healed."""
    check_money(deps)
    async with deps.database.transaction() as tx:
        return StarStanding(await star_differences(tx), await tx.stars.ordered())
