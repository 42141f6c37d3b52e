"""Gives an owner credits, or takes granted ones away again."""

from dataclasses import dataclass
from uuid import NAMESPACE_URL, UUID, uuid5

from generation_svc.domain.caller import Caller
from generation_svc.domain.ledger import AccountKind, Transfer, TransferKind, Wallet
from generation_svc.domain.money_error import GrantMissing, GrantReused
from generation_svc.domain.port.transaction import Transaction
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.usecase.read_wallet import check_money


@dataclass(frozen=True, slots=True)
class GrantRequest:
    """What an operator wants to give, or to take: then it is less than 0."""

    caller: Caller
    request_id: str
    owner: str
    credits: int
    reason: str

    @property
    def id(self) -> UUID:
        """What the grant is found by: the same for every retry."""
        return uuid5(NAMESPACE_URL, f"grant/{self.caller.name}/{self.request_id}")


async def grant_credits(deps: Dependencies, request: GrantRequest) -> Wallet:
    """Make a grant once, and return the wallet after it.

    Of granted credits as many are taken as are there. If there are none, it is refused: nothing
    would say that it was made, and a retry might take what is granted by then. Raises MoneyOff,
    GrantMissing, and GrantReused for a request_id of another grant.
    """
    check_money(deps)
    async with deps.database.transaction() as tx:
        # First, so that of two retries the second one sees what the first one wrote.
        wallet = (await tx.ledger.lock([request.owner]))[request.owner]
        if await _is_made(tx, request):
            return wallet
        transfer = _transfer(request, granted=wallet.granted)
        if transfer is None:
            raise GrantMissing(request.owner)
        if not await tx.ledger.move([transfer]):  # made for another owner, in this very moment
            raise GrantReused(request.request_id)
        return await tx.ledger.wallet(request.owner)


async def _is_made(tx: Transaction, request: GrantRequest) -> bool:
    earlier = await tx.ledger.find(str(request.id))
    if not earlier:
        return False
    made = earlier[0]
    if (made.owner, made.detail.get("credits")) != (request.owner, request.credits):
        raise GrantReused(request.request_id)
    return True


def _transfer(request: GrantRequest, *, granted: int) -> Transfer | None:
    accounts = (AccountKind.GRANTS, AccountKind.GRANTED)
    source, target = accounts if request.credits > 0 else reversed(accounts)
    amount = request.credits if request.credits > 0 else min(-request.credits, granted)
    if not amount:
        return None
    return Transfer(
        TransferKind.GRANT,
        source,
        target,
        amount,
        cause=str(request.id),
        owner=request.owner,
        actor=request.caller.name,
        reason=request.reason,
        detail={"credits": request.credits},
    )
