"""Keeps the Stars of payments that cannot be credited, until somebody knows what they are for."""

from generation_svc.domain.caller import Caller
from generation_svc.domain.error import AtelierError
from generation_svc.domain.ledger import AccountKind, Currency, Transfer, TransferKind
from generation_svc.domain.money_error import TopUpInvalid, TopUpReused
from generation_svc.domain.port.transaction import Transaction
from generation_svc.domain.top_up import Payment


async def is_suspended(tx: Transaction, payment: Payment) -> bool:
    """Return whether a payment lies in suspense. Raises TopUpReused for one of other content."""
    if not payment.is_stars:
        return False
    moved = await tx.ledger.find(payment.suspense or payment.cause)
    if any(each.kind is TransferKind.CORRECTION for each in moved):
        raise TopUpInvalid("an operator settled its Stars otherwise")
    found = [each for each in moved if each.target is AccountKind.SUSPENSE]
    for each in [] if payment.suspense else found:
        if each.detail.get("owner") != payment.owner:
            raise reused(payment, "owner")
        if each.amount != payment.amount:
            raise reused(payment, "amount")
    return bool(found)


async def suspend(
    tx: Transaction, caller: Caller, *, payment: Payment, refusal: AtelierError
) -> AtelierError:
    """Keep Stars that came until somebody knows what they are for."""
    if payment.is_stars and payment.amount:
        detail = {
            "owner": payment.owner,
            "pack_id": payment.pack_id,
            "credits": payment.credits,
            "bot_id": payment.bot_id,
        }
        transfer = Transfer(
            TransferKind.STARS_IN,
            AccountKind.TELEGRAM,
            AccountKind.SUSPENSE,
            payment.amount,
            cause=payment.cause,
            currency=Currency.XTR,
            actor=caller.name,
            reason=str(refusal),
            detail=detail,
        )
        await tx.ledger.move([transfer])
    return refusal


def reused(payment: Payment, field: str) -> TopUpReused:
    """Return what a payment is refused with whose id was recorded with another content."""
    return TopUpReused(payment.provider, external_id=payment.external_id, field=field)
