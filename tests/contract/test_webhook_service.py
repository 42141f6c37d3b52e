"""An owner's webhooks over gRPC: what came of the posts, a test, and enabling them again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import grpc
import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from standardwebhooks import Webhook as StandardWebhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from atelier.generation.v1 import generation_service_pb2 as job_pb
from atelier.generation.v1 import webhook_service_pb2 as pb
from atelier.generation.v1.destination_pb2 import WebhookDestination
from atelier.generation.v1.webhook_pb2 import (
    WEBHOOK_OUTCOME_GONE,
    WEBHOOK_OUTCOME_REFUSED,
    WEBHOOK_OUTCOME_TAKEN,
    WEBHOOK_OUTCOME_UNREACHABLE,
    WEBHOOK_STATE_DISABLED,
    WEBHOOK_STATE_ENABLED,
    Webhook,
)
from generation_svc.usecase.webhook import TESTS_PER_WINDOW
from sandbox.server import address, bind, running
from tests.contract.caller_harness import (
    NOBODY_LISTENS,
    PACKAGE,
    SECRET,
    STRANGER,
    CallerHarness,
    caller_bench,
    token,
)
from tests.contract.failure import refused
from tests.contract.service import struct
from tests.contract.tool import run
from tests.step import send_webhook

OWNER = "own_jobs"
_Answer = TypeVar("_Answer", bound=Message)


@dataclass
class Receiver:
    """Believes what it is posted, and answers as it is told to."""

    url: str
    status: int = 200
    posts: list[tuple[str, Any]] = field(default_factory=list)

    async def take(self, request: Request) -> Response:
        body = await request.body()
        StandardWebhook(SECRET).verify(body, dict(request.headers))
        self.posts.append((request.headers["webhook-id"], json.loads(body)))
        return Response(status_code=self.status, headers={"location": "http://127.0.0.1:9/"})


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    sock = bind("127.0.0.1:0")
    receiver = Receiver(f"http://{address(sock)}/hook?key=1")
    app = Starlette(routes=[Route("/{path:path}", receiver.take, methods=["POST"])])
    async with running(app, sock=sock):
        yield receiver


@pytest.fixture
async def harness(
    database_url: str, tmp_path: Path, receiver: Receiver
) -> AsyncIterator[CallerHarness]:
    hosts = (NOBODY_LISTENS, receiver.url.split("/")[2])
    async with caller_bench(database_url, tmp_path, webhook_hosts=hosts) as harness:
        yield harness


async def posted(harness: CallerHarness, url: str) -> None:
    """Have a job fail, and post its outcome."""
    client = await harness.client(OWNER)
    request = job_pb.CreateJobRequest(
        model_id="z-image",
        inputs=struct({"prompt": "a lighthouse"}),
        webhook=WebhookDestination(url=url),
    )
    job = (await client.generation.CreateJob(request)).job
    await harness.service.fail(job.id)
    assert await send_webhook(harness.service.deps)


async def webhooks(harness: CallerHarness, name: str = OWNER, **wishes: Any) -> list[Webhook]:
    client = await harness.client(name)
    return list((await client.webhook.ListWebhooks(pb.ListWebhooksRequest(**wishes))).webhooks)


async def probed(harness: CallerHarness, url: str, *, name: str = OWNER) -> Any:
    client = await harness.client(name)
    return (await client.webhook.TestWebhook(pb.TestWebhookRequest(url=url))).attempt


async def enabled(harness: CallerHarness, url: str, *, name: str = OWNER) -> Webhook:
    client = await harness.client(name)
    return (await client.webhook.EnableWebhook(pb.EnableWebhookRequest(url=url))).webhook


async def test_an_address_is_listed_with_what_came_of_its_posts(
    harness: CallerHarness, receiver: Receiver
) -> None:
    assert await webhooks(harness) == []
    await posted(harness, receiver.url)
    (found,) = await webhooks(harness)
    assert (found.url, found.state) == (receiver.url, WEBHOOK_STATE_ENABLED)
    attempt = found.last_attempt
    assert (attempt.outcome, attempt.http_status) == (WEBHOOK_OUTCOME_TAKEN, 200)
    assert (found.taken_count, found.failure_count, found.consecutive_failure_count) == (1, 0, 0)
    assert not found.HasField("disable_time")

    receiver.status = 500
    for _ in range(2):
        await posted(harness, receiver.url)
    (found,) = await webhooks(harness)
    attempt = found.last_attempt
    assert (attempt.outcome, attempt.http_status) == (WEBHOOK_OUTCOME_REFUSED, 500)
    assert (found.taken_count, found.failure_count, found.consecutive_failure_count) == (1, 2, 2)
    assert found.create_time.ToDatetime() < attempt.time.ToDatetime()

    receiver.status = 204
    await posted(harness, receiver.url)
    (found,) = await webhooks(harness)
    assert (found.taken_count, found.failure_count, found.consecutive_failure_count) == (2, 2, 0)


async def test_an_address_that_is_gone_is_told_and_can_be_enabled(
    harness: CallerHarness, receiver: Receiver
) -> None:
    receiver.status = 410
    await posted(harness, receiver.url)
    (gone,) = await webhooks(harness)
    assert (gone.state, gone.disable_reason) == (WEBHOOK_STATE_DISABLED, "HTTP 410")
    assert gone.last_attempt.outcome == WEBHOOK_OUTCOME_GONE
    assert gone.HasField("disable_time")
    refusal = await refused(posted(harness, receiver.url))
    assert refusal.reason == "WEBHOOK_DISABLED"

    receiver.status = 200
    again = await enabled(harness, receiver.url)
    assert again == (await webhooks(harness))[0]
    assert (again.state, again.disable_reason) == (WEBHOOK_STATE_ENABLED, "")
    assert not again.HasField("disable_time")
    assert (again.failure_count, again.consecutive_failure_count) == (1, 0)
    await posted(harness, receiver.url)
    assert len(receiver.posts) == 2
    assert (
        await enabled(harness, receiver.url) == (await webhooks(harness))[0]
    )  # nothing more to do


async def test_a_disabled_address_can_be_gone_again(
    harness: CallerHarness, receiver: Receiver
) -> None:
    receiver.status = 410
    for _ in range(2):
        await posted(harness, receiver.url)
        assert (await webhooks(harness))[0].state == WEBHOOK_STATE_DISABLED
        await enabled(harness, receiver.url)


async def test_a_webhook_is_nobody_elses(harness: CallerHarness, receiver: Receiver) -> None:
    receiver.status = 410
    await posted(harness, receiver.url)
    for name in (STRANGER.name, "all"):
        assert await webhooks(harness, name) == []
        refusal = await refused(enabled(harness, receiver.url, name=name))
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.NOT_FOUND,
            "WEBHOOK_NOT_FOUND",
        )
    assert (await webhooks(harness))[0].state == WEBHOOK_STATE_DISABLED


async def test_webhooks_come_in_pages_by_address_and_state(harness: CallerHarness) -> None:
    urls = [f"https://shop.example/{number}" for number in range(5)]
    for url in urls:
        await harness.disable(OWNER, url=url)
    for url in urls[::2]:
        await enabled(harness, url)
    client = (await harness.client(OWNER)).webhook
    seen, token = [], ""
    for _ in range(3):
        page = await client.ListWebhooks(pb.ListWebhooksRequest(page_size=2, page_token=token))
        seen += [each.url for each in page.webhooks]
        token = page.next_page_token
    assert (seen, token) == (urls, "")
    disabled = await webhooks(harness, state=WEBHOOK_STATE_DISABLED)
    assert [each.url for each in disabled] == urls[1::2]
    assert [each.url for each in await webhooks(harness, state=WEBHOOK_STATE_ENABLED)] == urls[::2]


async def test_a_token_of_webhooks_is_good_for_its_state_and_caller_alone(
    harness: CallerHarness,
) -> None:
    for number in range(3):
        await harness.disable(OWNER, url=f"https://shop.example/{number}")
    client = (await harness.client(OWNER)).webhook
    token = (await client.ListWebhooks(pb.ListWebhooksRequest(page_size=1))).next_page_token
    assert len(await webhooks(harness, page_token=token)) == 2
    for name, wishes in (("all", {}), (OWNER, {"state": WEBHOOK_STATE_DISABLED})):
        refusal = await refused(webhooks(harness, name, page_token=token, **wishes))
        assert refusal.reason == "INVALID_PAGE_TOKEN"


async def test_the_longest_address_has_a_page_token(harness: CallerHarness) -> None:
    urls = ["https://shop.example/".ljust(2047, "x") + letter for letter in "ab"]
    for url in urls:
        await harness.disable(OWNER, url=url)
    client = (await harness.client(OWNER)).webhook
    first = await client.ListWebhooks(pb.ListWebhooksRequest(page_size=1))
    rest = await webhooks(harness, page_token=first.next_page_token)
    assert [first.webhooks[0].url, rest[0].url] == urls


async def test_a_test_is_one_signed_event(harness: CallerHarness, receiver: Receiver) -> None:
    attempt = await probed(harness, receiver.url)
    assert (attempt.outcome, attempt.http_status) == (WEBHOOK_OUTCOME_TAKEN, 200)
    ((_, event),) = receiver.posts  # its signature was verified by the receiver
    assert (event["type"], event["data"]) == ("webhook.test", {})


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (302, WEBHOOK_OUTCOME_REFUSED),
        (410, WEBHOOK_OUTCOME_GONE),
        (503, WEBHOOK_OUTCOME_REFUSED),
        (299, WEBHOOK_OUTCOME_TAKEN),
    ],
)
async def test_a_test_tells_the_status_and_stores_nothing(
    harness: CallerHarness, receiver: Receiver, status: int, outcome: int
) -> None:
    receiver.status = status
    attempt = await probed(harness, receiver.url)
    assert (attempt.outcome, attempt.http_status) == (outcome, status)
    assert len(receiver.posts) == 1  # no redirect is followed, nothing is tried again
    assert await webhooks(harness) == []
    receiver.status = 200
    await posted(harness, receiver.url)


async def test_a_test_tells_why_nobody_answered(harness: CallerHarness) -> None:
    attempt = await probed(harness, f"http://{NOBODY_LISTENS}/hook")
    assert (attempt.outcome, attempt.http_status) == (WEBHOOK_OUTCOME_UNREACHABLE, 0)
    assert attempt.problem == "no connection could be made"


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://127.1/",
        "https://[::1]/",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost/",
        "https://10.0.0.7/",
        "http://shop.example/",
        "https://shop.example:0/",
        "https://user:pass@shop.example/",
    ],
)
async def test_a_test_goes_where_webhooks_go_and_nowhere_else(
    harness: CallerHarness, url: str
) -> None:
    refusal = await refused(probed(harness, url))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert set(refusal.violations) == {"url"}


async def test_a_test_needs_a_key_to_sign_with(harness: CallerHarness, receiver: Receiver) -> None:
    refusal = await refused(probed(harness, receiver.url, name=STRANGER.name))
    assert refusal.reason == "WEBHOOK_SECRET_MISSING"
    assert receiver.posts == []


async def test_tests_are_few(harness: CallerHarness, receiver: Receiver) -> None:
    asked = [probed(harness, receiver.url) for _ in range(TESTS_PER_WINDOW + 3)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    limited = [each for each in answers if isinstance(each, grpc.aio.AioRpcError)]
    assert (len(answers) - len(limited), len(receiver.posts)) == (TESTS_PER_WINDOW,) * 2
    refusal = await refused(probed(harness, receiver.url))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "RATE_LIMITED",
    )
    assert refusal.retry_seconds is not None
    assert 0 < refusal.retry_seconds <= 60
    assert (await probed(harness, receiver.url, name="all")).http_status == 200  # each has its own


async def grpcurl(harness: CallerHarness, method: str, into: _Answer, **request: Any) -> _Answer:
    """Call as an owner would by hand, and return the answer."""
    code, out, err = await run(
        "grpcurl",
        "-plaintext",
        *("-H", f"authorization: Bearer {token(OWNER)}"),
        *("-d", json.dumps(request)),
        harness.service.address,
        f"{PACKAGE}.WebhookService/{method}",
    )
    assert code == 0, err
    return json_format.Parse(out, into)


async def test_an_owner_mends_its_webhook_with_grpcurl(
    harness: CallerHarness, receiver: Receiver
) -> None:
    receiver.status = 410
    await posted(harness, receiver.url)
    listed = pb.ListWebhooksResponse()
    await grpcurl(harness, "ListWebhooks", listed, state="WEBHOOK_STATE_DISABLED")
    assert [(each.url, each.disable_reason) for each in listed.webhooks] == [
        (receiver.url, "HTTP 410")
    ]
    receiver.status = 200
    tested = await grpcurl(harness, "TestWebhook", pb.TestWebhookResponse(), url=receiver.url)
    assert tested.attempt.outcome == WEBHOOK_OUTCOME_TAKEN
    mended = await grpcurl(harness, "EnableWebhook", pb.EnableWebhookResponse(), url=receiver.url)
    assert mended.webhook.state == WEBHOOK_STATE_ENABLED
    await posted(harness, receiver.url)
