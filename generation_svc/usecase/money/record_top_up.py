"""Turns a payment into credits, once: the one door for every way to pay.

A payment that was made is never lost. One in Stars that cannot be credited goes into suspense,
where an operator finds it; whoever records it again, once what was in the way is gone, takes it out
of there.
"""

from dataclasses import dataclass

import structlog

from generation_svc.domain.caller import Caller, Scope
from generation_svc.domain.error import AtelierError, PermissionDenied
from generation_svc.domain.identifier import new_id
from generation_svc.domain.ledger import (
    MOST_CREDITS,
    AccountKind,
    Currency,
    Transfer,
    TransferKind,
    Wallet,
    set_off,
)
from generation_svc.domain.money_error import TopUpInvalid
from generation_svc.domain.port.transaction import Transaction
from generation_svc.domain.star import StarDirection
from generation_svc.domain.top_up import (
    STARS,
    TELEGRAM_STARS,
    Payment,
    TopUp,
    TopUpState,
    telegram_user,
)
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.usecase.money.check_top_up import cap_of, cap_refusal, check_host
from generation_svc.usecase.money.payment_value import value_of
from generation_svc.usecase.money.permission import check_owner
from generation_svc.usecase.money.suspense import is_suspended, reused, suspend

_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RecordedTopUp:
    """What became of a payment."""

    top_up: TopUp
    is_new: bool
    wallet: Wallet


async def record_top_up(
    deps: Dependencies, caller: Caller, *, payment: Payment, telegram_host: str
) -> RecordedTopUp:
    """Credit a payment once; also while sales are closed, and to an owner who is blocked.

    Raises PermissionDenied, MoneyOff, MoneyModeMismatch, TopUpReused, and, after it put what
    came into suspense, TopUpInvalid and TopUpCapReached.
    """
    _check(deps, caller, payment, telegram_host=telegram_host)
    async with deps.database.transaction() as tx:
        outcome = await record_in(deps, tx, caller=caller, payment=payment)
    if isinstance(outcome, AtelierError):
        _alert(deps, payment, outcome)
        raise outcome
    return outcome


def _check(deps: Dependencies, caller: Caller, payment: Payment, *, telegram_host: str) -> None:
    check_owner(deps, caller, owner=payment.owner)
    if Scope.WALLET_OPERATE not in caller.scopes:
        _check_rights(caller, payment)
    if payment.is_stars or telegram_host:
        check_host(deps, telegram_host)
    if payment.is_stars is not (payment.provider == TELEGRAM_STARS):
        raise TopUpInvalid(f"{payment.provider} takes no {payment.currency}")


def _check_rights(caller: Caller, payment: Payment) -> None:
    """Raise PermissionDenied for a bot of others, and for what would pay for its own jobs."""
    if payment.bot_id is not None:
        caller.require_bot(payment.bot_id)
    if payment.owner == caller.wallet:
        wanted = Scope.WALLET_OPERATE
        words = f"Only a caller with {wanted} records what fills the wallet of its own jobs."
        raise PermissionDenied(words, missing=wanted)


async def record_in(
    deps: Dependencies, tx: Transaction, *, caller: Caller, payment: Payment
) -> RecordedTopUp | AtelierError:
    """Credit a payment once within a transaction; return what it is refused for, if it is."""
    # One after the other where they are counted, and first, before the wallet is locked.
    is_counted = cap_of(deps, caller) is not None
    unconfirmed = await tx.top_ups.take_turn(caller.name) if is_counted else 0
    # Locked before looking, so that of two calls at once the second sees what the first one wrote.
    wallet = (await tx.ledger.lock([payment.owner]))[payment.owner]
    earlier = await tx.top_ups.find(payment.provider, payment.external_id)
    if earlier:
        return _repeated(earlier, payment, wallet=wallet)
    was_suspended = await is_suspended(tx, payment)
    credits_, refusal = await value_of(tx, caller, payment)
    if not refusal and wallet.has_no_room(credits_):
        refusal = TopUpInvalid(f"the owner would have more than {MOST_CREDITS} credits")
    if not refusal:
        refusal = cap_refusal(deps, caller, used=unconfirmed, credits_=credits_)
        # The limit is for what is not reconciled: this payment Telegram has listed itself.
        refusal = None if refusal and await _is_listed(tx, payment) else refusal
    if refusal and was_suspended:
        return refusal
    if refusal:
        return await suspend(tx, caller, payment=payment, refusal=refusal)
    top_up = _top_up(tx, caller, payment=payment, credits_=credits_)
    return await _credit(deps, tx, payment, wallet, top_up=top_up, was_suspended=was_suspended)


def _repeated(earlier: TopUp, payment: Payment, *, wallet: Wallet) -> RecordedTopUp:
    field = earlier.difference(payment)
    if field:
        raise reused(payment, field)
    return RecordedTopUp(earlier, False, wallet)


def _top_up(tx: Transaction, caller: Caller, *, payment: Payment, credits_: int) -> TopUp:
    return TopUp(
        id=new_id(tx.now()),
        provider=payment.provider,
        external_id=payment.external_id,
        owner=payment.owner,
        pack_id=payment.pack_id,
        credits=credits_,
        amount=payment.amount,
        currency=payment.currency,
        state=TopUpState.CREDITED,
        caller=caller.name,
        bot_id=payment.bot_id,
        user_id=(payment.payer or telegram_user(payment.owner)) if payment.is_stars else None,
    )


async def _credit(
    deps: Dependencies,
    tx: Transaction,
    payment: Payment,
    wallet: Wallet,
    *,
    top_up: TopUp,
    was_suspended: bool,
) -> RecordedTopUp:
    if not await tx.top_ups.add(top_up, is_untold=payment.is_untold):
        raise reused(payment, "owner")  # recorded for another one, in this very moment
    debt, rest = set_off(top_up.credits, debt=wallet.debt)
    parts = (
        (TransferKind.DEBT_PAYMENT, AccountKind.DEBT, debt),
        (TransferKind.TOP_UP, AccountKind.PAID, rest),
    )
    stars = _stars(top_up, AccountKind.SUSPENSE if was_suspended else AccountKind.TELEGRAM)
    moved = [
        _credits(top_up, kind, target=target, amount=amount)
        for kind, target, amount in parts
        if amount
    ]
    await tx.ledger.move(moved + ([stars] if stars else []))
    deps.meter.top_ups.labels(payment.provider).inc()
    deps.meter.top_up_credits.labels(payment.provider).inc(top_up.credits)
    deps.meter.debt_credits.labels("paid").inc(debt)
    made = await tx.top_ups.get(top_up.id)
    assert made is not None  # it was written just now
    return RecordedTopUp(made, True, await tx.ledger.wallet(top_up.owner))


def _credits(top_up: TopUp, kind: TransferKind, *, target: AccountKind, amount: int) -> Transfer:
    return Transfer(
        kind,
        AccountKind.EXCHANGE,
        target,
        amount,
        cause=str(top_up.id),
        owner=top_up.owner,
        actor=top_up.caller,
    )


def _stars(top_up: TopUp, source: AccountKind) -> Transfer | None:
    if top_up.currency != STARS or not top_up.amount:
        return None
    return Transfer(
        TransferKind.STARS_IN,
        source,
        AccountKind.EXCHANGE,
        top_up.amount,
        cause=top_up.payment_cause,
        currency=Currency.XTR,
        actor=top_up.caller,
        detail={"top_up": str(top_up.id)},
    )


async def _is_listed(tx: Transaction, payment: Payment) -> bool:
    """Return whether Telegram's own list has the payment, of this user and amount."""
    if not payment.is_stars or payment.bot_id is None:
        return False
    told = await tx.stars.find(payment.bot_id, payment.external_id, direction=StarDirection.IN)
    mine = (payment.amount, telegram_user(payment.owner))
    return told is not None and told.is_of_invoice and (told.paid, told.user_id) == mine


def _alert(deps: Dependencies, payment: Payment, refusal: AtelierError) -> None:
    deps.meter.suspended.labels(type(refusal).__name__).inc()
    _logger.error(
        "a payment cannot be credited",
        provider=payment.provider,
        external_id=payment.external_id,
        owner=payment.owner,
        amount=payment.amount,
        currency=payment.currency,
        problem=str(refusal),
    )
