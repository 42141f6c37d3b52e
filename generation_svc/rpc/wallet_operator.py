"""What operators decide about money: margins, sales, blocked owners, and the daily report."""

import re
from datetime import date, timedelta
from decimal import Decimal

from atelier.wallet.v1 import wallet_service_pb2 as pb
from generation_svc.domain.money import MarginRule, MarginScope
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.rpc.bound import Bounds
from generation_svc.rpc.call import ServicerContext
from generation_svc.rpc.caller import current_caller
from generation_svc.rpc.convert_money import line_to_proto, margin_to_proto, sales_to_proto
from generation_svc.rpc.convert_wallet import wallet_to_proto
from generation_svc.usecase.money import block_owner, read_daily_report, set_margin, set_sales

MAX_FACTOR_LENGTH = 16
MAX_PURPOSE_LENGTH = 64
MAX_SPAN = timedelta(days=92)
LAST_YEAR = 9998
"""The last year of a report: its last day must have a next one."""
_FACTOR = re.compile(r"[0-9]+(\.[0-9]{1,4}0*)?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LEAST, _MOST = Decimal("0.01"), Decimal(1000)


class OperatorServicer:
    """Answers the calls by which operators decide."""

    _deps: Dependencies

    async def BlockOwner(
        self, request: pb.BlockOwnerRequest, context: ServicerContext
    ) -> pb.BlockOwnerResponse:
        """Block an owner, or lift that."""
        bounds = Bounds()
        block = block_owner.Block(
            owner=bounds.text("owner", request.owner, is_required=True),
            is_blocked=request.is_blocked,
            reason=bounds.reason(request.reason),
        )
        bounds.check()
        wallet = await block_owner.block_owner(self._deps, current_caller(), block=block)
        return pb.BlockOwnerResponse(wallet=wallet_to_proto(wallet))

    async def SetMargin(
        self, request: pb.SetMarginRequest, context: ServicerContext
    ) -> pb.SetMarginResponse:
        """Set a margin, or take it away."""
        rules = await set_margin.set_margin(self._deps, _rule_from_proto(request))
        return pb.SetMarginResponse(margins=map(margin_to_proto, rules))

    async def ListMargins(
        self, request: pb.ListMarginsRequest, context: ServicerContext
    ) -> pb.ListMarginsResponse:
        """List the margins that hold."""
        rules = await set_margin.list_margins(self._deps)
        return pb.ListMarginsResponse(margins=map(margin_to_proto, rules))

    async def GetSales(
        self, request: pb.GetSalesRequest, context: ServicerContext
    ) -> pb.GetSalesResponse:
        """Tell whether anything is sold."""
        return pb.GetSalesResponse(sales=sales_to_proto(await set_sales.get_sales(self._deps)))

    async def SetSales(
        self, request: pb.SetSalesRequest, context: ServicerContext
    ) -> pb.SetSalesResponse:
        """Open sales, or close them."""
        bounds = Bounds()
        reason = bounds.reason(request.reason)
        bounds.check()
        state = await set_sales.set_sales(
            self._deps, current_caller(), is_open=request.is_open, reason=reason
        )
        return pb.SetSalesResponse(sales=sales_to_proto(state))

    async def GetDailyReport(
        self, request: pb.GetDailyReportRequest, context: ServicerContext
    ) -> pb.GetDailyReportResponse:
        """Tell what models brought and cost."""
        bounds = Bounds()
        first = _day(bounds, request.first_day, field="first_day")
        last = _day(bounds, request.last_day, field="last_day")
        if first and last and not timedelta(0) <= last - first <= MAX_SPAN:
            bounds.refuse("last_day", f"Must be 0 to {MAX_SPAN.days} days after first_day.")
        bounds.check()
        assert first is not None  # or it was refused, and so the last one
        assert last is not None
        lines = await read_daily_report.read_daily_report(
            self._deps, first_day=first, last_day=last
        )
        return pb.GetDailyReportResponse(lines=map(line_to_proto, lines))


def _rule_from_proto(request: pb.SetMarginRequest) -> MarginRule:
    bounds = Bounds()
    model_id = bounds.text("model_id", request.model_id)
    purpose = bounds.text("purpose", request.purpose, most=MAX_PURPOSE_LENGTH)
    if model_id and purpose:
        bounds.refuse("purpose", "Must be empty where a model is named.")
    factor = _factor(bounds, request.factor)
    reason = bounds.reason(request.reason)
    bounds.check()
    model, named = (MarginScope.MODEL, model_id), (MarginScope.PURPOSE, purpose)
    scope, scope_id = model if model_id else named if purpose else (MarginScope.DEFAULT, "")
    return MarginRule(scope, scope_id, factor, current_caller().name, reason)


def _factor(bounds: Bounds, text: str) -> Decimal | None:
    bounds.text("factor", text, most=MAX_FACTOR_LENGTH)
    if not text:
        return None
    if _FACTOR.fullmatch(text) and _LEAST <= Decimal(text) <= _MOST:
        return Decimal(text)
    bounds.refuse("factor", f"Must be from {_LEAST} to {_MOST}, with at most 4 decimals.")
    return None


def _day(bounds: Bounds, text: str, *, field: str) -> date | None:
    try:
        # Beside its own form, fromisoformat takes weeks, which are as long.
        day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None or day.year > LAST_YEAR:
        bounds.refuse(field, "Must be a day such as 2026-11-29.")
        return None
    return day
