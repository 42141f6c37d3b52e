import asyncio
import logging
import uuid
from collections.abc import AsyncIterator

import grpc
import httpx2
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.contract.callback_service import RecordingCallbackService, serving_callbacks
from tests.contract.gateway_harness import SUCCESS, Running, running
from tests.port import free_port


@pytest.fixture(scope="module")
async def up() -> AsyncIterator[Running]:
    service = RecordingCallbackService()
    async with (
        serving_callbacks(service) as port,
        running(port, gateway_body_timeout_s=0.5) as gateway_running,
    ):
        gateway_running.service = service
        yield gateway_running


async def test_a_callback_arrives_with_token_headers_and_identity(up: Running) -> None:
    answer = await up.post("/callbacks/kie/tok-1/", b'{"code":200}')
    assert (answer.status_code, answer.content) == (200, SUCCESS)
    assert answer.headers["content-type"] == "application/json"
    assert up.service.requests[-1].body == b'{"code":200}'
    assert up.service.requests[-1].path_token == "tok-1"
    assert set(up.service.requests[-1].headers) == {"user-agent"}
    assert up.service.metadata[-1]["authorization"] == "Bearer gateway-token"
    assert uuid.UUID(up.service.metadata[-1]["x-correlation-id"]).version == 7


async def test_an_outcome_that_is_newer_than_the_gateway_is_no_fault(up: Running) -> None:
    up.service.outcome = 99
    assert (await up.post("/callbacks/kie/tok-1/")).status_code == 200
    assert up.count("atelier_gateway_callbacks_total", outcome="other") == 1
    assert up.count("atelier_gateway_callbacks_total", outcome="crashed") == 0


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"PROPFIND /callbacks/kie HTTP/1.1\r\nhost: g\r\n\r\n",
        b"OPTIONS /callbacks/kie/x HTTP/1.1\r\nhost: g\r\n\r\n",
        b"CONNECT /callbacks/kie HTTP/1.1\r\nhost: g\r\n\r\n",
        b"INVENTED /callbacks/kie HTTP/1.1\r\nhost: g\r\n\r\n",
        b"POST /callbacks/kie/%ff%zz%00%2e%2e HTTP/1.1\r\nhost: g\r\ncontent-length: 2\r\n\r\n{}",
        b"POST /callbacks/kie/\xff\xfe HTTP/1.1\r\nhost: g\r\ncontent-length: 2\r\n\r\n{}",
        b"POST /callbacks/kie/a%0Ab HTTP/1.1\r\nhost: g\r\ncontent-length: 2\r\n\r\n{}",
        b"POST /callbacks/kie/" + b"x" * 100_000 + b" HTTP/1.1\r\nhost: g\r\n\r\n",
        b"POST /callbacks/kie?" + b"x" * 100_000 + b" HTTP/1.1\r\nhost: g\r\n\r\n",
        b"POST http://elsewhere/callbacks/kie/t HTTP/1.1\r\nhost: g\r\n\r\n",
        b"POST /callbacks/kie HTTP/1.1\r\n\r\n",
        b"POST /callbacks/kie HTTP/1.0\r\ncontent-length: 2\r\n\r\n{}",
        b"POST /callbacks/kie HTTP/9.9\r\n\r\n",
        b"POST /callbacks/kie\r\n\r\n",
        b"POST /callbacks/kie HTTP/1.1\r\nhost: g\r\nbroken header\r\n\r\n",
        b"POST /callbacks/kie HTTP/1.1\r\nhost: g\r\nx: " + b"y" * 200_000 + b"\r\n\r\n",
        b"POST /callbacks/kie HTTP/1.1\r\nhost: g\r\n" + b"x: y\r\n" * 500 + b"\r\n",
        b"POST /callbacks/kie HTTP/1.1\r\nhost: g\r\ncontent-length: -1\r\n\r\n",
        b"POST /callbacks/kie HTTP/1.1\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        b"POST /callbacks/kie HTTP/1.1\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n",
        b'POST /callbacks/kie HTTP/1.1\r\ncontent-length: 2\r\n\r\n{"more": "than that"}',
        b"POST /callbacks/kie HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n",
        b"POST /callbacks/kie HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"POST /callbacks/kie HTTP/1.1\r\nexpect: nonsense\r\ncontent-length: 2\r\n\r\n{}",
        b"GET /callbacks/kie HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        b"sec-websocket-key: eA==\r\nsec-websocket-version: 13\r\n\r\n",
        b"POST /callbacks/kie HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\n"
        b"content-length: 2\r\n\r\n{}",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 64,
    ],
    ids=lambda request: request[:60].decode("latin-1"),
)
async def test_a_shape_is_answered_200(up: Running, request_bytes: bytes) -> None:
    assert await up.answer(request_bytes) == (b"HTTP/1.1 200 OK", SUCCESS)


async def test_a_head_request_is_answered_200(up: Running) -> None:
    async with httpx2.AsyncClient() as http:
        answer = await http.head(f"http://{up.address}/callbacks/kie/")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("request_bytes", "is_handed_on"),
    [
        (b"POST /callbacks/kie/half HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}", True),
        (b"POST /callbacks/kie/half HTTP/1.1\r\ncontent-length: 99\r\n\r\n{}", False),
        (b"POST /callbacks/kie/half HT", False),
    ],
    ids=["whole", "in the body", "in the head"],
)
async def test_a_client_that_stopped_sending_is_answered(
    up: Running, *, request_bytes: bytes, is_handed_on: bool
) -> None:
    up.service.requests.clear()
    answer = await up.answer(request_bytes, then_close=True)
    assert answer == (b"HTTP/1.1 200 OK", SUCCESS)
    assert bool(up.service.requests) is is_handed_on


async def test_requests_in_one_stream_are_each_answered(up: Running) -> None:
    up.service.requests.clear()
    one = b"POST /callbacks/kie/%d HTTP/1.1\r\nhost: g\r\ncontent-length: 2\r\n\r\n{}"
    reader, writer = await asyncio.open_connection(up.address.host, up.address.port)
    writer.write(b"".join(one % number for number in range(3)))
    async with asyncio.timeout(10):
        for _ in range(3):
            assert (await reader.readuntil(SUCCESS)).startswith(b"HTTP/1.1 200 OK\r\n")
    writer.close()
    assert [each.path_token for each in up.service.requests] == ["0", "1", "2"]


@pytest.mark.parametrize("size", [1 << 20, (1 << 20) + 1, 3 << 20], ids=["most", "more", "3 MiB"])
async def test_a_large_body_is_answered_and_only_handed_on_within_the_limit(
    up: Running, size: int
) -> None:
    up.service.requests.clear()
    answer = await up.post("/callbacks/kie/large", b"x" * size)
    assert answer.content == SUCCESS
    assert len(up.service.requests) == (1 if size <= 1 << 20 else 0)


async def test_a_body_beyond_the_cap_is_answered_before_it_ends(up: Running) -> None:
    head = b"POST /callbacks/kie HTTP/1.1\r\nhost: g\r\ncontent-length: 99999999\r\n\r\n"
    async with (
        serving_callbacks(up.service) as port,
        running(port, gateway_drain_limit_bytes=2 << 20) as small,
    ):
        answer = await small.answer(head + b"x" * (3 << 20))
    assert answer == (b"HTTP/1.1 200 OK", SUCCESS)


async def test_a_slow_body_is_answered(up: Running) -> None:
    async with (
        serving_callbacks(up.service) as port,
        running(port, gateway_body_timeout_s=0.05) as quick,
    ):
        answer = await quick.answer(
            b"POST /callbacks/kie HTTP/1.1\r\nhost: g\r\ncontent-length: 9\r\n\r\n{"
        )
        assert answer == (b"HTTP/1.1 200 OK", SUCCESS)
        assert quick.count("atelier_gateway_callbacks_total", outcome="slow") == 1


@pytest.mark.parametrize(
    ("path", "status"), [("/healthz", 200), ("/", 404), ("/callbacks", 404), ("/metrics", 404)]
)
async def test_other_paths_are_what_they_are(up: Running, *, path: str, status: int) -> None:
    async with httpx2.AsyncClient() as http:
        assert (await http.get(f"http://{up.address}{path}")).status_code == status


async def test_a_service_that_is_down_gets_the_callback_when_it_comes_up() -> None:
    port, service = free_port(), RecordingCallbackService()
    async with running(port) as waiting:
        posted = asyncio.create_task(waiting.post("/callbacks/kie/late"))
        async with httpx2.AsyncClient() as http:
            assert (await http.get(f"http://{waiting.address}/healthz")).status_code == 200
        async with serving_callbacks(service, port=port):
            answer = await posted
    assert (answer.status_code, answer.content) == (200, SUCCESS)
    assert [each.path_token for each in service.requests] == ["late"]


async def test_a_service_that_stays_down_is_given_up_and_answered_200() -> None:
    async with running(free_port(), gateway_handover_timeout_s=0.2) as alone:
        answer = await alone.post("/callbacks/kie/lost")
        assert answer.content == SUCCESS
        assert alone.count("atelier_gateway_callbacks_total", outcome="unreachable") == 1


async def test_a_service_that_hangs_is_given_up_and_answered_200() -> None:
    service = RecordingCallbackService()
    service.is_hanging = True
    async with (
        serving_callbacks(service) as port,
        running(port, gateway_handover_timeout_s=0.2) as waiting,
    ):
        answer = await waiting.post("/callbacks/kie/lost")
        assert answer.content == SUCCESS
        assert waiting.count("atelier_gateway_callbacks_total", outcome="unreachable") == 1


@pytest.mark.parametrize(
    ("code", "is_tried_again"),
    [
        (grpc.StatusCode.UNAVAILABLE, True),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, True),
        (grpc.StatusCode.CANCELLED, True),
        (grpc.StatusCode.UNAUTHENTICATED, False),
        (grpc.StatusCode.INTERNAL, False),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
async def test_only_a_passing_failure_is_tried_again(
    up: Running, *, code: grpc.StatusCode, is_tried_again: bool
) -> None:
    up.service.requests.clear()
    up.service.failures = [code]
    assert (await up.post("/callbacks/kie/again")).content == SUCCESS
    assert len(up.service.requests) == int(is_tried_again)


async def test_no_log_line_holds_the_token_of_a_path(
    up: Running, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    whole = b"POST /callbacks/kie/very-secret HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}"
    up.service.failures = [grpc.StatusCode.INTERNAL]
    for request in (whole, whole, b"POST /callbacks/kie/very-secret HTTP/1.1\r\nbad\r\n\r\n"):
        await up.answer(request)
    logged = caplog.text + "".join(capsys.readouterr())
    assert "callback not handed on" in logged
    assert "Invalid HTTP request" in logged
    assert "very-secret" not in logged


async def test_a_body_that_breaks_at_once_is_no_fault_of_ours(up: Running) -> None:
    broken = (
        b"POST /callbacks/kie HTTP/1.1\r\nexpect: 100-continue\r\n"
        b"transfer-encoding: chunked\r\n\r\nzz\r\n"
    )
    assert await up.answer(broken) == (b"HTTP/1.1 200 OK", SUCCESS)
    assert up.count("atelier_gateway_callbacks_total", outcome="crashed") == 0


TOKEN_CHARS = st.characters(min_codepoint=33, max_codepoint=126)
METHODS = st.sampled_from(["POST", "POST", "GET", "PUT", "DELETE", "PATCH", "QUERY", "MKCOL"]) | (
    st.text(st.characters(min_codepoint=65, max_codepoint=90), min_size=1, max_size=12)
)
PATHS = st.binary(max_size=60).map(lambda raw: "".join(f"%{byte:02x}" for byte in raw)) | (
    st.text(TOKEN_CHARS, max_size=60)
)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
BODIES = st.binary(max_size=400) | st.builds(
    lambda value, encoding: str(value).encode(encoding, errors="replace"),
    JSON,
    st.sampled_from(["utf-8", "utf-16", "latin-1", "shift-jis"]),
)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["content-type", "x-webhook-signature", "content-encoding", "accept", "x"]),
        st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30),
    ),
    max_size=4,
)


@example(method="POST", path="/a/../../healthz", body=b"", headers=[], is_chunked=False)
@given(method=METHODS, path=PATHS, body=BODIES, headers=HEADERS, is_chunked=st.booleans())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_every_request_is_answered_200(
    up: Running,
    *,
    method: str,
    path: str,
    body: bytes,
    headers: list[tuple[str, str]],
    is_chunked: bool,
) -> None:
    lines = [f"{method} /callbacks/kie/{path} HTTP/1.1", "host: g", "connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    lines.append("transfer-encoding: chunked" if is_chunked else f"content-length: {len(body)}")
    sent = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if is_chunked and body else body
    sent = b"0\r\n\r\n" if is_chunked and not body else sent
    request = "\r\n".join([*lines, "", ""]).encode("latin-1") + sent
    status, answer = await up.answer(request)
    assert status == b"HTTP/1.1 200 OK"
    assert answer in ((SUCCESS, b"") if method == "HEAD" else (SUCCESS,))
    assert up.not_200() == 0
