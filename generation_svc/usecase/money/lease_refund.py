"""Has the bot return the payments whose credits were taken back, and hears what Telegram said."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from generation_svc.domain.caller import Caller
from generation_svc.domain.error import StaleLease
from generation_svc.domain.ledger import AccountKind, Transfer, TransferKind, set_off
from generation_svc.domain.port.transaction import Transaction
from generation_svc.domain.top_up import TopUp, TopUpState
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.usecase.money.permission import check_money
from generation_svc.usecase.money.refund_top_up import end_refund, locked_top_up
from generation_svc.usecase.money.transfer import move_all

LEASE = timedelta(seconds=60)
"""How long a bot has to return a payment, and the pause before the next try."""
ALREADY_RETURNED = "CHARGE_ALREADY_REFUNDED"
"""Telegram's word for a payment that went back before: what was wanted is so."""
NEVER_PAID = "CHARGE_NOT_FOUND"
"""Telegram's word for a payment that the bot never got, which is final."""

_logger = structlog.get_logger(__name__)


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


async def lease_refunds(
    deps: Dependencies, caller: Caller, *, bot_id: int, limit: int
) -> Sequence[TopUp]:
    """Lease payments that a bot is to return. Raises PermissionDenied and MoneyOff."""
    caller.require_bot(bot_id)
    check_money(deps)
    async with deps.database.transaction() as tx:
        return await tx.top_ups.lease_refunds(bot_id, span=LEASE, limit=limit)


async def report_refund(deps: Dependencies, report: RefundReport) -> TopUp:
    """Note what became of a leased refund. Raises TopUpNotFound and StaleLease.

    A report may come again, and late, as long as nobody else leased the refund.
    """
    check_money(deps)
    async with deps.database.transaction() as tx:
        top_up = await locked_top_up(tx, report.top_up_id)
        if str(top_up.lease_token) != report.lease_token:
            raise StaleLease
        report.caller.require_bot(top_up.bot_id or 0)
        if top_up.is_due_again:
            return await _note_again(deps, tx, top_up, report)
        if top_up.state is not TopUpState.REFUNDING:
            return top_up
        if report.is_returned:
            return await end_refund(deps, tx, top_up, state=TopUpState.REFUNDED)
        return await _note_error(deps, tx, top_up, report)


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
    await move_all(tx, transfers)
