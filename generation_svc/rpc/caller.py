"""Authenticates calls: the bearer token and the caller that it identifies."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Protocol, TypeAlias

from generation_svc.domain.caller import Caller
from generation_svc.domain.error import Unauthenticated

LOCAL = Caller.trusted("local")
"""The only caller of a service without configured callers, reached on its loopback address."""
NOBODY = Caller("?")
"""The caller of calls without a known token; no configured caller can have this name."""
TOKEN_KEY = "authorization"
_SCHEME = "bearer "
End: TypeAlias = Callable[[Callable[[], Exception]], None]
"""Ends a call with the error that the given function makes."""
_current: ContextVar[Caller] = ContextVar("caller")


class Callers(Protocol):
    """Who may call."""

    def identify(self, token: str) -> Caller:
        """Return the caller of a token; an empty one means none. Raises Unauthenticated."""

    def count_call(self, caller: Caller) -> None:
        """Count a call of this caller. Raises RateLimited."""

    def while_valid(self, token: str, *, caller: Caller, end: End) -> AbstractContextManager[None]:
        """Call `end` during the block once the token no longer means what it did."""


class Anybody:
    """Takes every call for one of LOCAL's: the callers of a service that has none configured."""

    def identify(self, token: str) -> Caller:
        """Return LOCAL."""
        del token
        return LOCAL

    def count_call(self, caller: Caller) -> None:
        """Count nothing."""

    def while_valid(self, token: str, *, caller: Caller, end: End) -> AbstractContextManager[None]:
        """End nothing."""
        del token, caller, end
        return nullcontext()


def token_of(metadata: Iterable[tuple[str, str | bytes]] | None) -> str:
    """Return the one bearer token that a call carries, or nothing."""
    found = [value for key, value in metadata or () if key == TOKEN_KEY]
    # A second token is refused: a proxy in front of us may have looked at the other one.
    if len(found) != 1 or not isinstance(found[0], str):
        return ""
    value = found[0]
    return value[len(_SCHEME) :].strip() if value[: len(_SCHEME)].lower() == _SCHEME else ""


def current_caller() -> Caller:
    """Return the caller of the call that is being answered."""
    caller = _current.get(None)
    if caller is None:
        raise Unauthenticated
    return caller


@contextmanager
def calling(caller: Caller) -> Iterator[None]:
    """Let what runs inside be a call of this caller."""
    before = _current.set(caller)
    try:
        yield
    finally:
        _current.reset(before)
