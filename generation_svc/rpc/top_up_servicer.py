"""The RPCs of `WalletService` by which credits are bought, and payments go back."""

import re

from atelier.wallet.v1 import top_up_pb2
from atelier.wallet.v1 import wallet_service_pb2 as pb
from generation_svc.domain.money import MoneyMode
from generation_svc.domain.top_up import MAX_CREDITS, MOST_AMOUNT, STARS, Payment, TopUpState
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.rpc.bound import MAX_TELEGRAM_ID, Bounds
from generation_svc.rpc.call import ServicerContext
from generation_svc.rpc.caller import current_caller
from generation_svc.rpc.convert_wallet import (
    leased_refund_to_proto,
    pack_to_proto,
    top_up_to_proto,
    wallet_to_proto,
)
from generation_svc.rpc.page_token import PageQuery
from generation_svc.usecase.money import (
    check_top_up,
    lease_refund,
    read_stars,
    read_wallet,
    record_top_up,
    refund_top_up,
    tell_top_up,
)

MAX_PACK_LENGTH = 32
MAX_EXTERNAL_LENGTH = 255
MAX_TOKEN_LENGTH = 64
MAX_ERROR_LENGTH = 200
MAX_REFUNDS = 20
_STATES = {top_up_pb2.TopUpState.Value(f"TOP_UP_STATE_{each.name}"): each for each in TopUpState}
_PROVIDER = re.compile(r"[a-z0-9._-]{1,32}")
_CURRENCY = re.compile(r"[A-Z]{3}")


class TopUpServicer:
    """Answers the calls of `WalletService` that are about payments."""

    _deps: Dependencies

    async def ListPacks(
        self, request: pb.ListPacksRequest, context: ServicerContext
    ) -> pb.ListPacksResponse:
        """List what is sold for Stars."""
        packs = [pack_to_proto(pack) for pack in check_top_up.list_packs(self._deps)]
        is_open = await check_top_up.is_open(self._deps)
        money = self._deps.money
        return pb.ListPacksResponse(
            packs=packs,
            is_open=is_open,
            seller_text=money.seller,
            is_live=money.mode is MoneyMode.LIVE,
        )

    async def CheckTopUp(
        self, request: pb.CheckTopUpRequest, context: ServicerContext
    ) -> pb.CheckTopUpResponse:
        """Say whether a payment would be credited."""
        bounds = Bounds()
        payment = Payment(
            provider="",
            external_id="",
            owner=bounds.text("owner", request.owner, is_required=True),
            amount=bounds.number("amount", request.amount, least=0, most=MOST_AMOUNT),
            currency=_currency(bounds, request.currency),
            pack_id=bounds.text("pack_id", request.pack_id, most=MAX_PACK_LENGTH, is_required=True),
        )
        host = bounds.telegram_host(request.telegram_host)
        bounds.check()
        await check_top_up.check_top_up(
            self._deps, current_caller(), payment=payment, telegram_host=host
        )
        return pb.CheckTopUpResponse()

    async def RecordTopUp(
        self, request: pb.RecordTopUpRequest, context: ServicerContext
    ) -> pb.RecordTopUpResponse:
        """Credit a payment, once."""
        bounds = Bounds()
        payment = _payment_from_proto(bounds, request)
        host = bounds.telegram_host(request.telegram_host, is_required=payment.is_stars)
        bounds.check()
        made = await record_top_up.record_top_up(
            self._deps, current_caller(), payment=payment, telegram_host=host
        )
        return pb.RecordTopUpResponse(
            top_up=top_up_to_proto(made.top_up),
            is_new=made.is_new,
            wallet=wallet_to_proto(made.wallet),
        )

    async def ListTopUps(
        self, request: pb.ListTopUpsRequest, context: ServicerContext
    ) -> pb.ListTopUpsResponse:
        """List an owner's top-ups."""
        bounds, caller = Bounds(), current_caller()
        owner = bounds.text("owner", request.owner) or caller.own_wallet
        size = bounds.page_size(request.page_size, default=20, most=100)
        bounds.check()
        query = PageQuery("ListTopUps", caller.name, (owner,))
        after = query.id_cursor(request.page_token)
        found = await read_wallet.list_top_ups(
            self._deps, caller, owner=owner, after=after, limit=size + 1
        )
        token = query.next_token(found, shown=size, cursor=lambda each: each.id)
        page = [top_up_to_proto(each) for each in found[:size]]
        return pb.ListTopUpsResponse(top_ups=page, next_page_token=token)

    async def RefundTopUp(
        self, request: pb.RefundTopUpRequest, context: ServicerContext
    ) -> pb.RefundTopUpResponse:
        """Take a top-up back."""
        bounds = Bounds()
        refund = refund_top_up.Refund(
            caller=current_caller(),
            top_up_id=bounds.text("top_up_id", request.top_up_id, is_required=True),
            reason=bounds.reason(request.reason),
            is_forced=request.is_forced,
            is_charged_back=request.is_charged_back,
        )
        bounds.check()
        top_up = await refund_top_up.refund_top_up(self._deps, refund)
        return pb.RefundTopUpResponse(top_up=top_up_to_proto(top_up))

    async def LeaseRefunds(
        self, request: pb.LeaseRefundsRequest, context: ServicerContext
    ) -> pb.LeaseRefundsResponse:
        """Lease payments that a bot is to return."""
        bounds = Bounds()
        bot_id = bounds.bot("bot_id", request.bot_id)
        limit = bounds.number("max_count", request.max_count, least=0, most=MAX_REFUNDS) or 1
        most_untold = bounds.number(
            "max_untold_count", request.max_untold_count, least=0, most=MAX_REFUNDS
        )
        bounds.check()
        caller = current_caller()
        leased = await lease_refund.lease_refunds(self._deps, caller, bot_id=bot_id, limit=limit)
        untold = await tell_top_up.lease_untold(
            self._deps, caller, bot_id=bot_id, limit=most_untold
        )
        return pb.LeaseRefundsResponse(
            refunds=[leased_refund_to_proto(each) for each in leased],
            reads_stars=await read_stars.wants_stars(self._deps, bot_id=bot_id),
            untold_top_ups=[top_up_to_proto(each) for each in untold],
        )

    async def ReportRefund(
        self, request: pb.ReportRefundRequest, context: ServicerContext
    ) -> pb.ReportRefundResponse:
        """Note what became of a leased refund."""
        bounds = Bounds()
        report = lease_refund.RefundReport(
            caller=current_caller(),
            top_up_id=bounds.text("top_up_id", request.top_up_id, is_required=True),
            lease_token=bounds.text(
                "lease_token", request.lease_token, most=MAX_TOKEN_LENGTH, is_required=True
            ),
            error=bounds.text("error", request.error, most=MAX_ERROR_LENGTH),
        )
        bounds.check()
        top_up = await lease_refund.report_refund(self._deps, report)
        return pb.ReportRefundResponse(top_up=top_up_to_proto(top_up))

    async def ReportTold(
        self, request: pb.ReportToldRequest, context: ServicerContext
    ) -> pb.ReportToldResponse:
        """Note that an owner was told of a top-up."""
        bounds = Bounds()
        top_up_id = bounds.text("top_up_id", request.top_up_id, is_required=True)
        bounds.check()
        await tell_top_up.report_told(
            self._deps,
            current_caller(),
            top_up_id=top_up_id,
            state=_STATES.get(request.state),
        )
        return pb.ReportToldResponse()


def _payment_from_proto(bounds: Bounds, request: pb.RecordTopUpRequest) -> Payment:
    if not _PROVIDER.fullmatch(request.provider):
        bounds.refuse("provider", "Must be 1 to 32 characters of a-z, 0-9, '.', '_' and '-'.")
    bot_id = bounds.number("bot_id", request.bot_id, least=0, most=MAX_TELEGRAM_ID)
    external_id = bounds.text(
        "external_id", request.external_id, most=MAX_EXTERNAL_LENGTH, is_required=True
    )
    return Payment(
        provider=request.provider,
        external_id=external_id,
        owner=bounds.text("owner", request.owner, is_required=True),
        amount=bounds.number("amount", request.amount, least=0, most=MOST_AMOUNT),
        currency=_currency(bounds, request.currency),
        pack_id=bounds.text("pack_id", request.pack_id, most=MAX_PACK_LENGTH),
        credits=bounds.number("credits", request.credits, least=0, most=MAX_CREDITS),
        bot_id=bot_id or None,
    )


def _currency(bounds: Bounds, text: str) -> str:
    if not _CURRENCY.fullmatch(text):
        bounds.refuse("currency", f"Must be {STARS} or a code of ISO 4217, such as EUR.")
    return text
