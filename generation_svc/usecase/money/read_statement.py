"""Reads what an owner's credits did in a period."""

from generation_svc.domain.caller import Caller
from generation_svc.domain.ledger import Transfer
from generation_svc.domain.money import MoneyMode
from generation_svc.domain.statement import MOST_LINES, Period, Statement, StatementLine
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.usecase.money.permission import check_owner


async def read_statement(
    deps: Dependencies, caller: Caller, *, owner: str, period: Period, language: str
) -> Statement:
    """Return an owner's statement. Raises PermissionDenied, MoneyOff and StatementConflict."""
    check_owner(deps, caller, owner=owner)
    opening, transfers = await deps.database.read(
        lambda tx: tx.ledger.statement(
            owner, start=period.start, end=period.end, limit=MOST_LINES + 1
        )
    )
    is_cut = len(transfers) > MOST_LINES
    if is_cut:  # the one too many says what the balance was before the others
        opening, transfers = transfers[0].balance_after or 0, transfers[1:]
    statement = Statement(
        owner=owner,
        period=period,
        opening=opening,
        lines=tuple(_line(deps, each, language=language) for each in transfers),
        time=deps.database.now(),
        language=language,
        is_cut=is_cut,
        is_test=deps.money.mode is MoneyMode.TEST,
        seller=deps.money.seller,
    )
    statement.check()
    return statement


def _line(deps: Dependencies, transfer: Transfer, *, language: str) -> StatementLine:
    assert transfer.time is not None  # it was read
    model_id = str(transfer.detail.get("model_id", ""))
    model = deps.models.catalog.models.get(model_id)
    return StatementLine(
        time=transfer.time,
        kind=transfer.kind,
        amount=transfer.amount,
        change=transfer.change,
        balance=transfer.balance_after or 0,
        title=model.title.pick(language) if model else model_id,
        reason=transfer.reason,
    )
