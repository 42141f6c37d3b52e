"""The sender against receivers that check as Standard Webhooks says, and against bad ones."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
import trustme
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from generation_svc.domain.error import InvalidInputs
from generation_svc.domain.port.webhook import WebhookAnswer, WebhookPost
from generation_svc.egress.internet import http_client
from generation_svc.settings import GenerationSettings
from generation_svc.webhook.problem import NO_ADDRESS
from generation_svc.webhook.sender import HttpWebhookSender, open_sender
from runtime.address import Address
from runtime.http import serving

BODY = json.dumps(
    {"type": "job.succeeded", "data": {"text": "кот 🐈"}}, ensure_ascii=False
).encode()
Answer = Callable[[Request], Awaitable[Response]]


def new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


SECRET, OLD_SECRET = new_secret(), new_secret()


async def taken(_: Request) -> Response:
    return PlainTextResponse("thanks")


@dataclass
class Receiver:
    """A receiver's app: it checks the signature with a library that is not ours."""

    secret: str = SECRET
    answer: Answer = taken
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    address: str = ""

    async def __call__(self, request: Request) -> Response:
        headers, body = dict(request.headers), await request.body()
        try:
            Webhook(self.secret).verify(body, headers)
        except WebhookVerificationError as error:
            self.refused.append(str(error))
            return PlainTextResponse("no", 401)
        self.requests.append((headers, body))
        return await self.answer(request)

    @asynccontextmanager
    async def serving(self, **options: Any) -> AsyncIterator[Receiver]:
        app = Starlette(routes=[Route("/{path:path}", self.__call__, methods=["POST", "GET"])])
        async with serving(app, Address("127.0.0.1", 0), **options) as address:
            self.address = str(address)
            yield self


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[Receiver]:
    async with Receiver().serving() as opened:
        yield opened


@pytest.fixture
def receiver(served: Receiver) -> Receiver:
    served.secret, served.answer, served.requests, served.refused = SECRET, taken, [], []
    return served


def post_to(
    url: str, *, keys: tuple[str, ...] = (SECRET,), post_id: UUID | None = None
) -> WebhookPost:
    return WebhookPost(id=post_id or uuid4(), url=url, body=BODY, secrets=keys)


@asynccontextmanager
async def sending(**options: Any) -> AsyncIterator[HttpWebhookSender]:
    """A sender that reads no certificates, which would take longer than the test."""
    async with http_client(part="test", trust_env=False, verify=False) as http:
        yield HttpWebhookSender(http, **options)


async def send_to(receiver: Receiver, **wishes: Any) -> WebhookAnswer:
    url = f"http://{receiver.address}/hook?token=t"
    async with sending(allowed_hosts=[receiver.address]) as sender:
        return await sender.post(post_to(url, **wishes))


async def test_a_receiver_of_standard_webhooks_believes_the_post(receiver: Receiver) -> None:
    post_id = uuid4()
    assert await send_to(receiver, post_id=post_id) == WebhookAnswer(200)
    ((headers, body),) = receiver.requests
    assert body == BODY
    assert headers["webhook-id"] == str(post_id)
    assert abs(int(headers["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 5
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"].startswith("Atelier/")
    assert headers["host"] == receiver.address
    assert "cookie" not in headers


@pytest.mark.parametrize("minutes", [-4, 4])  # a receiver believes five
async def test_a_post_is_stamped_in_the_time_that_all_replicas_agree_on(
    receiver: Receiver, minutes: int
) -> None:
    agreed = datetime.now(UTC) + timedelta(minutes=minutes)
    async with sending(allowed_hosts=[receiver.address], now=lambda: agreed) as sender:
        await sender.post(post_to(f"http://{receiver.address}/hook"))
    ((headers, _),) = receiver.requests
    assert int(headers["webhook-timestamp"]) == int(agreed.timestamp())


@pytest.mark.parametrize("known", [SECRET, OLD_SECRET], ids=["the new key", "the old key"])
async def test_while_a_key_is_replaced_both_are_believed(receiver: Receiver, known: str) -> None:
    receiver.secret = known
    assert (await send_to(receiver, keys=(SECRET, OLD_SECRET))).status == 200


async def test_another_key_is_not_believed(receiver: Receiver) -> None:
    assert (await send_to(receiver, keys=(OLD_SECRET,))).status == 401
    assert receiver.refused == ["No matching signature found"]


@pytest.mark.parametrize("status", [200, 202, 204, 299, 304, 400, 404, 410, 429, 500, 503])
async def test_the_status_is_the_answer(receiver: Receiver, status: int) -> None:
    async def answer(_: Request) -> Response:
        return Response(status_code=status)

    receiver.answer = answer
    assert (await send_to(receiver)).status == status


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    async def answer(request: Request) -> Response:
        return RedirectResponse(f"http://{receiver.address}/elsewhere", status)

    receiver.answer = answer
    assert (await send_to(receiver)).status == status
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7", 7),
        ("0", 0),
        ("99999999999999999999", 86400),
        (timedelta(hours=1), 3600),
        (timedelta(days=9), 86400),
        (timedelta(hours=-1), 0),
        ("-1", None),
        ("soon", None),
        ("", None),
        ("Thu, 01 Jan 99999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2024 00:00:00 +999999999999999", None),
    ],
)
async def test_retry_after_is_read(
    receiver: Receiver, value: str | timedelta, expected: int | None
) -> None:
    header = value if isinstance(value, str) else format_datetime(datetime.now(UTC) + value)

    async def answer(_: Request) -> Response:
        return Response(status_code=503, headers={"Retry-After": header})

    receiver.answer = answer
    found = (await send_to(receiver)).retry_after
    seconds = found.total_seconds() if found is not None else None
    assert seconds == (None if expected is None else pytest.approx(expected, abs=60))


async def test_a_huge_answer_is_not_read(receiver: Receiver) -> None:
    given = 0

    async def answer(_: Request) -> Response:
        async def endless() -> AsyncIterator[bytes]:
            nonlocal given
            for given in range(2000):  # noqa: B007 # it is read outside
                yield b"x" * 2**16
                await asyncio.sleep(0)

        return StreamingResponse(endless())

    receiver.answer = answer
    assert (await send_to(receiver)).status == 200
    assert given < 1999


async def test_an_answer_whose_headers_never_end_is_none() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n" + b"X-Filler: " + b"x" * 2**20)
        await writer.drain()
        writer.close()

    assert (await _send_raw(talk)).status == 0


async def test_a_receiver_that_hangs_up_is_a_failure() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    answer = await _send_raw(talk)
    assert (answer.status, answer.problem != "") == (0, True)


async def test_a_receiver_that_is_not_there_is_a_failure() -> None:
    async with sending(allowed_hosts=["127.0.0.1:9"]) as sender:
        answer = await sender.post(post_to("http://127.0.0.1:9/hook"))
    assert answer == WebhookAnswer(0, problem="no connection could be made")


async def test_a_slow_receiver_is_left_after_a_while() -> None:
    """It sends a byte now and then, so that no timeout between two reads can end it."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(10):
            while not writer.is_closing():
                writer.write(b"H")
                await asyncio.sleep(0.05)

    started = asyncio.get_running_loop().time()
    answer = await _send_raw(talk, deadline=timedelta(seconds=0.3))
    assert answer.status == 0
    assert asyncio.get_running_loop().time() - started < 3


async def _send_raw(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    *,
    deadline: timedelta = timedelta(seconds=5),
) -> WebhookAnswer:
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    address = f"{host}:{port}"
    async with server, sending(allowed_hosts=[address], deadline=deadline) as sender:
        return await sender.post(post_to(f"http://{address}/"))


async def test_cookies_are_not_kept(receiver: Receiver) -> None:
    async def answer(_: Request) -> Response:
        response = Response()
        response.set_cookie("session", "1")
        return response

    receiver.answer = answer
    async with sending(allowed_hosts=[receiver.address]) as sender:
        for _ in range(2):
            await sender.post(post_to(f"http://{receiver.address}/"))
    assert [headers.get("cookie") for headers, _ in receiver.requests] == [None, None]


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.0.0.7"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["::ffff:10.0.0.7"],
        ["64:ff9b::a00:7"],
        ["2002:a00:7::1"],
        ["fd00::7"],
        ["0.0.0.0"],
        [],
    ],
    ids=str,
)
async def test_a_name_that_leads_to_a_private_address_gets_nothing(addresses: list[str]) -> None:
    asked: list[httpx2.Request] = []
    answer = await _send_resolved(addresses, asked=asked)
    assert answer == WebhookAnswer(0, problem=NO_ADDRESS)
    assert asked == []


async def test_a_name_that_changes_its_meaning_is_called_where_it_was_checked() -> None:
    asked: list[httpx2.Request] = []
    answers = iter([["104.16.0.1"], ["127.0.0.1"]])
    await _send_resolved([], asked=asked, resolve=lambda: next(answers))
    (request,) = asked
    assert str(request.url) == "https://104.16.0.1/hook"
    assert request.headers["host"] == "hooks.example"
    assert request.extensions["sni_hostname"] == "hooks.example"


async def test_of_many_addresses_a_public_one_is_called() -> None:
    asked: list[httpx2.Request] = []
    assert (await _send_resolved(["10.0.0.7", "104.16.0.1"], asked=asked)).status == 200
    assert asked[0].url.host == "104.16.0.1"


async def test_a_name_that_is_not_known_is_a_failure() -> None:
    def unknown() -> list[str]:
        raise OSError("no such name")

    answer = await _send_resolved([], asked=[], resolve=unknown)
    assert answer == WebhookAnswer(0, problem=NO_ADDRESS)


async def _send_resolved(
    addresses: list[str],
    *,
    asked: list[httpx2.Request],
    resolve: Callable[[], list[str]] | None = None,
) -> WebhookAnswer:
    async def resolver(_host: str, _port: int) -> list[str]:
        return resolve() if resolve else addresses

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(200)

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as http:
        sender = HttpWebhookSender(http, resolver=resolver)
        return await sender.post(post_to("https://hooks.example/hook"))


@pytest.mark.parametrize(
    ("certified", "status", "problem"),
    [
        ("hooks.example", 200, ""),
        ("another.example", 0, "the certificate is not valid for this host"),
    ],
    ids=["its certificate", "another's certificate"],
)
async def test_the_certificate_must_be_the_names(
    tmp_path: Any, certified: str, status: int, problem: str
) -> None:
    authority = trustme.CA()
    pem, trust = tmp_path / "server.pem", ssl.create_default_context()
    authority.issue_cert(certified).private_key_and_cert_chain_pem.write_to_path(pem)
    authority.configure_trust(trust)

    async def here(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    async with (
        Receiver().serving(ssl_certfile=str(pem)) as receiver,
        http_client(part="test", trust_env=False, verify=trust) as http,
    ):
        host = f"hooks.example:{receiver.address.rpartition(':')[2]}"
        sender = HttpWebhookSender(http, allowed_hosts=[host], resolver=here)
        answer = await sender.post(post_to(f"https://{host}/"))
        assert answer == WebhookAnswer(status, problem=problem)


async def test_a_proxy_of_the_environment_is_not_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with open_sender(allowed_hosts=[receiver.address]) as sender:
        assert (await sender.post(post_to(f"http://{receiver.address}/"))).status == 200


async def test_an_address_that_is_refused_has_one_violation_and_gets_nothing() -> None:
    url = "http://shop.example/"
    async with sending() as sender:
        with pytest.raises(InvalidInputs) as refused:
            sender.check(url)
        assert (await sender.post(post_to(url))).status == 0
    (violation,) = refused.value.violations
    assert violation.field == "webhook.url"
    assert "https://" in violation.description


def test_a_post_shows_no_secret() -> None:
    post = post_to("https://a.example/?t=1")
    assert SECRET not in repr(post)
    assert "t=1" not in repr(post)


@pytest.mark.parametrize("hosts", ["inside", "*.inside", "http://inside:80", "inside:x"])
def test_only_exact_hosts_may_be_private(hosts: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        GenerationSettings(kie_api_key="key", webhook_allowed_hosts=hosts)
