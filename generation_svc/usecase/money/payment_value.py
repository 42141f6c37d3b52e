"""Says how many credits a payment brings."""

from generation_svc.domain.caller import Caller, Scope
from generation_svc.domain.error import AtelierError
from generation_svc.domain.money_error import TopUpInvalid
from generation_svc.domain.port.transaction import Transaction
from generation_svc.domain.top_up import STARS, Payment, sold_at
from generation_svc.usecase.money.check_top_up import owner_problem


async def value_of(
    tx: Transaction, caller: Caller, payment: Payment
) -> tuple[int, AtelierError | None]:
    """Return how many credits a payment brings, or why that cannot be said."""
    problem = owner_problem(payment)
    if problem:
        return 0, TopUpInvalid(problem)
    if payment.is_stars and payment.bot_id is None:
        return 0, TopUpInvalid("it names no bot that could return it")
    if payment.pack_id:
        return await _value_of_pack(tx, payment)
    if not payment.credits:
        return 0, TopUpInvalid("it names neither a pack nor credits")
    if payment.is_stars and Scope.WALLET_OPERATE not in caller.scopes:
        return 0, TopUpInvalid("only an operator credits Stars without a pack")
    return payment.credits, None


async def _value_of_pack(tx: Transaction, payment: Payment) -> tuple[int, AtelierError | None]:
    if not payment.is_stars:
        return 0, TopUpInvalid(f"packs are sold for {STARS}, not for {payment.currency}")
    packs = await tx.top_ups.offered(payment.pack_id)
    pack = sold_at(payment, packs)
    if pack:
        return pack.credits, None
    words = f"pack {payment.pack_id!r} never cost {payment.amount} {payment.currency}"
    return 0, TopUpInvalid(words + (f" for {payment.credits} credits" if payment.credits else ""))
