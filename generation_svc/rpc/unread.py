"""Limits the bytes of answers that clients have not read, and closes stalled connections.

An answer leaves when its client reads. One that never does (an HTTP/2 window of zero is enough, and
it may answer every ping) would hold its answers until the connection's greatest age, so what a
caller and all of them may hold is limited, and a connection on which nothing moves is closed.

A refusal waits, too, and cannot itself be refused. So strangers, who need no token for one, are
counted by connection and apart from the callers, and the greediest are closed; and among all the
callers one counts for no more than it may hold.
"""

import asyncio
import itertools
import random
import time
from collections import Counter, defaultdict
from collections.abc import Collection
from typing import Protocol

import structlog

from generation_svc.domain.error import Overloaded
from generation_svc.rpc.call import Call
from generation_svc.rpc.caller import NOBODY
from generation_svc.rpc.meter import RpcMeter
from generation_svc.rpc.peer import PeerAddress, close_connections, peer_address
from generation_svc.rpc.waiting import UnreadLimits, Waiting

CALL_BYTES = 32 << 10
"""What gRPC keeps of a call until its answer has left, beside the answer."""
_logger = structlog.get_logger(__name__)


class Closer(Protocol):
    """What ends connections."""

    async def __call__(self, peers: Collection[PeerAddress], *, ports: Collection[int]) -> int:
        """Close the connections of these peers to our ports, and return how many there were."""


class UnreadAnswers:
    """Counts the answers that wait for their readers, by caller and by connection."""

    def __init__(
        self,
        limits: UnreadLimits | None = None,
        *,
        close: Closer = close_connections,
        meter: RpcMeter | None = None,
    ) -> None:
        self.limits = limits or UnreadLimits()
        self._meter = meter or RpcMeter()
        self._close = close
        self._of_caller: Counter[str] = Counter()
        self._of_callers = self._of_strangers = self._held_bytes = 0
        self._meter.unread_bytes.set_function(lambda: self._held_bytes)
        self._waiting: defaultdict[str, Waiting] = defaultdict(Waiting)
        self._numbers = itertools.count()

    @property
    def held_bytes(self) -> int:
        """How much waits now."""
        return self._held_bytes

    def guard(self, call: Call) -> None:
        """Let a call in unless its caller leaves too much unread. Raises Overloaded."""
        # What the handler will answer has no size yet; `answer` looks again.
        self._check(call, more=0)

    def answer(self, call: Call, answer: bytes) -> None:
        """Count an answer until it has left. Raises Overloaded if there is no room for it."""
        self._check(call, more=len(answer) + CALL_BYTES)
        self.hold(call, size=len(answer))

    def hold(self, call: Call, *, size: int = 0) -> None:
        """Count what a call has still to send until all of it has left."""
        peer, number, held = call.context.peer(), next(self._numbers), size + CALL_BYTES
        name = call.caller.name
        self._waiting[peer].since[number] = time.monotonic()
        self._count(name, peer, change=held)

        def release() -> None:
            self._count(name, peer, change=-held)
            self._leave(peer, number)

        # gRPC says so when the status has left, or when the call or its connection has ended.
        call.when_over(release)

    async def close_stalled(self, *, ports: Collection[int]) -> None:
        """Close, for as long as it runs, the connections that hold too much or for too long."""
        while True:
            await asyncio.sleep(self.limits.interval.total_seconds())
            peers = self.closable()
            if not peers:
                continue
            try:
                closed = await self._close(peers, ports=ports)
            except OSError as error:  # no file can be opened, for one: the next round may do it
                _logger.error("stalled connections could not be closed", error=str(error))
                continue
            self._meter.stalled_connections.inc(closed)
            _logger.warning("closed connections whose clients do not read", count=closed)

    def closable(self) -> set[PeerAddress]:
        """Return the peers whose connections hold too much or for too long."""
        now, limits = time.monotonic(), self.limits
        stalled = {peer for peer, each in self._waiting.items() if each.is_stalled(now, limits)}
        return {address for address in map(peer_address, stalled | self._greedy()) if address}

    def _greedy(self) -> set[str]:
        """Return who holds more than a stranger may, and more, the greediest first, if all do."""
        sizes = Counter({peer: each.stranger_bytes for peer, each in self._waiting.items()})
        found, left = set(), self._of_strangers
        for peer, size in sizes.most_common():
            if size <= self.limits.stranger_bytes and left <= self.limits.strangers_bytes:
                break
            found.add(peer)
            left -= size
        return found

    def _check(self, call: Call, *, more: int) -> None:
        name = call.caller.name
        if name == NOBODY.name:
            waiting = self._waiting.get(call.context.peer())
            if waiting and waiting.stranger_bytes + more > self.limits.stranger_bytes:
                raise self._refusal("unread answers of the connection")
            return
        if self._of_callers + more > self.limits.overall_bytes:
            raise self._refusal("unread answers")
        if self._of_caller[name] + more > self.limits.caller_bytes:
            raise self._refusal("unread answers of the caller")

    def _refusal(self, what: str) -> Overloaded:
        return Overloaded(what, retry_after=self.limits.stall_timeout * random.uniform(0.5, 1))

    def _count(self, name: str, peer: str, *, change: int) -> None:
        is_stranger = name == NOBODY.name
        self._waiting[peer].count(change, is_stranger=is_stranger)
        if is_stranger:
            self._of_strangers += change
        else:
            self._count_caller(name, change)
        self._held_bytes += change

    def _count_caller(self, name: str, change: int) -> None:
        before = self._of_caller[name]
        after, most = before + change, self.limits.caller_bytes
        self._of_callers += min(after, most) - min(before, most)
        if after:
            self._of_caller[name] = after
        else:
            del self._of_caller[name]

    def _leave(self, peer: str, number: int) -> None:
        waiting = self._waiting[peer]
        del waiting.since[number]
        waiting.moved_at = time.monotonic()
        if not waiting.since:
            del self._waiting[peer]
