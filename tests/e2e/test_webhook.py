"""Webhooks end to end: a service that is killed while it posts, and a receiver that checks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from google.protobuf import json_format
from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.destination_pb2 import WebhookDestination
from atelier.generation.v1.job_pb2 import Job
from generation_client import GenerationError, translated
from runtime.address import Address
from runtime.http import serving
from tests.e2e.caller import WEBHOOK_SECRET
from tests.e2e.program import until
from tests.e2e.stack import Shape, Stack
from tests.port import free_address

ADDRESS = free_address()
IN_QUERY = "a-word-of-the-receiver-alone"
SHAPE = Shape(
    edges=0,
    time_scale=0.1,
    service={"WEBHOOK_ALLOWED_HOSTS": ADDRESS},
    sandbox={"SANDBOX_KIE_DURATION_S": "0.1", "SANDBOX_KIE_VISIBLE_AFTER_S": "0"},
)


@dataclass
class Receiver:
    """Keeps what it was posted and believes, by path; every post to a path is answered alike."""

    statuses: dict[str, int] = field(default_factory=dict)
    posts: dict[str, list[tuple[str, Any]]] = field(default_factory=dict)

    async def take(self, request: Request) -> Response:
        body, headers = await request.body(), dict(request.headers)
        Webhook(WEBHOOK_SECRET).verify(body, headers)
        posts = self.posts.setdefault(request.url.path, [])
        posts.append((headers["webhook-id"], json.loads(body)))
        return Response(status_code=self.statuses.get(request.url.path, 200))

    async def heard(self, path: str, *, times: int = 1) -> list[tuple[str, Any]]:
        async def enough() -> bool:
            return len(self.posts.get(path, ())) >= times

        await until(enough, within_s=30, what=f"{times} posts to {path}")
        return self.posts[path]


@pytest.fixture(scope="module")
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = Starlette(routes=[Route("/{path:path}", receiver.take, methods=["POST"])])
    async with serving(app, Address.parse(ADDRESS)):
        yield receiver


async def create(running: Stack, path: str, *, url: str = "") -> Job:
    url = url or f"http://{ADDRESS}{path}?key={IN_QUERY}"
    with translated():
        return await running.create(path, webhook=WebhookDestination(url=url))


async def delivery(running: Stack, job: Job) -> dict[str, Any]:
    (row,) = await running.history.rows("SELECT * FROM delivery WHERE job_id = %(id)s", id=job.id)
    return row


async def sent(running: Stack, job: Job) -> None:
    async def is_sent() -> bool:
        return bool((await delivery(running, job))["state"] == "sent")

    await until(is_sent, within_s=20, what="the report of the post")


async def test_the_job_is_posted_as_get_job_gives_it(running: Stack, receiver: Receiver) -> None:
    job = await create(running, "/plain")
    ((post_id, body),) = await receiver.heard("/plain")
    posted = json_format.ParseDict(body["data"], Job())
    assert body["type"] == "job.succeeded"
    assert posted == (await running.client.generation.GetJob(pb.GetJobRequest(job_id=job.id))).job
    await sent(running, job)
    assert post_id == str((await delivery(running, job))["id"])


async def test_a_service_killed_between_begin_and_report_posts_again_under_the_same_id(
    running: Stack, receiver: Receiver
) -> None:
    is_report = "NEW.state = 'sent' AND NEW.url LIKE '%/killed%'"
    async with running.history.holding("delivery", event="UPDATE", when=is_report):
        job = await create(running, "/killed")
        await running.history.caught()
        running.service.kill()
        await running.history.drop_caught()
    assert (await delivery(running, job))["state"] == "begun"
    running.service.start()
    await running.service.ready()
    await running.history.run_out_leases()
    (first, _), (second, _) = await receiver.heard("/killed", times=2)
    assert first == second
    await sent(running, job)
    assert (await delivery(running, job))["maybe_sent"]


async def test_a_receiver_that_fails_is_asked_again(running: Stack, receiver: Receiver) -> None:
    receiver.statuses["/failing"] = 503
    job = await create(running, "/failing")
    await receiver.heard("/failing")
    receiver.statuses["/failing"] = 204
    await sent(running, job)
    (first, _), (second, _) = receiver.posts["/failing"]
    assert first == second


async def test_an_address_that_is_gone_takes_no_job_any_more(
    running: Stack, receiver: Receiver
) -> None:
    receiver.statuses["/gone"] = 410
    job = await create(running, "/gone")

    async def is_over() -> bool:
        found = await running.history.rows(
            "SELECT id FROM delivery WHERE job_id = %(id)s AND state = 'impossible'", id=job.id
        )
        return bool(found)

    await until(is_over, within_s=20, what="the end of the delivery")
    with pytest.raises(GenerationError) as refused:
        await create(running, "/gone")
    assert refused.value.reason == "WEBHOOK_DISABLED"
    assert len(receiver.posts["/gone"]) == 1


@pytest.mark.parametrize(
    "url", ["http://shop.example/", "https://10.0.0.5/", "https://a@shop.example/", "x" * 2049]
)
async def test_a_bad_address_is_refused_in_words(running: Stack, url: str) -> None:
    with pytest.raises(GenerationError) as refused:
        await create(running, "", url=url)
    assert refused.value.reason == "INVALID_INPUTS"
    (violation,) = refused.value.violations
    assert violation.field == "webhook.url"


async def test_no_log_holds_a_key_or_what_a_receivers_address_may_hide(
    running: Stack, receiver: Receiver
) -> None:
    await receiver.heard("/gone")
    for program in running.programs:
        assert WEBHOOK_SECRET.removeprefix("whsec_") not in program.log
        assert IN_QUERY not in program.log
    warnings = [
        each for each in running.service.records if each.get("event", "").startswith("a webhook")
    ]
    assert {each["host"] for each in warnings} == {"127.0.0.1"}
