"""What an operator says of Stars that Telegram's list leaves open, and how that is booked."""

from dataclasses import dataclass

from generation_svc.domain.caller import Caller
from generation_svc.domain.ledger import AccountKind, Currency, Transfer, TransferKind
from generation_svc.domain.star import StarTransaction
from generation_svc.domain.top_up import StarDirection


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an operator says of a transaction in Stars: nothing else is the bot owner's own."""

    caller: Caller
    bot_id: int
    star_id: str
    direction: StarDirection
    reason: str
    owner: str = ""
    """Whose wallet gets the credits of what came."""
    pack_id: str = ""
    credits: int = 0
    top_up_id: str = ""
    """Whose chargeback it is that Stars went."""

    @property
    def verdict(self) -> str:
        """What is noted of it."""
        if self.owner:
            return f"owner {self.owner} {self.pack_id or self.credits}"
        return f"chargeback {self.top_up_id}" if self.top_up_id else "bot_owner"


def returned_transfers(transaction: StarTransaction) -> list[Transfer]:
    """Return how a payment goes back that an operator said is the bot owner's own."""
    return settled_transfers(
        transaction,
        amounts=(transaction.amount, transaction.nano),
        way=(AccountKind.BOT_OWNER, AccountKind.TELEGRAM),
        reason="A payment that was settled as the bot owner's went back.",
    )


def settled_transfers(
    transaction: StarTransaction,
    *,
    amounts: tuple[int, int],
    way: tuple[AccountKind, AccountKind],
    reason: str,
    actor: str = "service",
) -> list[Transfer]:
    """Return how so many Stars and nanostars go from one account to another.

    Either goes back the same way if it is less than nothing.
    """
    cause = transaction.cause if transaction.is_in else f"{transaction.cause}/out"
    parts = ((Currency.XTR, ""), (Currency.XTR_NANO, "/nano"))
    return [
        Transfer(
            TransferKind.CORRECTION,
            *(way if amount > 0 else way[::-1]),
            abs(amount),
            cause=cause + suffix,
            currency=currency,
            actor=actor,
            reason=reason,
            detail={"bot_id": transaction.bot_id},
        )
        for amount, (currency, suffix) in zip(amounts, parts, strict=True)
        if amount
    ]
