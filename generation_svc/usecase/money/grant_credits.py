"""Gives an owner credits, or takes granted ones away again."""

from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid5

from generation_svc.domain.caller import Caller
from generation_svc.domain.error import FieldViolation, InvalidInputs
from generation_svc.domain.ledger import (
    MOST_CREDITS,
    AccountKind,
    Grant,
    Transfer,
    TransferKind,
    Wallet,
)
from generation_svc.domain.money_error import GrantReused
from generation_svc.domain.port.transaction import Transaction
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.usecase.money.permission import check_money


@dataclass(frozen=True, slots=True)
class GrantRequest:
    """What an operator wants to give, or to take: then it is less than 0."""

    caller: Caller
    request_id: str
    owner: str
    credits: int
    reason: str

    @property
    def grant(self) -> Grant:
        """What is noted of it, by an id that is the same for every retry."""
        grant_id = uuid5(NAMESPACE_URL, f"grant/{self.caller.name}/{self.request_id}")
        return Grant(grant_id, self.owner, self.credits, self.caller.name, self.reason)


@dataclass(frozen=True, slots=True)
class GrantOutcome:
    """What became of a grant."""

    wallet: Wallet
    changed: int
    """By how much it changed the balance, when it was made."""


async def grant_credits(deps: Dependencies, request: GrantRequest) -> GrantOutcome:
    """Make a grant once, and return what it did; a retry finds that and does nothing.

    Of granted credits as many are taken as are there. Raises MoneyOff, GrantReused for a
    request_id of another grant, and InvalidInputs for more credits than a wallet holds.
    """
    check_money(deps)
    grant = request.grant
    async with deps.database.transaction() as tx:
        # Noted before the wallet is locked, and also where nothing is moved: of two calls with one
        # id the second waits here, and finds what the first one did.
        noted, is_new = await tx.ledger.note_grant(grant)
        _check_same(request, owner=noted.owner, credits_=noted.credits)
        wallet = (await tx.ledger.lock([grant.owner]))[grant.owner]
        changed = await _earlier(tx, request)
        if is_new and changed is None:
            changed = await _make(tx, grant, wallet=wallet)
            wallet = await tx.ledger.wallet(grant.owner)
        return GrantOutcome(wallet, changed or 0)


async def _earlier(tx: Transaction, request: GrantRequest) -> int | None:
    """Return what the grant changed before; None if it moved nothing."""
    moved = await tx.ledger.find(str(request.grant.id))
    if not moved:
        return None
    # A release that noted no grants may have made it.
    _check_same(request, owner=moved[0].owner, credits_=moved[0].detail.get("credits"))
    return sum(each.change for each in moved)


def _check_same(request: GrantRequest, *, owner: str | None, credits_: object) -> None:
    """Raise GrantReused unless a grant of before is what is asked for."""
    if owner != request.owner:
        raise GrantReused(request.request_id, field="owner")
    if credits_ != request.credits:
        raise GrantReused(request.request_id, field="credits")


async def _make(tx: Transaction, grant: Grant, *, wallet: Wallet) -> int:
    if wallet.has_no_room(grant.credits):
        problem = f"The owner would have more than {MOST_CREDITS} credits."
        raise InvalidInputs((FieldViolation("credits", problem),))
    transfer = _transfer(grant, granted=wallet.granted)
    if transfer is None:
        return 0
    await tx.ledger.move([transfer])
    return transfer.change


def _transfer(grant: Grant, *, granted: int) -> Transfer | None:
    accounts = (AccountKind.GRANTS, AccountKind.GRANTED)
    source, target = accounts if grant.credits > 0 else reversed(accounts)
    amount = grant.credits if grant.credits > 0 else min(-grant.credits, granted)
    if not amount:
        return None
    return Transfer(
        TransferKind.GRANT,
        source,
        target,
        amount,
        cause=str(grant.id),
        owner=grant.owner,
        actor=grant.actor,
        reason=grant.reason,
        detail={"credits": grant.credits},
    )
