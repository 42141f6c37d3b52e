"""Takes the credits of a top-up back.

The credits go in the transaction that decides it. The payment goes back by the edge, which alone
has the bot's token (`lease_refund`).
"""

from dataclasses import dataclass
from uuid import UUID

from generation_svc.domain.caller import Caller
from generation_svc.domain.ledger import AccountKind, Currency, Transfer, TransferKind, taken_back
from generation_svc.domain.money_error import TopUpNotFound, TopUpSpent
from generation_svc.domain.port.transaction import Transaction
from generation_svc.domain.top_up import STARS, TopUp, TopUpState
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.usecase.money.permission import check_money
from generation_svc.usecase.money.transfer import move_all


@dataclass(frozen=True, slots=True)
class Refund:
    """What an operator wants."""

    caller: Caller
    top_up_id: str
    reason: str
    is_forced: bool = False
    is_charged_back: bool = False
    """Whether the payment went back already."""
    is_untold: bool = False
    """Whether the owner has to be told of it: Telegram's list says that the payment went back."""


async def refund_top_up(deps: Dependencies, refund: Refund) -> TopUp:
    """Take a top-up back once. Raises MoneyOff, TopUpNotFound and TopUpSpent."""
    check_money(deps)
    async with deps.database.transaction() as tx:
        return await refund_in(deps, tx, refund=refund)


async def refund_in(deps: Dependencies, tx: Transaction, *, refund: Refund) -> TopUp:
    """Take a top-up back within a transaction. Raises TopUpNotFound and TopUpSpent."""
    top_up = await locked_top_up(tx, refund.top_up_id)
    if top_up.state is TopUpState.CREDITED:
        return await _take_back(deps, tx, top_up, refund)
    if top_up.state is TopUpState.REFUNDING and refund.is_charged_back:
        return await end_refund(deps, tx, top_up, state=TopUpState.CHARGED_BACK)
    return top_up


async def confirm_refund(deps: Dependencies, top_up_id: UUID) -> None:
    """Note that a payment which was to go back did, by Telegram's own list."""
    async with deps.database.transaction() as tx:
        top_up = await locked_top_up(tx, str(top_up_id))
        if top_up.state is TopUpState.REFUNDING:
            await end_refund(deps, tx, top_up, state=TopUpState.REFUNDED)


async def locked_top_up(tx: Transaction, text: str) -> TopUp:
    """Lock a top-up and return it. Raises TopUpNotFound."""
    try:
        top_up = await tx.top_ups.lock(UUID(text))
    except ValueError:
        top_up = None
    if top_up is None:
        raise TopUpNotFound(text)
    return top_up


async def _take_back(deps: Dependencies, tx: Transaction, top_up: TopUp, refund: Refund) -> TopUp:
    paid = (await tx.ledger.lock([top_up.owner]))[top_up.owner].paid
    known = await tx.top_ups.get(top_up.id)  # again, now that nobody spends of it
    is_forced = refund.is_forced or refund.is_charged_back
    if not is_forced and not (known and known.is_refundable):
        raise TopUpSpent(refund.top_up_id)
    state = _state_after(top_up, refund)
    top_up = await tx.top_ups.begin_refund(
        top_up,
        state=state,
        actor=refund.caller.name,
        reason=refund.reason,
        is_forced=is_forced,
        is_untold=refund.is_untold,
    )
    bought, debt = taken_back(top_up.credits, paid=paid)
    await move_all(tx, _taken(top_up, refund, bought=bought, debt=debt))
    deps.meter.debt_credits.labels("made").inc(debt)
    deps.meter.refunds.labels("charged_back" if refund.is_charged_back else "asked").inc()
    if state is not TopUpState.REFUNDING:
        await _return_stars(tx, top_up, actor=refund.caller.name)
    return top_up


def _state_after(top_up: TopUp, refund: Refund) -> TopUpState:
    """Return what a top-up becomes; who paid elsewhere is paid back there, by the operator."""
    if refund.is_charged_back:
        return TopUpState.CHARGED_BACK
    return TopUpState.REFUNDING if top_up.is_returned_by_bot else TopUpState.REFUNDED


def _taken(top_up: TopUp, refund: Refund, *, bought: int, debt: int) -> list[Transfer]:
    kind = TransferKind.CHARGEBACK if refund.is_charged_back else TransferKind.REFUND
    parts = ((AccountKind.PAID, bought), (AccountKind.DEBT, debt))
    return [
        Transfer(
            kind,
            source,
            AccountKind.EXCHANGE,
            amount,
            cause=top_up.refund_cause,
            owner=top_up.owner,
            actor=refund.caller.name,
            reason=refund.reason,
        )
        for source, amount in parts
        if amount
    ]


async def end_refund(
    deps: Dependencies, tx: Transaction, top_up: TopUp, *, state: TopUpState
) -> TopUp:
    """Book that a payment went back, and that its refund is over."""
    deps.meter.refunds.labels("returned" if state is TopUpState.REFUNDED else str(state)).inc()
    await _return_stars(tx, top_up, actor="service")
    return await tx.top_ups.end_refund(top_up, state=state)


async def _return_stars(tx: Transaction, top_up: TopUp, *, actor: str) -> None:
    if top_up.currency == STARS and top_up.amount:
        transfer = Transfer(
            TransferKind.STARS_OUT,
            AccountKind.EXCHANGE,
            AccountKind.TELEGRAM,
            top_up.amount,
            cause=top_up.payment_cause,
            currency=Currency.XTR,
            actor=actor,
            detail={"top_up": str(top_up.id)},
        )
        await tx.ledger.move([transfer])
