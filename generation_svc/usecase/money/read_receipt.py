"""Reads the receipt of a top-up."""

from uuid import UUID

from generation_svc.domain.caller import Caller
from generation_svc.domain.error import PermissionDenied
from generation_svc.domain.model import LocalizedText
from generation_svc.domain.money import MoneyMode
from generation_svc.domain.money_error import TopUpNotFound
from generation_svc.domain.receipt import Receipt
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.usecase.money.permission import check_money, check_owner
from runtime.currency import amount_text

_POINT = LocalizedText(en=".", ru=",")


async def read_receipt(
    deps: Dependencies, caller: Caller, *, top_up_id: str, language: str
) -> Receipt:
    """Return the receipt of a top-up. Raises MoneyOff, and TopUpNotFound for somebody else's."""
    check_money(deps)
    top_up = await deps.database.read(lambda tx: tx.top_ups.get(_parsed(top_up_id)))
    if top_up is None:
        raise TopUpNotFound(top_up_id)
    try:
        check_owner(deps, caller, owner=top_up.owner)
    except PermissionDenied:
        raise TopUpNotFound(top_up_id) from None
    return Receipt(
        top_up,
        paid=amount_text(top_up.amount, top_up.currency, point=_POINT.pick(language)),
        time=deps.database.now(),
        language=language,
        is_test=deps.money.mode is MoneyMode.TEST,
        seller=deps.money.seller,
    )


def _parsed(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise TopUpNotFound(text) from None
