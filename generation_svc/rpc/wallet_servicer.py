"""`WalletService`: what owners have, and what operators give them."""

from atelier.wallet.v1 import wallet_service_pb2 as pb
from atelier.wallet.v1 import wallet_service_pb2_grpc as pb_grpc
from generation_svc.domain.error import InvalidPageToken
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.rpc.bound import Bounds
from generation_svc.rpc.call import ServicerContext
from generation_svc.rpc.caller import current_caller
from generation_svc.rpc.convert_wallet import (
    allowance_to_proto,
    limit_to_proto,
    transfer_to_proto,
    wallet_to_proto,
)
from generation_svc.rpc.page_token import PageQuery
from generation_svc.rpc.top_up_servicer import TopUpServicer
from generation_svc.rpc.wallet_check import LedgerCheckServicer
from generation_svc.rpc.wallet_import import BalanceImportServicer
from generation_svc.rpc.wallet_operator import OperatorServicer
from generation_svc.rpc.wallet_settle import StarSettlementServicer
from generation_svc.rpc.wallet_star import StarServicer
from generation_svc.rpc.wallet_statement import StatementServicer
from generation_svc.usecase.money import grant_credits, read_wallet

MAX_GRANT = 1_000_000_000


class WalletServicer(
    LedgerCheckServicer,
    BalanceImportServicer,
    OperatorServicer,
    StarSettlementServicer,
    StarServicer,
    StatementServicer,
    TopUpServicer,
    pb_grpc.WalletServiceServicer,
):
    """Answers the calls of `WalletService`."""

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps

    async def GetBalance(
        self, request: pb.GetBalanceRequest, context: ServicerContext
    ) -> pb.GetBalanceResponse:
        """Give what an owner has."""
        bounds, caller = Bounds(), current_caller()
        owner = bounds.text("owner", request.owner) or caller.own_wallet
        bounds.check()
        wallet = await read_wallet.read_wallet(self._deps, caller, owner=owner)
        told = wallet_to_proto(wallet)
        allowance = await read_wallet.read_allowance(self._deps, caller, owner=owner)
        if allowance:
            told.free_allowance.CopyFrom(allowance_to_proto(allowance))
        limit = read_wallet.credit_limit(self._deps, caller, wallet=wallet)
        if limit:
            told.credit_limit.CopyFrom(limit_to_proto(limit))
        return pb.GetBalanceResponse(wallet=told)

    async def ListTransfers(
        self, request: pb.ListTransfersRequest, context: ServicerContext
    ) -> pb.ListTransfersResponse:
        """List the movements of an owner's credits."""
        bounds, caller = Bounds(), current_caller()
        owner = bounds.text("owner", request.owner) or caller.own_wallet
        size = bounds.page_size(request.page_size, default=20, most=100)
        bounds.check()
        query = PageQuery("ListTransfers", caller.name, (owner,))
        found = await read_wallet.list_transfers(
            self._deps,
            caller,
            owner=owner,
            before=_number(query.cursor(request.page_token)),
            limit=size + 1,
        )
        token = query.next_token(found, shown=size, cursor=lambda each: each.id)
        page = [transfer_to_proto(each) for each in found[:size]]
        return pb.ListTransfersResponse(transfers=page, next_page_token=token)

    async def GrantCredits(
        self, request: pb.GrantCreditsRequest, context: ServicerContext
    ) -> pb.GrantCreditsResponse:
        """Give an owner credits, or take granted ones away."""
        made = await grant_credits.grant_credits(self._deps, _grant_from_proto(request))
        return pb.GrantCreditsResponse(
            wallet=wallet_to_proto(made.wallet), changed_credits=made.changed
        )


def _grant_from_proto(request: pb.GrantCreditsRequest) -> grant_credits.GrantRequest:
    bounds = Bounds()
    request_id = bounds.text("request_id", request.request_id, is_required=True)
    owner = bounds.text("owner", request.owner, is_required=True)
    reason = bounds.reason(request.reason)
    credits_ = bounds.number("credits", request.credits, least=-MAX_GRANT, most=MAX_GRANT)
    if credits_ == 0:
        bounds.refuse("credits", "Must not be 0.")
    bounds.check()
    return grant_credits.GrantRequest(
        caller=current_caller(),
        request_id=request_id,
        owner=owner,
        credits=credits_,
        reason=reason,
    )


def _number(cursor: str) -> int | None:
    """Return the number of a transfer; whoever computes a seal may put anything under it."""
    if not cursor:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise InvalidPageToken
    return int(cursor)
