"""Calls without a known token: what they may hold, and that nobody else pays for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from generation_svc.domain.caller import Caller
from generation_svc.domain.error import Overloaded
from generation_svc.rpc.admission import Admission
from generation_svc.rpc.call import Call, Guard
from generation_svc.rpc.caller import NOBODY
from generation_svc.rpc.unread import CALL_BYTES, UnreadAnswers
from generation_svc.rpc.waiting import UnreadLimits, Waiting

GREEDY, GREEDY_ADDRESS = "ipv4:10.0.0.1:1", ("10.0.0.1", 1)
OTHER = "ipv4:10.0.0.2:2"
LIMITS = UnreadLimits()
GATEWAY = Caller("gateway")


@dataclass
class Connection:
    """The calls of one connection, whose client reads when a test says so."""

    peer: str = OTHER
    ends: list[Callable[[Any], None]] = field(default_factory=list)

    def call(self, method: str, caller: Caller = NOBODY) -> Call:
        return Call(method=method, caller=caller, context=cast(Any, Context(self)))

    def read(self) -> None:
        while self.ends:
            self.ends.pop(0)(None)


@dataclass
class Context:
    """What guards ask of gRPC."""

    connection: Connection

    def peer(self) -> str:
        return self.connection.peer

    def add_done_callback(self, end: Callable[[Any], None]) -> None:
        self.connection.ends.append(end)


async def enters(guard: Guard, call: Call) -> bool:
    try:
        guard(call)
    except Overloaded:
        return False
    return True


def refuse(unread: UnreadAnswers, connection: Connection, *, times: int, **call: Any) -> None:
    for _ in range(times):
        unread.hold(connection.call("GetJob", **call))


async def test_refusals_that_a_stranger_does_not_read_are_at_the_cost_of_its_connection() -> None:
    unread, greedy = UnreadAnswers(), Connection(GREEDY)
    refuse(unread, greedy, times=10_000)
    assert await enters(unread.guard, Connection().call("ReportCallback", GATEWAY))
    assert await enters(unread.guard, Connection(GREEDY).call("ReportCallback", GATEWAY))
    assert await enters(unread.guard, Connection().call("Check"))
    assert not await enters(unread.guard, Connection(GREEDY).call("Check"))
    assert unread.closable() == {GREEDY_ADDRESS}
    greedy.read()
    assert (unread.held_bytes, unread.closable()) == (0, set())
    assert await enters(unread.guard, Connection(GREEDY).call("Check"))


async def test_many_modest_strangers_lose_the_greediest_of_their_connections() -> None:
    unread = UnreadAnswers()
    each = LIMITS.stranger_bytes // CALL_BYTES // 2
    enough = LIMITS.strangers_bytes // CALL_BYTES // each
    for number in range(enough):
        refuse(unread, Connection(f"ipv4:10.0.1.1:{number + 1}"), times=each)
    assert unread.closable() == set()
    refuse(unread, Connection(GREEDY), times=each + 1)
    assert unread.closable() == {GREEDY_ADDRESS}
    assert await enters(unread.guard, Connection().call("Check"))


async def test_a_caller_that_reads_no_refusal_leaves_the_others_their_share() -> None:
    unread, connection = UnreadAnswers(), Connection()
    refuse(unread, connection, times=10_000, caller=Caller("noisy"))
    assert not await enters(unread.guard, connection.call("GetJob", Caller("noisy")))
    assert await enters(unread.guard, connection.call("ReportCallback", GATEWAY))
    connection.read()
    assert unread.held_bytes == 0
    refuse(unread, connection, times=1, caller=Caller("noisy"))
    assert await enters(unread.guard, connection.call("GetJob", Caller("noisy")))


@pytest.mark.parametrize(
    ("held_bytes", "oldest", "moved_at", "is_stalled"),
    [
        pytest.param(CALL_BYTES, 31, 29, False, id="something moves"),
        pytest.param(CALL_BYTES, 31, 31, True, id="nothing moves"),
        pytest.param(CALL_BYTES, 3600, 29, False, id="little waits, for long"),
        pytest.param(2 << 20, 59, 29, False, id="much waits, and not for long"),
        pytest.param(2 << 20, 61, 29, True, id="one is read of many, again and again"),
    ],
)
def test_a_connection_is_stalled_by_what_waits_and_for_how_long(
    held_bytes: int, oldest: float, moved_at: float, *, is_stalled: bool
) -> None:
    now = 10_000.0
    since = {0: now - oldest, 1: now - 1}
    waiting = Waiting(since, now - moved_at, held_bytes=held_bytes)
    assert waiting.is_stalled(now, LIMITS) is is_stalled


async def test_watches_and_reflection_leave_room_for_health_checks() -> None:
    admission = Admission()
    for number in range(100):
        connection = Connection(f"ipv4:10.0.1.1:{number + 1}")
        for method in ("Watch", "ServerReflectionInfo"):
            for _ in range(50):
                await enters(admission.guard, connection.call(method))
        assert await enters(admission.guard, connection.call("Check"))
    assert not await enters(admission.guard, Connection().call("Watch"))
    assert await enters(admission.guard, Connection().call("Check"))
    assert await enters(admission.guard, Connection().call("List"))


async def test_checks_of_one_connection_leave_room_for_those_of_another() -> None:
    admission, greedy = Admission(), Connection(GREEDY)
    let_in = [await enters(admission.guard, greedy.call("Check")) for _ in range(1000)]
    assert sum(let_in) == admission.caps.probes.per_caller
    assert await enters(admission.guard, Connection().call("Check"))


async def test_a_round_that_cannot_close_is_followed_by_one_that_does() -> None:
    asked, done = list[Collection[Any]](), asyncio.Event()

    async def close(peers: Collection[Any], *, ports: Collection[int]) -> int:
        asked.append(peers)
        if len(asked) == 1:
            raise OSError(24, "Too many open files")
        done.set()
        return len(peers)

    unread = UnreadAnswers(UnreadLimits(interval=LIMITS.interval / 100), close=close)
    refuse(unread, Connection(GREEDY), times=1000)
    closing = asyncio.create_task(unread.close_stalled(ports={1}))
    async with asyncio.timeout(10):
        await done.wait()
    assert asked[:2] == [{GREEDY_ADDRESS}, {GREEDY_ADDRESS}]
    closing.cancel()
