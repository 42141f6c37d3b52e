"""How transactions in Stars are booked where no user's credits depend on them."""

from generation_svc.domain.ledger import AccountKind, Currency, Transfer, TransferKind
from generation_svc.domain.star import NANO, STRANGERS, StarTransaction

Amounts = tuple[int, int]
"""Stars, and nanostars."""
Way = tuple[AccountKind, AccountKind]
"""From where, and to where."""
# A cause has one transfer of a kind between two accounts, whatever its currency.
_PARTS = ((Currency.XTR, ""), (Currency.XTR_NANO, "/nano"))


def own_transfers(told: StarTransaction) -> list[Transfer]:
    """Return how the bot owner's own business is booked, or what is nobody's."""
    other = AccountKind.SUSPENSE if told.partner in STRANGERS else AccountKind.BOT_OWNER
    return _transfers(
        told,
        kind=_kind(is_in=told.is_in),
        way=_way(other, is_in=told.is_in),
        amounts=(told.amount, told.nano),
        cause=told.cause,
        reason=told.partner or "unknown",
    )


def share_transfers(told: StarTransaction) -> list[Transfer]:
    """Return how the share of an affiliate is booked: the bot never got it, and it comes back."""
    is_in = not told.is_in
    return _transfers(
        told,
        kind=_kind(is_in=is_in),
        way=_way(AccountKind.BOT_OWNER, is_in=is_in),
        amounts=divmod(told.share, NANO),
        cause=told.cause,
        reason="affiliate",
    )


def suspended_transfer(told: StarTransaction, *, reason: str) -> Transfer | None:
    """Return how a payment is kept that is nobody's; an operator may credit it from there."""
    paid = told.paid
    if not paid:
        return None
    return Transfer(
        _kind(is_in=told.is_in),
        *_way(AccountKind.SUSPENSE, is_in=told.is_in),
        paid,
        cause=told.cause,
        currency=Currency.XTR,
        reason=reason,
        detail={"owner": f"telegram:{told.user_id}", "bot_id": told.bot_id},
    )


def attributed_transfer(told: StarTransaction) -> Transfer:
    """Return how Stars leave suspense that are found to be the chargeback of a top-up."""
    return Transfer(
        TransferKind.CORRECTION,
        AccountKind.TELEGRAM,
        AccountKind.SUSPENSE,
        told.amount,
        cause=told.cause,
        currency=Currency.XTR,
        reason="It is the chargeback of a top-up.",
    )


def returned_transfers(told: StarTransaction) -> list[Transfer]:
    """Return how a payment goes back that an operator said is the bot owner's own."""
    return settled_transfers(
        told,
        amounts=(told.amount, told.nano),
        way=(AccountKind.BOT_OWNER, AccountKind.TELEGRAM),
        reason="A payment that was settled as the bot owner's went back.",
    )


def settled_transfers(
    told: StarTransaction, *, amounts: Amounts, way: Way, reason: str, actor: str = "service"
) -> list[Transfer]:
    """Return how so many Stars and nanostars go from one account to another.

    Either goes back the same way if it is less than nothing.
    """
    return _transfers(
        told,
        kind=TransferKind.CORRECTION,
        way=way,
        amounts=amounts,
        cause=told.cause if told.is_in else f"{told.cause}/out",
        reason=reason,
        actor=actor,
    )


def _transfers(
    told: StarTransaction,
    *,
    kind: TransferKind,
    way: Way,
    amounts: Amounts,
    cause: str,
    reason: str,
    actor: str = "service",
) -> list[Transfer]:
    return [
        Transfer(
            kind,
            *(way if amount > 0 else way[::-1]),
            abs(amount),
            cause=cause + suffix,
            currency=currency,
            actor=actor,
            reason=reason,
            detail={"bot_id": told.bot_id},
        )
        for amount, (currency, suffix) in zip(amounts, _PARTS, strict=True)
        if amount
    ]


def _kind(*, is_in: bool) -> TransferKind:
    return TransferKind.STARS_IN if is_in else TransferKind.STARS_OUT


def _way(other: AccountKind, *, is_in: bool) -> Way:
    telegram = AccountKind.TELEGRAM
    return (telegram, other) if is_in else (other, telegram)
