"""A complete callback is handed on in whole, whatever stands around it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.contract.callback_service import RecordingCallbackService, serving_callbacks
from tests.contract.gateway_harness import SUCCESS, Running, running

BODY = b'{"code":200,"data":{"taskId":"task-1"}}'
HOST = b"POST /callbacks/kie/tok HTTP/1.1\r\nhost: g\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n" % (len(BODY), BODY)


def post(*headers: bytes, body: bytes = BODY, line: bytes = b"", length: bool = True) -> bytes:
    lines = [b"content-length: %d" % len(body)] if length else []
    return (line or HOST) + b"\r\n".join([*headers, *lines, b"", b""]) + body


@pytest.fixture(scope="module")
async def up() -> AsyncIterator[Running]:
    service = RecordingCallbackService()
    async with serving_callbacks(service) as port, running(port) as gateway_running:
        gateway_running.service = service
        yield gateway_running


async def whole_answer(up: Running, *pieces: bytes) -> bytes:
    """Send pieces and read until the gateway closes."""
    reader, writer = await asyncio.open_connection(up.address.host, up.address.port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        async with asyncio.timeout(20):
            return await reader.read()
    finally:
        writer.close()


def handed_on(up: Running) -> list[tuple[str, bytes]]:
    return [(each.path_token, each.body) for each in up.service.requests]


@pytest.mark.parametrize(
    "garbage",
    [
        b" ",
        b"\0",
        b"\x16\x03\x01\x02\x00",
        b"garbage",
        b"x" * 200_000,
        b"post /callbacks/kie/2 HTTP/1.1\r\n\r\n",
        b"POST /callbacks/kie/2 HTTP/1.1\r\nbroken header\r\n\r\n",
        b"POST /callbacks/kie/2 HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"POST /callbacks/kie/2 HTTP/1.1\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=lambda garbage: repr(garbage[:40]),
)
@pytest.mark.parametrize(
    "request_bytes", [post(), HOST + CHUNKED + b"\r\n"], ids=["sized", "chunked"]
)
async def test_what_stands_behind_a_callback_costs_nothing(
    up: Running, *, request_bytes: bytes, garbage: bytes
) -> None:
    up.service.requests.clear()

    answer = await whole_answer(up, request_bytes + garbage)

    assert handed_on(up) == [("tok", BODY)]
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close\r\n" in answer
    assert answer.endswith(b"\r\n\r\n" + SUCCESS)
    assert answer.count(b"HTTP/1.1") == 1


async def test_all_complete_callbacks_in_front_of_garbage_are_answered(up: Running) -> None:
    up.service.requests.clear()

    answer = await whole_answer(up, post() * 3 + b" ")

    assert handed_on(up) == [("tok", BODY)] * 3
    assert answer.count(b"HTTP/1.1 200 OK") == 3


async def test_more_callbacks_in_a_row_than_wait_cost_those_that_wait_nothing(up: Running) -> None:
    up.service.requests.clear()

    answer = await whole_answer(up, post() * 100)

    assert set(handed_on(up)) == {("tok", BODY)}
    assert answer.count(b"HTTP/1.1 200 OK") == len(up.service.requests) == 65


async def test_a_client_that_ends_after_garbage_is_answered(up: Running) -> None:
    up.service.requests.clear()

    assert await up.answer(post() + b" ", then_close=True) == (b"HTTP/1.1 200 OK", SUCCESS)

    assert handed_on(up) == [("tok", BODY)]


@pytest.mark.parametrize(
    "request_bytes",
    [
        post(
            b"Connection: Upgrade, HTTP2-Settings",
            b"Upgrade: h2c",
            b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
        ),
        post(
            b"connection: keep-alive, upgrade", b"upgrade: websocket", b"sec-websocket-version: 13"
        ),
        post(b"connection: close, Upgrade", b"upgrade: anything/2"),
        post(b"upgrade: h2c"),
        HOST + b"connection: upgrade\r\nupgrade: h2c\r\n" + CHUNKED + b"\r\n",
        post(b"expect: 100-continue", b"connection: upgrade", b"upgrade: h2c"),
        post(b"expect: 100-continue"),
        post(b"connection: close"),
        HOST + CHUNKED + b"x-webhook-signature: forged\r\n\r\n",
        post(line=b"POST /callbacks/kie/tok HTTP/1.0\r\n"),
        post(b"connection: upgrade", b"upgrade: h2c", line=b"POST /callbacks/kie/tok HTTP/1.0\r\n"),
        post(line=b"POST http://elsewhere/callbacks/kie/tok HTTP/1.1\r\nhost: g\r\n"),
        b"\r\n" + post(),
    ],
    ids=[
        "Java",
        "websocket",
        "another protocol",
        "upgrade without connection",
        "upgrade and chunked",
        "upgrade and expect",
        "expect",
        "close",
        "trailers",
        "HTTP/1.0",
        "HTTP/1.0 and upgrade",
        "absolute form",
        "an empty line in front",
    ],
)
@pytest.mark.parametrize("is_torn", [False, True], ids=["at once", "byte by byte"])
async def test_a_callback_is_read_however_it_is_asked(
    up: Running, *, request_bytes: bytes, is_torn: bool
) -> None:
    up.service.requests.clear()
    pieces = [request_bytes[i : i + 1] for i in range(len(request_bytes))]

    reader, writer = await asyncio.open_connection(up.address.host, up.address.port)
    for piece in pieces if is_torn else [request_bytes]:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    async with asyncio.timeout(20):
        assert b"HTTP/1.1 200 OK" in await reader.readuntil(SUCCESS)
    writer.close()

    assert handed_on(up) == [("tok", BODY)]
    assert "x-webhook-signature" not in up.service.requests[0].headers


async def test_a_connection_goes_on_after_an_upgrade_was_ignored(up: Running) -> None:
    up.service.requests.clear()
    asking = post(b"connection: upgrade", b"upgrade: h2c")

    answer = await whole_answer(up, asking + asking + post(b"connection: close"))

    assert handed_on(up) == [("tok", BODY)] * 3
    assert answer.count(b"HTTP/1.1 200 OK") == 3


@pytest.mark.parametrize(
    "headers",
    [
        (b"content-length: 5", b"transfer-encoding: chunked"),
        (b"transfer-encoding: chunked", b"content-length: 5"),
        (b"content-length: 5", b"content-length: 5"),
        (
            b"content-length: 5",
            b"connection: upgrade",
            b"upgrade: h2c",
            b"transfer-encoding: chunked",
        ),
    ],
)
async def test_a_body_of_two_lengths_is_never_read_as_two_requests(
    up: Running, headers: tuple[bytes, ...]
) -> None:
    up.service.requests.clear()
    smuggled = b"0\r\n\r\n" + post(line=b"POST /callbacks/kie/smuggled HTTP/1.1\r\nhost: g\r\n")

    answer = await whole_answer(up, post(*headers, body=smuggled, length=False))

    assert answer.endswith(SUCCESS)
    assert [token for token, _ in handed_on(up) if token == "smuggled"] == []


@pytest.mark.parametrize("between", [b"\r\n ", b"\r\n\t"], ids=["space", "tab"])
async def test_a_folded_header_breaks_nothing(up: Running, between: bytes) -> None:
    status, body = await up.answer(post(b"user-agent: one" + between + b"two"))
    assert (status, body) == (b"HTTP/1.1 200 OK", SUCCESS)
