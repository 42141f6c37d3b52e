"""Whether there is money at all, and whose wallet a caller may see."""

from generation_svc.domain.caller import Caller, Scope
from generation_svc.domain.money_error import MoneyOff
from generation_svc.lifecycle.dependencies import Dependencies


def check_money(deps: Dependencies) -> None:
    """Raise MoneyOff where nothing is sold."""
    if deps.money.mode is None:
        raise MoneyOff


def check_owner(deps: Dependencies, caller: Caller, *, owner: str) -> None:
    """Raise PermissionDenied for somebody else's owner, and MoneyOff where nothing is sold.

    Operators see every owner, and a caller the one that pays for it.
    """
    if Scope.WALLET_OPERATE not in caller.scopes and owner != caller.wallet:
        caller.require_owner(owner)
    check_money(deps)
