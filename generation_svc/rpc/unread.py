"""Answers that were given and have not left: how many bytes of them there may be, and their end.

An answer leaves when its client reads. One that never does (an HTTP/2 window of zero is enough, and
it may answer every ping) would hold its answers until the connection's greatest age, so what a
caller and all of them may hold is limited, and a connection on which nothing moves is closed.
"""

import asyncio
import itertools
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog
from prometheus_client import Counter as Count
from prometheus_client import Gauge

from generation_svc.domain.error import Overloaded
from generation_svc.rpc.call import Call
from generation_svc.rpc.peer import PeerAddress, close_connections, peer_address

CALL_BYTES = 32 << 10
"""What gRPC keeps of a call until its answer has left, beside the answer."""
_logger = structlog.get_logger(__name__)
_held = Gauge("atelier_unread_bytes", "Bytes of answers that have not left.")
_closed = Count("atelier_stalled_connections", "Connections closed as their client did not read.")


@dataclass(frozen=True, slots=True)
class UnreadLimits:
    """How much may wait for its readers, and for how long."""

    overall_bytes: int = 256 << 20
    caller_bytes: int = 64 << 20
    stall_timeout: timedelta = timedelta(seconds=30)
    """How long nothing may move on a connection whose answers wait."""
    interval: timedelta = timedelta(seconds=2)
    """How often connections are looked at."""


@dataclass(slots=True)
class Waiting:
    """The answers of one connection that have not left."""

    since: dict[int, float] = field(default_factory=dict)
    """When each was given, the oldest first."""
    moved_at: float = 0.0
    """When one last left."""

    def is_stalled(self, before: float) -> bool:
        """Return whether nothing has left since a time at which something waited already."""
        return self.moved_at < before and any(when < before for when in self.since.values())


class UnreadAnswers:
    """Counts the answers that wait for their readers, by caller and by connection."""

    def __init__(self, limits: UnreadLimits | None = None) -> None:
        self.limits = limits or UnreadLimits()
        self._bytes: Counter[str] = Counter()
        self._overall = 0
        self._waiting: defaultdict[str, Waiting] = defaultdict(Waiting)
        self._numbers = itertools.count()

    @property
    def held_bytes(self) -> int:
        """How much waits now."""
        return self._overall

    @asynccontextmanager
    async def guard(self, call: Call) -> AsyncIterator[None]:
        """Let a call in unless its caller leaves too much unread. Raises Overloaded."""
        self._check(call.caller.name, more=0)
        yield

    def answer(self, call: Call, answer: bytes) -> None:
        """Count an answer until it has left. Raises Overloaded if there is no room for it."""
        self._check(call.caller.name, more=len(answer) + CALL_BYTES)
        self.hold(call, size=len(answer))

    def hold(self, call: Call, *, size: int = 0) -> None:
        """Count what a call has still to send until all of it has left."""
        name, peer, number = call.caller.name, call.context.peer(), next(self._numbers)
        self._waiting[peer].since[number] = _now()
        self._count(name, size + CALL_BYTES)

        def release(_: Any) -> None:
            self._count(name, -size - CALL_BYTES)
            self._leave(peer, number)

        call.context.add_done_callback(release)

    async def close_stalled(self, *, ports: Collection[int]) -> None:
        """Close, for as long as it runs, the connections on which answers stand still."""
        while True:
            await asyncio.sleep(self.limits.interval.total_seconds())
            peers = self._stalled()
            if peers:
                closed = await close_connections(peers, ports=ports)
                _closed.inc(closed)
                _logger.warning("connections whose clients do not read are closed", count=closed)

    def _stalled(self) -> set[PeerAddress]:
        before = _now() - self.limits.stall_timeout.total_seconds()
        found = (peer for peer, each in self._waiting.items() if each.is_stalled(before))
        return {address for address in map(peer_address, found) if address}

    def _check(self, name: str, *, more: int) -> None:
        retry_after = self.limits.stall_timeout * random.uniform(0.5, 1)
        if self._overall + more > self.limits.overall_bytes:
            raise Overloaded("unread answers", retry_after=retry_after)
        if self._bytes[name] + more > self.limits.caller_bytes:
            raise Overloaded("unread answers of the caller", retry_after=retry_after)

    def _count(self, name: str, change: int) -> None:
        self._overall += change
        self._bytes[name] += change
        _held.inc(change)

    def _leave(self, peer: str, number: int) -> None:
        waiting = self._waiting[peer]
        del waiting.since[number]
        waiting.moved_at = _now()
        if not waiting.since:
            del self._waiting[peer]


def _now() -> float:
    return asyncio.get_running_loop().time()
