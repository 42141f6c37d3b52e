"""The bounds of the gateway: who is slow, silent, endless or too many is answered and let go."""

from __future__ import annotations

import asyncio

import pytest

from tests.contract.callback_service import RecordingCallbackService, serving_callbacks
from tests.contract.gateway_bench import SUCCESS, Running, free_port, running
from tests.e2e.program import until


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
        assert quick.count("gateway_callbacks_total", outcome=outcome) == 1


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
        assert small.count("gateway_connections") <= 4
        for _, writer in silent:
            writer.close()


async def test_one_address_keeps_no_other_out() -> None:
    options = {"gateway_address_connection_limit": 2, "gateway_proxies": ()}
    async with running(free_port(), **options) as small:
        silent = [await asyncio.open_connection(*_of(small)) for _ in range(6)]
        async with asyncio.timeout(4):  # before those that say nothing are closed anyway
            for reader, _ in silent[:4]:
                assert await reader.read() == b""
        assert small.count("gateway_connections") <= 2
        for _, writer in silent:
            writer.close()


async def test_where_all_are_at_work_a_newcomer_is_answered_unheard() -> None:
    service = RecordingCallbackService()
    service.is_hanging = True
    async with (
        serving_callbacks(service) as port,
        running(port, gateway_connection_limit=1, gateway_handover_timeout_s=1) as small,
    ):
        first = asyncio.create_task(small.post("/callbacks/kie/first"))
        await until(small.is_handing_on, within_s=5, what="a callback on its way")
        assert await small.answer(b"POST /callbacks/kie HTTP/1.1\r\n") == (
            b"HTTP/1.1 200 OK",
            SUCCESS,
        )
        assert small.count("gateway_callbacks_total", outcome="shed") == 1
        assert (await first).content == SUCCESS


async def test_requests_without_end_in_one_stream_are_not_kept() -> None:
    one = b"POST /callbacks/kie/x HTTP/1.1\r\nhost: g\r\ncontent-length: 0\r\n\r\n"
    async with running(free_port()) as alone:
        assert await alone.answer(one * 2000) == (b"HTTP/1.1 200 OK", SUCCESS)
        assert alone.count("gateway_callbacks_total", outcome="shed") == 1


def _of(gateway_running: Running) -> tuple[str, int]:
    return gateway_running.address.host, gateway_running.address.port
