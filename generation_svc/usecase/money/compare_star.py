"""Compares one Star transaction with the ledger, and books what no user's credits depend on."""

from dataclasses import replace

from generation_svc.domain.ledger import AccountKind
from generation_svc.domain.port.transaction import Transaction
from generation_svc.domain.star import (
    STRANGERS,
    Invoice,
    StarDirection,
    StarPartner,
    StarState,
    StarTransaction,
    read_payload,
)
from generation_svc.domain.star_transfer import (
    attributed_transfer,
    own_transfers,
    returned_transfers,
    share_transfers,
    suspended_transfer,
)
from generation_svc.domain.top_up import TELEGRAM_STARS, TopUp, TopUpState

UNRECORDED = "it was paid and never recorded"
TAKEN_BACK = "Telegram took the payment back, and its credits are still there"
NEVER_RECORDED = "a payment went back that was never recorded"
HEALABLE = frozenset({UNRECORDED, TAKEN_BACK, NEVER_RECORDED})
"""What ends by itself once the whole list is read, and healed."""
WENT_BACK = "Telegram lists that the payment went back."
"""Why its credits are taken back."""


async def compared(tx: Transaction, told: StarTransaction) -> StarTransaction:
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
        await tx.ledger.move([attributed_transfer(told)])
        return replace(told, state=StarState.BOOKED, problem="")
    words = "came from" if told.is_in else "went to"
    problem = f"{told.amount} Stars {words} somebody whom Telegram does not name"
    if not told.is_in:
        problem += ": if it is a chargeback, charge its top-up back"
    return replace(told, state=StarState.SUSPENSE, problem=problem)


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
    await _suspend(tx, told, WENT_BACK)
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
