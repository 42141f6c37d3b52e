"""Compares one Star transaction with the ledger, and books what the ledger lacks.

Each step is a transaction of its own and may be repeated: what stopped in between is looked at
again with the next page, since it still differs.
"""

from dataclasses import replace

import structlog

from generation_svc.domain.caller import Caller
from generation_svc.domain.error import AtelierError, Unavailable
from generation_svc.domain.ledger import AccountKind, Currency, Transfer, TransferKind
from generation_svc.domain.money_error import DailyCapReached, TopUpInvalid
from generation_svc.domain.port.transaction import Transaction
from generation_svc.domain.star import (
    STRANGERS,
    Invoice,
    StarDifference,
    StarPartner,
    StarTransaction,
    own_transfers,
    read_payload,
    share_transfers,
    suspended_transfer,
)
from generation_svc.domain.star_settlement import returned_transfers
from generation_svc.domain.top_up import (
    STARS,
    TELEGRAM_STARS,
    Payment,
    StarDirection,
    StarState,
    TopUp,
    TopUpState,
)
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.usecase.record_top_up import record_top_up
from generation_svc.usecase.refund_top_up import Refund, confirm_refund, refund_top_up

UNRECORDED = "it was paid and never recorded"
TAKEN_BACK = "Telegram took the payment back, and its credits are still there"
NEVER_RECORDED = "a payment went back that was never recorded"
HEALABLE = frozenset({UNRECORDED, TAKEN_BACK, NEVER_RECORDED})
"""What ends by itself once the whole list is read, and healed."""
_REASON = "Telegram lists that the payment went back."
_logger = structlog.get_logger(__name__)


async def judge(
    deps: Dependencies, caller: Caller, *, told: StarTransaction, host: str, heal: bool
) -> StarDifference | None:
    """Say what differs; None if nothing does, or only time had to pass."""
    if told.settled_as:
        return None
    async with deps.database.transaction() as tx:
        seen = await _seen(tx, told)
        await tx.stars.judge(told, state=seen.state, problem=seen.problem)
    if not told.is_in and (seen.state, told.state) == (StarState.MATCHED, StarState.MISSING):
        await _confirm(deps, told)
    if not (heal and seen.problem in (UNRECORDED, TAKEN_BACK)):
        return StarDifference(seen, seen.problem) if seen.problem else None
    problem, healed = seen.problem, await _heal(deps, caller, told=seen, host=host)
    return StarDifference(healed, healed.problem or problem, is_healed=not healed.problem)


async def _seen(tx: Transaction, told: StarTransaction) -> StarTransaction:
    """Return a transaction with what the ledger makes of it."""
    told = await _refund_of_invoice(tx, told)
    if not told.is_of_invoice:
        return await _own(tx, told)
    top_up = await tx.top_ups.find(TELEGRAM_STARS, told.id)
    if top_up is None:
        return await (_unknown_payment if told.is_in else _unknown_refund)(tx, told)
    problem = _mismatch(told, top_up)
    if not problem and not told.is_in and top_up.state is TopUpState.CREDITED:
        problem = TAKEN_BACK
    if problem:
        return replace(told, state=StarState.MISSING, problem=problem)
    await tx.ledger.move(share_transfers(told))
    return replace(told, state=StarState.MATCHED, problem="")


async def _refund_of_invoice(tx: Transaction, told: StarTransaction) -> StarTransaction:
    """Return what went back under the id of a payment as that payment's, whatever it is called.

    The id is what Telegram promises; the kind and the taker are lost where it forgot the product.
    """
    is_booked = told.state in (StarState.BOOKED, StarState.SUSPENSE)
    if told.is_in or told.is_of_invoice or is_booked:
        return told
    paid = await tx.stars.find(told.bot_id, told.id, direction=StarDirection.IN)
    if paid is None or not paid.is_of_invoice or told.user_id not in (None, paid.user_id):
        return told
    return replace(
        told,
        partner=paid.partner,
        user_id=paid.user_id,
        transaction_type=paid.transaction_type,
        payload=paid.payload,
    )


async def _own(tx: Transaction, told: StarTransaction) -> StarTransaction:
    """Book what is no user's: the bot owner's business, or nobody knows whose."""
    await tx.ledger.move(own_transfers(told))
    if told.partner in STRANGERS:
        return await _strange(tx, told)
    problem, is_withdrawn = "", told.partner is StarPartner.FRAGMENT
    if is_withdrawn and told.is_failed and not await tx.stars.has_come_back(told):
        problem = "a withdrawal failed, and its Stars have not come back"
    return replace(told, state=StarState.BOOKED, problem=problem)


async def _strange(tx: Transaction, told: StarTransaction) -> StarTransaction:
    """Keep Stars of nobody in suspense, unless they are those of a chargeback that was booked."""
    if told.state is StarState.BOOKED:
        return told
    if not told.is_in and not told.nano and await tx.stars.attribute(told):
        await tx.ledger.move([_unsuspended(told)])
        return replace(told, state=StarState.BOOKED, problem="")
    words = "came from" if told.is_in else "went to"
    problem = f"{told.amount} Stars {words} somebody whom Telegram does not name"
    if not told.is_in:
        problem += ": if it is a chargeback, charge its top-up back"
    return replace(told, state=StarState.SUSPENSE, problem=problem)


def _unsuspended(told: StarTransaction) -> Transfer:
    return Transfer(
        TransferKind.CORRECTION,
        AccountKind.TELEGRAM,
        AccountKind.SUSPENSE,
        told.amount,
        cause=told.cause,
        currency=Currency.XTR,
        reason="It is the chargeback of a top-up.",
    )


async def _unknown_payment(tx: Transaction, told: StarTransaction) -> StarTransaction:
    if await _suspended(tx, told) and told.state is StarState.BOOKED:
        return told  # it went back out of suspense
    invoiced = read_payload(told.payload)
    problem = _foreign(told, invoiced)
    if not problem:
        return replace(told, state=StarState.MISSING, problem=UNRECORDED)
    return await _suspend(tx, told, problem)


async def _unknown_refund(tx: Transaction, told: StarTransaction) -> StarTransaction:
    """Return a payment that lies in suspense; one that nobody recorded has to be first."""
    paid = await tx.stars.lock(told.bot_id, told.id, direction=StarDirection.IN)
    if paid and paid.settled_as:
        await tx.ledger.move(returned_transfers(told))
        return replace(told, state=StarState.BOOKED, problem="")
    if not await _suspended(tx, told):
        return replace(told, state=StarState.MISSING, problem=NEVER_RECORDED)
    await _suspend(tx, told, _REASON)
    payment = replace(told, direction=StarDirection.IN)
    await tx.stars.judge(payment, state=StarState.BOOKED)
    return replace(told, state=StarState.BOOKED, problem="")


async def _suspended(tx: Transaction, told: StarTransaction) -> bool:
    found = await tx.ledger.find(told.cause)
    return any(each.target is AccountKind.SUSPENSE for each in found)


async def _suspend(tx: Transaction, told: StarTransaction, problem: str) -> StarTransaction:
    transfer = suspended_transfer(told, reason=problem)
    if transfer is None:
        return replace(told, state=StarState.MISSING, problem=problem)
    await tx.ledger.move([transfer, *share_transfers(told)])
    return replace(told, state=StarState.SUSPENSE, problem=problem)


def _foreign(told: StarTransaction, invoiced: Invoice | None) -> str:
    """Return why a payment cannot be credited without an operator; empty if it can."""
    if invoiced is None:
        return "its payload is none of our packs: record it as an operator, or return it"
    if invoiced.user_id != told.user_id:
        return f"user {told.user_id} paid what user {invoiced.user_id} was to buy"
    return "" if told.paid else "what was paid is no whole number of Stars"


def _mismatch(told: StarTransaction, top_up: TopUp) -> str:
    """Return what of a transaction is not as it was recorded."""
    invoiced = read_payload(told.payload)
    pack_id = invoiced.pack_id if invoiced and top_up.pack_id else top_up.pack_id
    parts = (
        ("bot", told.bot_id, top_up.bot_id),
        ("amount", told.paid, top_up.amount),
        ("user", told.user_id, top_up.user_id),
        ("pack", pack_id if told.is_in else top_up.pack_id, top_up.pack_id),
    )
    wrong = [f"{name} {ours} instead of {theirs}" for name, theirs, ours in parts if theirs != ours]
    return "it was recorded with " + ", ".join(wrong) if wrong else ""


async def _heal(
    deps: Dependencies, caller: Caller, *, told: StarTransaction, host: str
) -> StarTransaction:
    """Book what the ledger lacks by the same door as ever, and look again."""
    try:
        await (
            _record(deps, caller, told, host) if told.is_in else _charge_back(deps, caller, told)
        )
    except Unavailable:
        raise
    except AtelierError as error:
        return await _unhealed(deps, told, error)
    deps.meter.healed_stars.labels(told.direction).inc()
    _logger.warning("healed by Telegram's list", transaction_id=told.id, problem=told.problem)
    async with deps.database.transaction() as tx:
        seen = await _seen(tx, told)
        await tx.stars.judge(told, state=seen.state, problem=seen.problem)
    return seen


async def _record(deps: Dependencies, caller: Caller, told: StarTransaction, host: str) -> None:
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
    refund = Refund(caller, str(top_up.id), _REASON, is_charged_back=True, is_untold=True)
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
