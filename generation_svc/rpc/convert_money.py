"""Converts margins, sales and the daily report to the messages of the contract."""

from decimal import Decimal

from atelier.wallet.v1 import daily_report_pb2, margin_pb2, sales_pb2
from generation_svc.domain.daily_report import DailyLine
from generation_svc.domain.money import MarginRule, MarginScope, MoneyMode, MoneyState
from generation_svc.rpc.convert import time_to_proto


def margin_to_proto(rule: MarginRule) -> margin_pb2.Margin:
    """Write a margin that holds."""
    return margin_pb2.Margin(
        model_id=rule.scope_id if rule.scope is MarginScope.MODEL else "",
        purpose=rule.scope_id if rule.scope is MarginScope.PURPOSE else "",
        factor=_plain(rule.margin),
        create_time=time_to_proto(rule.time),
        actor=rule.actor,
        reason=rule.reason,
    )


def sales_to_proto(state: MoneyState) -> sales_pb2.Sales:
    """Write whether anything is sold."""
    return sales_pb2.Sales(
        is_open=state.sales_closed_reason is None,
        closed_reason=state.sales_closed_reason or "",
        is_live=state.mode is MoneyMode.LIVE,
        close_time=time_to_proto(state.closed.time if state.closed else None),
    )


def line_to_proto(line: DailyLine) -> daily_report_pb2.DailyLine:
    """Write a line of the daily report."""
    return daily_report_pb2.DailyLine(
        day=line.day.isoformat(),
        model_id=line.model_id,
        charged_count=line.charged_count,
        income_credits=line.income,
        provider_cost_milli=line.cost_milli,
        late_cost_milli=line.late_cost_milli,
        free_cost_milli=line.free_cost_milli,
        margin=_plain(line.margin),
    )


def _plain(number: Decimal | None) -> str:
    """Write a number without zeros at the end; empty for none."""
    text = "" if number is None else f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
