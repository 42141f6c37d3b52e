"""Has the bot tell owners of what came of a payment while no bot was there to hear of it."""

from collections.abc import Sequence
from datetime import timedelta

from generation_svc.domain.caller import Caller
from generation_svc.domain.top_up import TopUp, TopUpState
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.usecase.money.permission import check_money
from generation_svc.usecase.money.refund_top_up import locked_top_up

LEASE = timedelta(seconds=60)
"""How long a bot has to tell an owner; then another one may."""


async def lease_untold(
    deps: Dependencies, caller: Caller, *, bot_id: int, limit: int
) -> Sequence[TopUp]:
    """Lease payments of which a bot is to tell their owners.

    Raises PermissionDenied and MoneyOff.
    """
    caller.require_bot(bot_id)
    check_money(deps)
    async with deps.database.transaction() as tx:
        return await tx.top_ups.lease_untold(bot_id, span=LEASE, limit=limit) if limit else ()


async def report_told(
    deps: Dependencies, caller: Caller, *, top_up_id: str, state: TopUpState | None
) -> None:
    """Note that an owner was told of a top-up. Raises TopUpNotFound and PermissionDenied."""
    check_money(deps)
    async with deps.database.transaction() as tx:
        top_up = await locked_top_up(tx, top_up_id)
        caller.require_bot(top_up.bot_id or 0)
        await tx.top_ups.told(top_up.id, state=state or top_up.state)
