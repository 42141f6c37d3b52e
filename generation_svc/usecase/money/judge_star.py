"""Judges one Star transaction: heals what the ledger lacks, and says what differs still.

Each step is a transaction of its own and may be repeated: what stopped in between is looked at
again with the next page, since it still differs.
"""

from dataclasses import replace

import structlog

from generation_svc.domain.caller import Caller
from generation_svc.domain.error import AtelierError, Unavailable
from generation_svc.domain.money_error import DailyCapReached, TopUpInvalid
from generation_svc.domain.star import (
    StarDifference,
    StarState,
    StarTransaction,
    read_payload,
)
from generation_svc.domain.star_transfer import (
    share_transfers,
)
from generation_svc.domain.top_up import STARS, TELEGRAM_STARS, Payment, TopUpState
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.usecase.money.compare_star import TAKEN_BACK, UNRECORDED, WENT_BACK, compared
from generation_svc.usecase.money.record_top_up import record_top_up
from generation_svc.usecase.money.refund_top_up import Refund, confirm_refund, refund_top_up

_logger = structlog.get_logger(__name__)


async def judge(
    deps: Dependencies, caller: Caller, *, told: StarTransaction, host: str, heal: bool
) -> StarDifference | None:
    """Say what differs; None if nothing does, or only time had to pass."""
    if told.settled_as:
        return None
    async with deps.database.transaction() as tx:
        seen = await compared(tx, told)
        await tx.stars.judge(told, state=seen.state, problem=seen.problem)
    if not told.is_in and (seen.state, told.state) == (StarState.MATCHED, StarState.MISSING):
        await _confirm(deps, told)
    if not (heal and seen.problem in (UNRECORDED, TAKEN_BACK)):
        return StarDifference(seen, seen.problem) if seen.problem else None
    problem, healed = seen.problem, await _heal(deps, caller, told=seen, host=host)
    return StarDifference(healed, healed.problem or problem, is_healed=not healed.problem)


async def _heal(
    deps: Dependencies, caller: Caller, *, told: StarTransaction, host: str
) -> StarTransaction:
    """Book what the ledger lacks by the same door as ever, and look again."""
    try:
        if told.is_in:
            await _record(deps, caller, told=told, host=host)
        else:
            await _charge_back(deps, caller, told)
    except Unavailable:
        raise
    except AtelierError as error:
        return await _unhealed(deps, told, error)
    deps.meter.healed_stars.labels(told.direction).inc()
    _logger.warning("healed by Telegram's list", transaction_id=told.id, problem=told.problem)
    async with deps.database.transaction() as tx:
        seen = await compared(tx, told)
        await tx.stars.judge(told, state=seen.state, problem=seen.problem)
    return seen


async def _record(deps: Dependencies, caller: Caller, *, told: StarTransaction, host: str) -> None:
    invoiced = read_payload(told.payload)
    assert invoiced  # else it is in suspense
    assert told.paid
    payment = Payment(
        provider=TELEGRAM_STARS,
        external_id=told.id,
        owner=f"telegram:{invoiced.user_id}",
        amount=told.paid,
        currency=STARS,
        pack_id=invoiced.pack_id,
        bot_id=told.bot_id,
        is_untold=True,
    )
    await record_top_up(deps, caller, payment=payment, telegram_host=host)


async def _confirm(deps: Dependencies, told: StarTransaction) -> None:
    """End a refund whose report was lost on the way."""
    top_up = await deps.database.read(lambda tx: tx.top_ups.find(TELEGRAM_STARS, told.id))
    if top_up and top_up.state is TopUpState.REFUNDING:
        await confirm_refund(deps, top_up.id)


async def _charge_back(deps: Dependencies, caller: Caller, told: StarTransaction) -> None:
    top_up = await deps.database.read(lambda tx: tx.top_ups.find(TELEGRAM_STARS, told.id))
    assert top_up is not None  # it was found just now
    refund = Refund(caller, str(top_up.id), WENT_BACK, is_charged_back=True, is_untold=True)
    await refund_top_up(deps, refund)


async def _unhealed(
    deps: Dependencies, told: StarTransaction, error: AtelierError
) -> StarTransaction:
    """Note why a payment could not be credited; what it brought may be in suspense by now."""
    is_kept = isinstance(error, (TopUpInvalid, DailyCapReached))
    seen = replace(told, state=StarState.SUSPENSE if is_kept else StarState.MISSING)
    problem = f"it cannot be credited: {error}"[:200]
    async with deps.database.transaction() as tx:
        if is_kept:
            await tx.ledger.move(share_transfers(told))
        await tx.stars.judge(told, state=seen.state, problem=problem)
    return replace(seen, problem=problem)
