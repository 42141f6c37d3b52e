"""The bounds of the gateway: who is slow, silent, endless or too many is answered and let go."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import Any

import pytest

from callback_gateway.protocol import MAX_PIPELINE
from tests.contract.callback_service import RecordingCallbackService, serving_callbacks
from tests.contract.gateway_harness import SUCCESS, Running, running
from tests.e2e.program import until
from tests.port import free_port

CHUNKED = b"POST /callbacks/kie HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "outcome"),
    [
        (b"POST /callbacks/kie/slow HTTP/1.1\r\nhost: g\r\n", "head_slow"),
        (b"POST /callbacks/kie HTTP/1.1\r\nx: " + b"y" * 2_000_000, "head_oversize"),
        (b"POST /callbacks/kie?" + b"y" * 2_000_000, "head_oversize"),
        (b"POST /callbacks/kie HTTP/1.1\r\n" + b"x: y\r\n" * 300_000, "head_oversize"),
    ],
    ids=["slow", "one header", "path", "many headers"],
)
async def test_a_head_without_end_is_answered(head: bytes, outcome: str) -> None:
    async with running(free_port(), gateway_head_timeout_s=0.3) as quick:
        assert await quick.answer(head) == (b"HTTP/1.1 200 OK", SUCCESS)
        assert quick.count("atelier_gateway_callbacks_total", outcome=outcome) == 1


async def test_silent_connections_keep_nobody_out() -> None:
    service = RecordingCallbackService()
    async with (
        serving_callbacks(service) as port,
        running(port, gateway_connection_limit=3) as small,
    ):
        silent = [await asyncio.open_connection(*_of(small)) for _ in range(5)]
        for _, writer in silent:
            writer.write(b"POST /callbacks/kie/half HT")
        assert (await small.post("/callbacks/kie/heard")).content == SUCCESS
        assert [each.path_token for each in service.requests] == ["heard"]
        assert small.count("atelier_gateway_connections") <= 4
        for _, writer in silent:
            writer.close()


async def test_one_address_keeps_no_other_out() -> None:
    options: dict[str, Any] = {"gateway_address_connection_limit": 2, "gateway_proxies": ()}
    # Else those that say nothing are closed anyway.
    async with running(free_port(), gateway_head_timeout_s=60, **options) as small:
        silent = [await asyncio.open_connection(*_of(small)) for _ in range(6)]
        async with asyncio.timeout(30):
            for reader, _ in silent[:4]:
                assert await reader.read() == b""
        assert small.count("atelier_gateway_connections") <= 2
        for _, writer in silent:
            writer.close()


async def test_where_all_are_at_work_a_newcomer_is_answered_unheard() -> None:
    service = RecordingCallbackService()
    service.is_hanging = True
    async with (
        serving_callbacks(service) as port,
        running(port, gateway_connection_limit=1) as small,
    ):
        first = asyncio.create_task(small.post("/callbacks/kie/first"))
        await until(small.is_handing_on, within_s=5, what="a callback on its way")
        assert await small.answer(b"POST /callbacks/kie HTTP/1.1\r\n") == (
            b"HTTP/1.1 200 OK",
            SUCCESS,
        )
        assert small.count("atelier_gateway_callbacks_total", outcome="shed") == 1
        service.may_go_on.set()
        assert (await first).content == SUCCESS


async def test_requests_without_end_in_one_stream_are_not_kept() -> None:
    one = b"POST /callbacks/kie/x HTTP/1.1\r\nhost: g\r\ncontent-length: 0\r\n\r\n"
    async with running(free_port()) as alone:
        assert await alone.answer(one * 2000) == (b"HTTP/1.1 200 OK", SUCCESS)
        assert alone.count("atelier_gateway_callbacks_total", outcome="shed") == 1


async def test_a_row_of_wishes_for_another_protocol_costs_no_more_than_a_row_of_requests(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asking = b"GET /callbacks/kie HTTP/1.1\r\nUpgrade:h\r\nConnection:upgrade\r\n\r\n"
    async with running(free_port()) as alone:
        tracemalloc.start()
        answer = await _whole_answer(alone, asking * 4000)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == MAX_PIPELINE + 1
    assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == []
    assert most < 16 << 20


@pytest.mark.parametrize(
    "trailers",
    [b"0\r\nx: " + b"y" * 2_000_000, b"0\r\n" + b"x: y\r\n" * 300_000, b"0;" + b"x" * 2_000_000],
    ids=["one trailer", "many trailers", "an extension"],
)
async def test_trailers_without_end_are_answered_before_the_body_is_late(trailers: bytes) -> None:
    async with running(free_port()) as alone:
        answer = await _whole_answer(alone, CHUNKED + trailers)
        assert answer.count(b"HTTP/1.1 200 OK\r\n") == 1
        assert alone.count("atelier_gateway_callbacks_total", outcome="head_oversize") == 1


@pytest.mark.parametrize(
    ("rest", "answers"),
    [
        (b"zz\r\n", 1),
        (b"0\r\nx: " + b"y" * 2_000_000, 1),
        (b"0\r\n\r\n" + b"\r\n" * 200_000, 1),
        (b"0\r\n\r\nbroken\r\n", 2),
        (b"0\r\n\r\nPOST /callbacks/kie?" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", 2),
    ],
    ids=["a broken body", "trailers", "blank lines", "a broken request", "a long address"],
)
async def test_every_request_is_answered_once(rest: bytes, answers: int) -> None:
    async with running(free_port(), gateway_body_timeout_s=0.1) as quick:
        reader, writer = await asyncio.open_connection(*_of(quick))
        writer.write(CHUNKED + b"2\r\n{}\r\n")
        async with asyncio.timeout(20):
            first = await reader.readuntil(SUCCESS)
            writer.write(rest)
            answer = first + await reader.read()
        writer.close()
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == answers
    assert answer.count(b"HTTP/1.1") == answers


async def _whole_answer(gateway_running: Running, sent: bytes) -> bytes:
    """Send bytes and read until the gateway closes."""
    reader, writer = await asyncio.open_connection(*_of(gateway_running))
    try:
        writer.write(sent)
        async with asyncio.timeout(20):
            return await reader.read()
    finally:
        writer.close()


def _of(gateway_running: Running) -> tuple[str, int]:
    return gateway_running.address.host, gateway_running.address.port
