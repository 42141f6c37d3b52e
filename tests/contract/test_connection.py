"""What connections may take, tried by clients that say nothing, stop, or never read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from h2.settings import SettingCodes
from structlog.testing import capture_logs

from atelier.generation.v1 import generation_service_pb2 as pb
from generation_svc.rpc.admission import Admission, Cap, Caps
from generation_svc.rpc.connection import ConnectionLimits
from generation_svc.rpc.deadline import limiting
from generation_svc.rpc.endpoint import Endpoint
from generation_svc.rpc.interceptor import CallInterceptor
from generation_svc.rpc.unread import CALL_BYTES, UnreadAnswers
from generation_svc.rpc.waiting import UnreadLimits
from tests.contract.failure import refused
from tests.contract.raw_connection import PREFACE, SERVICE, RawConnection, framed, raw_connection
from tests.contract.service import Service, serving
from tests.e2e.program import until

SOON, HOUR = timedelta(seconds=1), timedelta(hours=1)
WITHIN_S = 20
"""Five times what closing takes here, and a third of what gRPC takes by itself."""
QUICK = ConnectionLimits(handshake=SOON, settings=SOON, ping_after=SOON, ping_timeout=SOON)
LIST_MODELS = f"{SERVICE}/ListModels"
CHECK = "/grpc.health.v1.Health/Check"
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
FEW_UNREAD = UnreadLimits(
    caller_bytes=5 * CALL_BYTES,
    stall_timeout=timedelta(seconds=2),
    interval=timedelta(milliseconds=100),
)


async def silent(connection: RawConnection) -> None:
    """Send nothing."""


async def preface(connection: RawConnection) -> None:
    """Send the preface of HTTP/2, and no more."""
    connection.writer.write(PREFACE)


async def unconfirmed(connection: RawConnection) -> None:
    """Begin HTTP/2, and never confirm the server's settings."""
    await connection.begin()


async def stopped(connection: RawConnection) -> None:
    """Make a call, then stop as a process does on SIGSTOP."""
    await connection.begin()
    while not connection.settings:
        await connection.read()
    await connection.ask("/grpc.health.v1.Health/Watch", framed(b""))


@pytest.mark.parametrize("attack", [silent, preface, unconfirmed, stopped])
async def test_a_connection_that_does_nothing_is_closed(
    database_url: str, tmp_path: Path, attack: Callable[[RawConnection], Awaitable[None]]
) -> None:
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(
            serving(database_url, tmp_path, connection_limits=QUICK)
        )
        connection = await stack.enter_async_context(raw_connection(service.address))
        await attack(connection)
        await connection.end(within_s=WITHIN_S)
        await service.generation.ListModels(pb.ListModelsRequest())


async def test_a_connection_without_calls_is_closed(database_url: str, tmp_path: Path) -> None:
    limits = ConnectionLimits(idle=SOON)
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(
            serving(database_url, tmp_path, connection_limits=limits)
        )
        connection = await stack.enter_async_context(raw_connection(service.address))
        await connection.begin()
        async with asyncio.timeout(WITHIN_S):
            while connection.is_open:  # it answers every ping
                await connection.read()


async def test_there_are_never_more_connections_than_allowed(
    database_url: str, tmp_path: Path
) -> None:
    limits = ConnectionLimits(connections=5, handshake=timedelta(seconds=3))
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(
            serving(database_url, tmp_path, connection_limits=limits)
        )
        open_connection = partial(raw_connection, service.address)
        held = [await stack.enter_async_context(open_connection()) for _ in range(9)]
        for one_too_many in held[5:]:
            await one_too_many.end(within_s=2.5)
        # Those that say nothing make room in the end, and whoever waits is served.
        await service.generation.ListModels(pb.ListModelsRequest(), wait_for_ready=True, timeout=30)


async def test_a_client_is_told_how_many_calls_a_connection_takes(
    database_url: str, tmp_path: Path
) -> None:
    limits = ConnectionLimits(streams=7)
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(
            serving(database_url, tmp_path, connection_limits=limits)
        )
        connection = await stack.enter_async_context(raw_connection(service.address))
        await connection.begin()
        while not connection.settings:
            await connection.read()
        assert connection.settings[SettingCodes.MAX_CONCURRENT_STREAMS] == 7


async def test_answers_that_nobody_reads_are_counted_limited_and_ended(
    database_url: str, tmp_path: Path
) -> None:
    admission, unread = Admission(), UnreadAnswers(FEW_UNREAD)
    around = (admission.guard,)
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(
            serving(database_url, tmp_path, around=around, unread=unread)
        )
        connection = await stack.enter_async_context(raw_connection(service.address))
        await connection.begin(window=0)
        streams = [await connection.ask(LIST_MODELS, framed(b"")) for _ in range(20)]
        answers = [await connection.refusal(each) for each in streams[5:]]
        refusals = [each for each in answers if each.reason]  # which five are let in is chance
        assert len(refusals) >= 10
        assert {each.reason for each in refusals} == {"OVERLOADED"}
        assert {each.metadata["part"] for each in refusals} == {"unread answers of the caller"}

        async def is_within_bounds() -> bool:  # those that were refused have left
            return 0 < unread.held_bytes <= FEW_UNREAD.caller_bytes

        await until(is_within_bounds, within_s=WITHIN_S, what="only what is allowed to be held")
        assert 0 < admission.open_calls <= 5
        async with asyncio.timeout(WITHIN_S):
            while connection.is_open:  # it answers every ping
                await connection.read()

        async def is_free() -> bool:
            return admission.open_calls == 0 and unread.held_bytes == 0

        await until(is_free, within_s=WITHIN_S, what="the end of what was held")
        await service.generation.ListModels(pb.ListModelsRequest())


async def test_a_stranger_who_does_not_read_takes_the_health_from_nobody_else(
    database_url: str, tmp_path: Path
) -> None:
    unread = UnreadAnswers(replace(FEW_UNREAD, stranger_bytes=5 * CALL_BYTES, stall_timeout=HOUR))
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(
            serving(database_url, tmp_path, around=(), unread=unread)
        )
        connection = await stack.enter_async_context(raw_connection(service.address))
        await connection.begin(window=0)
        streams = [await connection.ask(CHECK, framed(b"")) for _ in range(20)]
        answers = [await connection.refusal(each) for each in streams[5:]]
        refusals = [each for each in answers if each.reason]  # which five are let in is chance
        assert len(refusals) >= 10
        assert {each.metadata["part"] for each in refusals} == {"unread answers of the connection"}
        health: Any = HealthStub(service.channel)
        await health.Check(health_pb2.HealthCheckRequest())
        await service.generation.ListModels(pb.ListModelsRequest())


async def test_strangers_who_leave_too_much_unread_in_all_are_closed_at_once(
    database_url: str, tmp_path: Path
) -> None:
    unread = UnreadAnswers(replace(FEW_UNREAD, strangers_bytes=5 * CALL_BYTES, stall_timeout=HOUR))
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(
            serving(database_url, tmp_path, around=(), unread=unread)
        )
        modest = await stack.enter_async_context(raw_connection(service.address))
        greedy = await stack.enter_async_context(raw_connection(service.address))
        for connection, calls in ((modest, 2), (greedy, 4)):
            await connection.begin(window=0)
            for _ in range(calls):
                await connection.ask(CHECK, framed(b""))
        async with asyncio.timeout(WITHIN_S):
            while greedy.is_open:
                await greedy.read()

        async def is_within_bounds() -> bool:
            return 0 < unread.held_bytes < 3 * CALL_BYTES

        await until(is_within_bounds, within_s=WITHIN_S, what="what the modest one holds")
        await modest.ping()
        assert modest.is_open


class Failing(UnreadAnswers):
    """Counts, and closes nothing for a fault of its own."""

    async def close_stalled(self, *, ports: Collection[int]) -> None:
        raise ValueError(ports)


async def test_the_end_of_what_closes_connections_is_logged(idle_service: Service) -> None:
    endpoint = Endpoint(idle_service.deps, interceptor=CallInterceptor(unread=Failing()))
    endpoint.bind("127.0.0.1:0")
    with capture_logs() as lines:
        await endpoint.start()

        async def is_told() -> bool:
            return "stalled connections are no longer closed" in {each["event"] for each in lines}

        await until(is_told, within_s=WITHIN_S, what="a line in the log")
    await endpoint.stop(grace_seconds=0)


async def test_a_connection_that_moves_is_not_closed(database_url: str, tmp_path: Path) -> None:
    unread = UnreadAnswers(FEW_UNREAD)
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(
            serving(database_url, tmp_path, around=(), unread=unread)
        )
        connection = await stack.enter_async_context(raw_connection(service.address))
        await connection.begin(window=0)
        held = await connection.ask(LIST_MODELS, framed(b""))
        began = asyncio.get_running_loop().time()
        while (
            asyncio.get_running_loop().time() < began + 2 * FEW_UNREAD.stall_timeout.total_seconds()
        ):
            await connection.refusal(await connection.ask(f"{SERVICE}/GetJob", framed(b"")))
            await connection.ping()
        assert connection.is_open
        assert held not in connection.ended
        assert unread.held_bytes > 0


async def test_a_call_that_never_sends_its_message_is_counted_and_ended(
    database_url: str, tmp_path: Path
) -> None:
    admission = Admission()
    around = (admission.guard, limiting({}, ordinary=SOON))
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(serving(database_url, tmp_path, around=around))
        connection = await stack.enter_async_context(raw_connection(service.address))
        await connection.begin()
        stream = await connection.ask(f"{SERVICE}/GetJob", b"", end=False)

        async def is_counted() -> bool:
            return admission.open_calls == 1

        await until(is_counted, within_s=WITHIN_S, what="the call to be counted")
        refusal = await connection.refusal(stream)
        assert refusal.reason == "CALL_TOO_LONG"


async def test_health_and_reflection_have_limits(database_url: str, tmp_path: Path) -> None:
    caps = Caps(built_in=Cap(5, 3, SOON))
    around = (Admission(caps).guard, limiting({"ServerReflectionInfo": SOON}))
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(serving(database_url, tmp_path, around=around))
        health: Any = HealthStub(service.channel)
        watches = [health.Watch(health_pb2.HealthCheckRequest()) for _ in range(3)]
        for watch in watches:
            await watch.read()
        refusal = await refused(health.Watch(health_pb2.HealthCheckRequest()).read())
        assert (refusal.reason, refusal.metadata) == (
            "OVERLOADED",
            {"part": "built_in of the connection"},
        )
        assert (await health.Check(health_pb2.HealthCheckRequest())).status

        other = await stack.enter_async_context(raw_connection(service.address))
        await other.begin()
        streams = [await other.ask(REFLECTION, b"", end=False) for _ in range(3)]
        refusals = [await other.refusal(stream) for stream in reversed(streams)]
        assert [each.reason for each in refusals] == [
            "OVERLOADED",
            "CALL_TOO_LONG",
            "CALL_TOO_LONG",
        ]
        assert (await service.generation.ListModels(pb.ListModelsRequest())).models


async def test_reflection_can_be_switched_off(database_url: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(
            serving(database_url, tmp_path, has_reflection=False)
        )
        connection = await stack.enter_async_context(raw_connection(service.address))
        await connection.begin()
        refusal = await connection.refusal(await connection.ask(REFLECTION, b""))
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.UNIMPLEMENTED,
            "METHOD_NOT_FOUND",
        )
