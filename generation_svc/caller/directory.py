"""The current callers: their tokens, their rate limits, and the calls that end with them.

A token is looked up by its SHA-256 in an ordinary dict. How long that takes may tell something
about the hash that was looked up, but nobody can steer the hash of a guess towards one that is
here, so it tells nothing about a token; a slow hash would only help short ones, which the token
tool does not make.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TypeAlias

from generation_svc.caller.bucket import Buckets
from generation_svc.caller.document import Grant
from generation_svc.domain.caller import Caller
from generation_svc.domain.error import RateLimited, Unauthenticated, Unavailable
from runtime.redaction import redact
from runtime.token import token_hash

CALL_BURST_SECONDS = 2
"""How many seconds' worth of calls a caller may make at once."""
End: TypeAlias = Callable[[Callable[[], Exception]], None]
"""Ends a call with the error that the given function makes."""
_CHANGED = "The caller's rights have changed: call again."


@dataclass(frozen=True, slots=True)
class CallLimits:
    """What a caller may ask of us where its own entry says nothing."""

    calls_per_second: float = 500
    jobs_per_minute: float = 60
    """Of one owner; all of them may come at once."""


class CallerDirectory:
    """Tells callers by their tokens; the grants can be replaced while calls are open."""

    def __init__(self, grants: Iterable[Grant], *, limits: CallLimits | None = None) -> None:
        self._limits = limits or CallLimits()
        self._calls = Buckets()
        self._jobs = Buckets()
        self._open: dict[bytes, set[End]] = {}
        self._by_name: dict[str, Grant] = {}
        self._by_hash: dict[bytes, Caller] = {}
        self.replace(grants)

    def replace(self, grants: Iterable[Grant]) -> None:
        """Know these callers from now on; end the open calls of those who are others now."""
        before = self._by_hash
        self._by_name = {grant.caller.name: grant for grant in grants}
        redact(*(key for grant in self._by_name.values() for key in grant.caller.webhook_secrets))
        self._by_hash = {
            key: grant.caller for grant in self._by_name.values() for key in grant.token_hashes
        }
        # Open streams last for up to an hour: rights that were taken away must not last with them.
        for key in tuple(self._open):
            if self._by_hash.get(key) != before.get(key):
                self._end(key)

    def identify(self, token: str) -> Caller:
        """Return the caller of a token. Raises Unauthenticated."""
        caller = self._by_hash.get(token_hash(token))
        if caller is None:
            raise Unauthenticated
        return caller

    def named(self, name: str) -> Caller | None:
        """Return the caller of this name, if there still is one."""
        grant = self._by_name.get(name)
        return grant.caller if grant else None

    def secrets_of(self, name: str) -> tuple[str, ...]:
        """Return what signs the webhooks of the caller of this name, newest first."""
        caller = self.named(name)
        return caller.webhook_secrets if caller else ()

    def wallet_of(self, name: str) -> str | None:
        """Return the wallet that pays for all owners of the caller of this name, if one does."""
        caller = self.named(name)
        return caller.wallet if caller else None

    def count_call(self, caller: Caller) -> None:
        """Count a call of this caller. Raises RateLimited."""
        grant = self._by_name.get(caller.name)
        rate = (grant and grant.calls_per_second) or self._limits.calls_per_second
        wait = self._calls.take(caller.name, per_second=rate, burst=rate * CALL_BURST_SECONDS)
        if wait:
            raise RateLimited(f"caller {caller.name}", retry_after=timedelta(seconds=wait))

    def count_job(self, caller: Caller, owner: str) -> None:
        """Count a job or an upload of an owner. Raises RateLimited."""
        grant = self._by_name.get(caller.name)
        rate = (grant and grant.jobs_per_minute) or self._limits.jobs_per_minute
        wait = self._jobs.take((caller.name, owner), per_second=rate / 60, burst=rate)
        if wait:
            raise RateLimited(f"owner {owner}", retry_after=timedelta(seconds=wait))

    def uncount_job(self, caller: Caller, owner: str) -> None:
        """Take back what `count_job` counted."""
        self._jobs.give_back((caller.name, owner))

    @contextmanager
    def while_valid(self, token: str, *, caller: Caller, end: End) -> Iterator[None]:
        """Call `end` during the block once the token is revoked or its rights change.

        It ends with Unauthenticated in the first case and with Unavailable in the second: the next
        call goes by the new rights. Raises them at once if that has happened already.
        """
        key = token_hash(token)
        # The rights may have changed between the first look at the token and this one.
        if self._by_hash.get(key) != caller:
            raise self._changed(key)
        self._open.setdefault(key, set()).add(end)
        try:
            yield
        finally:
            self._forget(key, end)

    def _changed(self, key: bytes) -> Exception:
        return Unavailable(_CHANGED) if key in self._by_hash else Unauthenticated()

    def _end(self, key: bytes) -> None:
        for end in self._open[key]:
            end(partial(self._changed, key))

    def _forget(self, key: bytes, end: End) -> None:
        ends = self._open.get(key, set())
        ends.discard(end)
        if not ends:
            self._open.pop(key, None)
