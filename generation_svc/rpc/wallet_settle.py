"""The RPCs of `WalletService` by which operators end differences about Stars."""

from atelier.wallet.v1 import wallet_service_pb2 as pb
from generation_svc.domain.star import StarDirection
from generation_svc.domain.star_settlement import Settlement
from generation_svc.domain.top_up import MAX_CREDITS
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.rpc.bound import MAX_TELEGRAM_ID, Bounds
from generation_svc.rpc.call import ServicerContext
from generation_svc.rpc.caller import current_caller
from generation_svc.rpc.top_up_servicer import MAX_PACK_LENGTH
from generation_svc.rpc.wallet_star import MAX_STAR_ID_LENGTH, difference_to_proto
from generation_svc.usecase.money import heal_stars, refund_star, settle_star

MAX_DIFFERENCES = 100
_VERDICTS = ("is_bot_owners", "credit", "charged_back_top_up_id", "return_again")


class StarSettlementServicer:
    """Answers the calls by which operators settle what Telegram's list leaves open."""

    _deps: Dependencies

    async def ListStarDifferences(
        self, request: pb.ListStarDifferencesRequest, context: ServicerContext
    ) -> pb.ListStarDifferencesResponse:
        """List where Telegram and the ledger differ."""
        found = await heal_stars.star_standing(self._deps)
        return pb.ListStarDifferencesResponse(
            differences=[difference_to_proto(each) for each in found.differences[:MAX_DIFFERENCES]],
            ordered_bot_ids=found.ordered_bots,
        )

    async def HealStars(
        self, request: pb.HealStarsRequest, context: ServicerContext
    ) -> pb.HealStarsResponse:
        """Have all Stars read again, and healed."""
        bounds = Bounds()
        bot_id = bounds.number("bot_id", request.bot_id, least=0, most=MAX_TELEGRAM_ID)
        reason = bounds.reason(request.reason)
        bounds.check()
        bots = [bot_id] if bot_id else []
        ordered = await heal_stars.heal_stars(
            self._deps, current_caller(), bots=bots, reason=reason
        )
        return pb.HealStarsResponse(bot_ids=ordered)

    async def SettleStarTransaction(
        self, request: pb.SettleStarTransactionRequest, context: ServicerContext
    ) -> pb.SettleStarTransactionResponse:
        """Book a transaction as the operator decides."""
        settlement = _settlement_from_proto(request)
        if settlement.is_to_return:
            await refund_star.return_again(self._deps, settlement)
        else:
            await settle_star.settle_star(self._deps, settlement)
        return pb.SettleStarTransactionResponse(settled_as=settlement.verdict)


def _settlement_from_proto(request: pb.SettleStarTransactionRequest) -> Settlement:
    bounds = Bounds()
    verdict = request.WhichOneof("verdict")
    if verdict is None or getattr(request, verdict) is False:
        bounds.refuse("verdict", f"Must be one of {', '.join(_VERDICTS)}.")
    is_credit, is_charged_back = verdict == "credit", verdict == "charged_back_top_up_id"
    credit = request.credit
    settlement = Settlement(
        caller=current_caller(),
        bot_id=bounds.bot("bot_id", request.bot_id),
        star_id=bounds.text(
            "transaction_id", request.transaction_id, most=MAX_STAR_ID_LENGTH, is_required=True
        ),
        direction=StarDirection.IN if request.is_incoming else StarDirection.OUT,
        reason=bounds.reason(request.reason),
        owner=bounds.text("credit.owner", credit.owner, is_required=is_credit),
        pack_id=bounds.text("credit.pack_id", credit.pack_id, most=MAX_PACK_LENGTH),
        credits=bounds.number("credit.credits", credit.credits, least=0, most=MAX_CREDITS),
        top_up_id=bounds.text(
            "charged_back_top_up_id", request.charged_back_top_up_id, is_required=is_charged_back
        ),
        is_to_return=request.return_again,
    )
    bounds.check()
    return settlement
