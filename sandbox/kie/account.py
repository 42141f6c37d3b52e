"""An account at KIE: a key opens it, and limits, credits and tasks are its own."""

from dataclasses import dataclass, field

from starlette.types import Scope

from sandbox.kie.limit import Window

ONLY = "default"
"""The name of the account where there is only one."""
_SCOPE_KEY = "kie_account"


@dataclass(kw_only=True)
class Account:
    """What KIE counts for one account."""

    name: str
    credits: float
    is_revoked: bool = False
    """Whether its key opens nothing any more."""
    creates: int = 0
    """The number of tasks that were created on it."""
    create_window: Window = field(default_factory=Window)
    read_window: Window = field(default_factory=Window)
    description_window: Window = field(default_factory=Window)


def enter(scope: Scope, account: Account) -> None:
    """Note whose key came with a request."""
    scope[_SCOPE_KEY] = account


def account_in(scope: Scope) -> Account:
    """Return whose key came with a request that was let in."""
    account: Account = scope[_SCOPE_KEY]
    return account
