"""Says whether a payment would be credited, before it is made."""

from generation_svc.domain.caller import Caller, Scope
from generation_svc.domain.clock import day_after
from generation_svc.domain.money_error import (
    MoneyModeMismatch,
    OwnerBlocked,
    SalesClosed,
    TopUpCapReached,
    TopUpInvalid,
)
from generation_svc.domain.top_up import STARS, Pack, Payment, is_at_home, telegram_user
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.usecase.money.permission import check_money, check_owner


def list_packs(deps: Dependencies) -> tuple[Pack, ...]:
    """Return what is sold for Stars, the cheapest first. Raises MoneyOff."""
    check_money(deps)
    return deps.money.packs


async def is_open(deps: Dependencies) -> bool:
    """Return whether packs can be bought now."""
    state = await deps.database.read(lambda tx: tx.money.state())
    return bool(deps.money.packs) and (state is None or state.closed is None)


async def check_top_up(
    deps: Dependencies, caller: Caller, *, payment: Payment, telegram_host: str
) -> None:
    """Raise what a payment that is about to be made would be refused for.

    It locks nothing and asks the database once, for Telegram waits no longer than 10 s: raises
    MoneyModeMismatch, TopUpInvalid, OwnerBlocked, SalesClosed and TopUpCapReached.
    """
    check_owner(deps, caller, owner=payment.owner)
    check_host(deps, telegram_host)
    pack = _offered(deps.money.packs, payment)
    standing = await deps.database.read(
        lambda tx: tx.top_ups.standing(payment.owner, caller=caller.name)
    )
    if standing.is_blocked:
        raise OwnerBlocked(payment.owner)
    if standing.closed is not None:
        raise SalesClosed(standing.closed)
    refusal = cap_refusal(deps, caller, used=standing.unconfirmed, credits_=pack.credits)
    if refusal:
        raise refusal


def check_host(deps: Dependencies, telegram_host: str) -> None:
    """Raise MoneyModeMismatch for Stars of a Telegram that is not this ledger's."""
    mode = deps.money.mode
    if mode is None or is_at_home(telegram_host, mode=mode):
        return
    advice = f"Stars of {telegram_host} do not belong here. Point the bot at the service whose"
    raise MoneyModeMismatch(mode, advice=f"{advice} MONEY fits, or at another Telegram.")


def cap_of(deps: Dependencies, caller: Caller) -> int | None:
    """Return how many unconfirmed credits a caller may record in a day; None for any number."""
    if Scope.WALLET_OPERATE in caller.scopes:
        return None
    return caller.daily_top_up_credits or deps.money.daily_credits


def cap_refusal(
    deps: Dependencies, caller: Caller, *, used: int, credits_: int
) -> TopUpCapReached | None:
    """Return why a caller may not record so many more unconfirmed credits today; None if it may."""
    cap = cap_of(deps, caller)
    if cap is None or used + credits_ <= cap:
        return None
    now = deps.database.now()
    retry_after = day_after(now) - now
    return TopUpCapReached(limit=cap, used=used, credits_=credits_, retry_after=retry_after)


def owner_problem(payment: Payment) -> str | None:
    """Return why the owner cannot have paid in Stars, which have to find back to a user."""
    if payment.is_stars and not payment.payer and telegram_user(payment.owner) is None:
        return f"owner {payment.owner!r} is no user of Telegram, such as 'telegram:7'"
    return None


def _offered(packs: tuple[Pack, ...], payment: Payment) -> Pack:
    """Return the pack that is to be bought, at what it costs now. Raises TopUpInvalid."""
    pack = next((each for each in packs if each.id == payment.pack_id), None)
    if pack is None:
        raise TopUpInvalid(f"no pack {payment.pack_id!r} is sold")
    if payment.currency != STARS:
        raise TopUpInvalid(f"currency is {payment.currency!r}, and packs are sold for {STARS}")
    if payment.amount != pack.stars:
        raise TopUpInvalid(f"amount is {payment.amount}, and the pack costs {pack.stars}")
    problem = owner_problem(payment)
    if problem:
        raise TopUpInvalid(problem)
    return pack
