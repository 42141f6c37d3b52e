"""Takes the credits of a top-up back, and has the bot return its payment.

The credits go first, in the transaction that decides it. The payment goes back by the edge, which
alone has the bot's token: it leases what is to be returned, and says what Telegram answered.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog

from generation_svc.domain.caller import Caller
from generation_svc.domain.error import StaleLease
from generation_svc.domain.ledger import (
    AccountKind,
    Currency,
    Transfer,
    TransferKind,
    set_off,
    taken_back,
)
from generation_svc.domain.money_error import TopUpNotFound, TopUpSpent
from generation_svc.domain.port.transaction import Transaction
from generation_svc.domain.top_up import STARS, TopUp, TopUpState
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.usecase.wallet_permission import check_money

LEASE = timedelta(seconds=60)
ALREADY_RETURNED = "CHARGE_ALREADY_REFUNDED"
"""Telegram's word for a payment that went back before: what was wanted is so."""
NEVER_PAID = "CHARGE_NOT_FOUND"
"""Telegram's word for a payment that the bot never got, which is final."""

_logger = structlog.get_logger(__name__)


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


@dataclass(frozen=True, slots=True)
class RefundReport:
    """What Telegram said to a refund that an edge had leased."""

    caller: Caller
    top_up_id: str
    lease_token: str
    error: str = ""
    """Empty if the payment went back."""

    @property
    def is_returned(self) -> bool:
        """Whether the payment is with the user, by this try or an earlier one."""
        return not self.error or self._says(ALREADY_RETURNED)

    @property
    def is_refused(self) -> bool:
        """Whether no further try can return it."""
        return self._says(NEVER_PAID)

    def _says(self, word: str) -> bool:
        """Return whether Telegram's answer is this one; clients change the case of its words."""
        return word in self.error.upper()


async def refund_top_up(deps: Dependencies, refund: Refund) -> TopUp:
    """Take a top-up back once. Raises MoneyOff, TopUpNotFound and TopUpSpent."""
    check_money(deps)
    async with deps.database.transaction() as tx:
        return await refund_in(deps, tx, refund=refund)


async def refund_in(deps: Dependencies, tx: Transaction, *, refund: Refund) -> TopUp:
    """Take a top-up back within a transaction. Raises TopUpNotFound and TopUpSpent."""
    top_up = await _locked(tx, refund.top_up_id)
    if top_up.state is TopUpState.CREDITED:
        return await _take_back(deps, tx, top_up, refund)
    if top_up.state is TopUpState.REFUNDING and refund.is_charged_back:
        return await _end(deps, tx, top_up, state=TopUpState.CHARGED_BACK)
    return top_up


async def confirm_refund(deps: Dependencies, top_up_id: UUID) -> None:
    """Note that a payment which was to go back did, by Telegram's own list."""
    async with deps.database.transaction() as tx:
        top_up = await _locked(tx, str(top_up_id))
        if top_up.state is TopUpState.REFUNDING:
            await _end(deps, tx, top_up, state=TopUpState.REFUNDED)


async def lease_refunds(
    deps: Dependencies, caller: Caller, *, bot_id: int, limit: int
) -> Sequence[TopUp]:
    """Lease payments that a bot is to return. Raises PermissionDenied and MoneyOff."""
    caller.require_bot(bot_id)
    check_money(deps)
    async with deps.database.transaction() as tx:
        return await tx.top_ups.lease_refunds(bot_id, span=LEASE, limit=limit)


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
        top_up = await _locked(tx, top_up_id)
        caller.require_bot(top_up.bot_id or 0)
        await tx.top_ups.told(top_up.id, state=state or top_up.state)


async def wants_stars(deps: Dependencies, *, bot_id: int) -> bool:
    """Return whether a bot's list of Stars is to be read now, as an operator ordered."""
    return await deps.database.read(lambda tx: tx.stars.is_ordered(bot_id))


async def report_refund(deps: Dependencies, report: RefundReport) -> TopUp:
    """Note what became of a leased refund. Raises TopUpNotFound and StaleLease.

    A report may come again, and late, as long as nobody else leased the refund.
    """
    check_money(deps)
    async with deps.database.transaction() as tx:
        top_up = await _locked(tx, report.top_up_id)
        if str(top_up.lease_token) != report.lease_token:
            raise StaleLease
        report.caller.require_bot(top_up.bot_id or 0)
        if top_up.is_due_again:
            return await _note_again(deps, tx, top_up, report)
        if top_up.state is not TopUpState.REFUNDING:
            return top_up
        if report.is_returned:
            return await _end(deps, tx, top_up, state=TopUpState.REFUNDED)
        return await _note_error(deps, tx, top_up, report)


async def _locked(tx: Transaction, text: str) -> TopUp:
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
    await _move(tx, _taken(top_up, refund, bought=bought, debt=debt))
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


async def _end(deps: Dependencies, tx: Transaction, top_up: TopUp, *, state: TopUpState) -> TopUp:
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


async def _note_error(
    deps: Dependencies, tx: Transaction, top_up: TopUp, report: RefundReport
) -> TopUp:
    """Give the credits back if the payment can never go back; else the lease is the pause."""
    _complain(top_up, report)
    deps.meter.refunds.labels("refused" if report.is_refused else "failed").inc()
    if not report.is_refused:
        return await tx.top_ups.end_refund(top_up, state=TopUpState.REFUNDING, error=report.error)
    await _give_back(tx, top_up, report)
    return await tx.top_ups.end_refund(top_up, state=TopUpState.CREDITED, error=report.error)


async def _note_again(
    deps: Dependencies, tx: Transaction, top_up: TopUp, report: RefundReport
) -> TopUp:
    """Note what became of a payment that was to be returned once more; its credits are gone."""
    if not report.is_returned:
        _complain(top_up, report)
        deps.meter.refunds.labels("refused" if report.is_refused else "failed").inc()
        if not report.is_refused:
            return top_up  # the lease is the pause
    return await tx.top_ups.end_return(top_up, error="" if report.is_returned else report.error)


def _complain(top_up: TopUp, report: RefundReport) -> None:
    _logger.error(
        "a payment was not returned",
        top_up_id=str(top_up.id),
        owner=top_up.owner,
        problem=report.error,
        is_final=report.is_refused,
    )


async def _give_back(tx: Transaction, top_up: TopUp, report: RefundReport) -> None:
    """Write the refund the other way round, which leaves the owner with what it paid."""
    wallet = (await tx.ledger.lock([top_up.owner]))[top_up.owner]
    debt, rest = set_off(top_up.credits, debt=wallet.debt)
    parts = ((AccountKind.DEBT, debt), (AccountKind.PAID, rest))
    transfers = [
        Transfer(
            TransferKind.REFUND,
            AccountKind.EXCHANGE,
            target,
            amount,
            cause=top_up.refund_cause,
            owner=top_up.owner,
            actor=report.caller.name,
            reason=f"Not refunded: {report.error}"[:200],
        )
        for target, amount in parts
        if amount
    ]
    await _move(tx, transfers)


async def _move(tx: Transaction, transfers: Sequence[Transfer]) -> None:
    """Write all of them: else a payment would go back, and its credits stay, or the reverse."""
    written = await tx.ledger.move(transfers)
    assert written == len(transfers), "a round of the refund was written before"
