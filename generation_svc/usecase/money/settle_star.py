"""Ends a difference about Stars by what an operator knows of it: whose the Stars are.

All of it is one transaction, under the lock of what Telegram listed. What is settled is judged no
more, and settling it again in the same way changes nothing.
"""

from collections.abc import Iterable
from dataclasses import replace

import structlog

from generation_svc.domain.error import AtelierError
from generation_svc.domain.ledger import AccountKind, Transfer, TransferKind
from generation_svc.domain.money_error import StarNotFound, StarNotSettled
from generation_svc.domain.port.transaction import Transaction
from generation_svc.domain.star import NANO, STRANGERS, StarState, StarTransaction
from generation_svc.domain.star_settlement import Settlement
from generation_svc.domain.star_transfer import Amounts, Way, settled_transfers, share_transfers
from generation_svc.domain.top_up import ENDED, STARS, TELEGRAM_STARS, Payment, TopUp, TopUpState
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.usecase.money.compare_star import HEALABLE
from generation_svc.usecase.money.permission import check_money
from generation_svc.usecase.money.record_top_up import record_in
from generation_svc.usecase.money.refund_top_up import Refund, refund_in

_NOTHING = (0, 0)
_IN_SUSPENSE = (AccountKind.SUSPENSE, AccountKind.BOT_OWNER)
_UNBOOKED = (AccountKind.TELEGRAM, AccountKind.BOT_OWNER)
_SUSPENDED = {AccountKind.TELEGRAM, AccountKind.SUSPENSE}
_logger = structlog.get_logger(__name__)


async def settle_star(deps: Dependencies, settlement: Settlement) -> StarTransaction:
    """Book a transaction as an operator decides, once.

    Raises MoneyOff, StarNotFound, StarNotSettled, and what recording and refunding a top-up raise.
    """
    check_money(deps)
    async with deps.database.transaction() as tx:
        told = await tx.stars.lock(
            settlement.bot_id, settlement.star_id, direction=settlement.direction
        )
        if told is None:
            raise StarNotFound(settlement.star_id)
        if told.settled_as == settlement.verdict:
            return told
        await _check(tx, told)
        state = await _book(deps, tx, told, settlement)
        settled = replace(told, settled_as=settlement.verdict, state=state, problem="")
        caller, reason = settlement.caller, settlement.reason
        await tx.stars.settle(settled, state=state, actor=caller.name, reason=reason)
    _logger.warning(
        "Stars are settled",
        transaction_id=told.id,
        settled_as=settled.settled_as,
        actor=caller.name,
        reason=reason,
    )
    return settled


async def _check(tx: Transaction, told: StarTransaction) -> None:
    if told.settled_as:
        raise StarNotSettled(f"it is settled already, as {told.settled_as}")
    if not told.problem:
        raise StarNotSettled("Telegram and the ledger agree about it")
    if told.problem in HEALABLE:
        raise StarNotSettled("it heals when the list is read again (HealStars)")
    top_up = await _top_up(tx, told)
    if top_up and not told.is_in and top_up.state not in ENDED:
        raise StarNotSettled("its top-up is to be charged back first (RefundTopUp)")


async def _top_up(tx: Transaction, told: StarTransaction) -> TopUp | None:
    """Return what was recorded of the payment."""
    found = await tx.top_ups.find(TELEGRAM_STARS, told.id) if told.is_of_invoice else None
    return found if found and found.bot_id == told.bot_id else None


async def _book(
    deps: Dependencies, tx: Transaction, told: StarTransaction, settlement: Settlement
) -> StarState:
    if settlement.owner:
        return await _credit(deps, tx, told, settlement)
    if settlement.top_up_id:
        return await _charge_back(deps, tx, told, settlement)
    await _give_to_bot_owner(tx, told, settlement)
    return StarState.BOOKED


async def _credit(
    deps: Dependencies, tx: Transaction, told: StarTransaction, settlement: Settlement
) -> StarState:
    """Credit what came to an owner; it goes back, if ever, to whoever paid."""
    amount = told.paid if told.is_of_invoice else told.amount
    if told.state is not StarState.SUSPENSE or not told.is_in or not amount:
        raise StarNotSettled("only Stars that came and lie in suspense become credits")
    if told.nano and not told.is_of_invoice:
        raise StarNotSettled("a part of a Star becomes no credits; it is the bot owner's own")
    payment = Payment(
        TELEGRAM_STARS,
        told.id,
        settlement.owner,
        amount,
        STARS,
        pack_id=settlement.pack_id,
        credits=settlement.credits,
        bot_id=told.bot_id,
        payer=told.user_id,
        suspense=told.cause,
        is_untold=True,
    )
    outcome = await record_in(deps, tx, caller=settlement.caller, payment=payment)
    if isinstance(outcome, AtelierError):
        raise outcome
    return StarState.MATCHED


async def _charge_back(
    deps: Dependencies, tx: Transaction, told: StarTransaction, settlement: Settlement
) -> StarState:
    """Take a top-up's credits; what more or less of its Stars went is the bot owner's."""
    if told.is_in or told.partner not in STRANGERS:
        raise StarNotSettled("only what went to somebody unnamed can be a chargeback")
    refund = Refund(
        settlement.caller,
        settlement.top_up_id,
        settlement.reason,
        is_charged_back=True,
        is_untold=True,
    )
    top_up = await refund_in(deps, tx, refund=refund)
    is_its = top_up.bot_id == told.bot_id and top_up.state is TopUpState.CHARGED_BACK
    if not is_its or not await tx.stars.attribute(told, top_up_id=top_up.id):
        raise StarNotSettled("the bot's list has what went back of that top-up, or never will")
    amount = top_up.amount
    moved = (
        ((amount, 0), (AccountKind.TELEGRAM, AccountKind.SUSPENSE)),
        ((amount - told.amount, -told.nano), _IN_SUSPENSE),
    )
    await tx.ledger.move(_settled(told, settlement, moved=moved))
    return StarState.BOOKED


async def _give_to_bot_owner(
    tx: Transaction, told: StarTransaction, settlement: Settlement
) -> None:
    """Book what is in suspense, and what was never booked, as the bot owner's own."""
    suspended, unbooked = await _amounts(tx, told)
    moved = ((suspended, _IN_SUSPENSE), (unbooked, _UNBOOKED))
    share = share_transfers(told) if told.is_of_invoice else []
    await tx.ledger.move([*_settled(told, settlement, moved=moved), *share])


def _settled(
    told: StarTransaction, settlement: Settlement, *, moved: Iterable[tuple[Amounts, Way]]
) -> list[Transfer]:
    actor, reason = settlement.caller.name, settlement.reason
    return [
        transfer
        for amounts, way in moved
        for transfer in settled_transfers(
            told, amounts=amounts, way=way, reason=reason, actor=actor
        )
    ]


async def _amounts(tx: Transaction, told: StarTransaction) -> tuple[Amounts, Amounts]:
    """Return what of a transaction lies in suspense, and what was never booked."""
    sign = 1 if told.is_in else -1
    if not told.is_of_invoice:
        is_suspended = told.partner in STRANGERS
        return (sign * told.amount, sign * told.nano) if is_suspended else _NOTHING, _NOTHING
    kind = TransferKind.STARS_IN if told.is_in else TransferKind.STARS_OUT
    moved = [each for each in await tx.ledger.find(told.cause) if each.kind is kind]
    suspended = sum(each.amount for each in moved if {each.source, each.target} == _SUSPENDED)
    top_up = await _top_up(tx, told)
    stars, nano = divmod(told.nanostars + told.share, NANO)
    unbooked = stars - (top_up.amount if top_up else suspended)
    return (0 if top_up else sign * suspended, 0), (sign * unbooked, sign * nano)
