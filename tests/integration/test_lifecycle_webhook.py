"""Webhooks from the request to the last try, with a receiver made of words."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from generation_svc.domain.delivery import Delivery, DeliveryKind, Queue, Sent, Webhook
from generation_svc.domain.error import (
    InvalidInputs,
    WebhookDisabled,
    WebhookNotFound,
    WebhookSecretMissing,
)
from generation_svc.domain.job import Job
from generation_svc.domain.port.webhook import WebhookAnswer
from generation_svc.engine.maintenance.retention import WEBHOOK_LIFETIME, forget_webhooks
from generation_svc.engine.send_webhook import LEASE, LIFETIME, MOST_PER_HOST
from generation_svc.usecase import lease_delivery
from generation_svc.usecase.cancel_job import cancel_job
from generation_svc.usecase.webhook import enable
from tests.lifecycle import CALLER, FAILURE, SUCCESS, Harness, OpenBench
from tests.step import send_webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SHOP = replace(CALLER, name="shop", webhook_secrets=(SECRET,))
HOOK = Webhook("https://shop.example/hook?key=1")
ELSEWHERE = Webhook("https://elsewhere.example/hook")
OK, GONE, BROKEN, AWAY = (
    WebhookAnswer(200),
    WebhookAnswer(410),
    WebhookAnswer(500),
    WebhookAnswer(0, problem="ConnectError"),
)


@pytest.fixture
async def harness(open_bench: OpenBench) -> Harness:
    opened = await open_bench()
    opened.receiver.secrets["shop"] = (SECRET,)
    return opened


async def settled(harness: Harness, destination: Webhook = HOOK, **accepted: Any) -> Job:
    job = await harness.run(destination=destination, caller=SHOP, **accepted)
    await harness.callback(SUCCESS)
    await harness.fetch_all()
    return await harness.job(job)


async def row(harness: Harness, job: Job) -> dict[str, Any]:
    (found,) = (await harness.deliveries(job)).values()
    return found


async def begun(harness: Harness) -> Delivery | None:
    async with harness.transaction() as tx:
        return await tx.webhooks.begin(span=LEASE, most_per_host=MOST_PER_HOST)


async def wait_of(harness: Harness, job: Job) -> timedelta:
    due: datetime = (await row(harness, job))["due_time"]
    return due - datetime.now(UTC)


async def test_an_outcome_is_posted_once(harness: Harness) -> None:
    job = await settled(harness)

    assert await send_webhook(harness.deps)
    assert not await send_webhook(harness.deps)
    (posted,) = harness.receiver.posts
    found = await row(harness, job)
    assert (posted.id, posted.url, posted.secrets) == (found["id"], HOOK.url, (SECRET,))
    assert (found["state"], found["url"], found["try_number"]) == ("sent", HOOK.url, 1)
    assert (await harness.events(job))[-2:] == ["delivery_begun", "delivery_sent"]


async def test_the_body_tells_the_job_as_the_contract_writes_it(harness: Harness) -> None:
    job = await settled(harness)
    await send_webhook(harness.deps)
    body = json.loads(harness.receiver.posts[0].body)
    (media,) = job.result.media if job.result else ()
    assert body["type"] == "job.succeeded"
    assert datetime.fromisoformat(body["timestamp"]) == job.update_time
    assert (body["data"]["id"], body["data"]["state"]) == (str(job.id), "JOB_STATE_SUCCEEDED")
    assert body["data"]["result"]["media"][0]["sha256"] == media.sha256


async def test_a_fault_of_ours_is_a_failure_that_ends_after_a_day(harness: Harness) -> None:
    harness.receiver.fault = RuntimeError("a fault")
    job = await settled(harness)
    assert await send_webhook(harness.deps)
    assert (await row(harness, job))["state"] == "pending"
    await harness.later(seconds=LIFETIME.total_seconds())
    assert await send_webhook(harness.deps)
    assert (await row(harness, job))["state"] == "impossible"


async def test_a_failure_is_told_too(harness: Harness) -> None:
    job = await harness.run(destination=HOOK, caller=SHOP)
    await harness.callback(FAILURE)
    await send_webhook(harness.deps)
    body = json.loads(harness.receiver.posts[0].body)
    assert body["type"] == "job.failed"
    assert body["data"]["failure"]["reason"] == "FAILURE_REASON_GENERATION_FAILED"
    assert (await row(harness, job))["state"] == "sent"


async def test_a_cancelled_job_posts_nothing(harness: Harness) -> None:
    job = await harness.run(destination=HOOK, caller=SHOP)
    await cancel_job(harness.deps, SHOP, job_id=job.id)
    await harness.callback(SUCCESS)
    await harness.fetch_all()
    assert not await send_webhook(harness.deps)
    assert await harness.deliveries(job) == {}


async def test_nobody_else_can_lease_a_webhook(harness: Harness) -> None:
    await settled(harness)
    for wish in ({"bot_id": 7, "queue": None}, {"bot_id": None, "queue": "results"}):
        wanted = lease_delivery.Wanted(caller=SHOP, limit=10, span=LEASE, **wish)
        assert not await lease_delivery.lease(harness.deps, wanted, wait=timedelta(0))


async def test_the_loop_leaves_the_deliveries_of_others_alone(harness: Harness) -> None:
    await harness.run(destination=Queue("results"))
    await harness.callback(SUCCESS)
    await harness.fetch_all()
    assert not await send_webhook(harness.deps)


async def test_a_settled_job_wakes_the_loop(harness: Harness) -> None:
    with harness.deps.database.watch("work:webhook") as news:
        await settled(harness)
        assert news.is_set()


@pytest.mark.parametrize("answer", [BROKEN, AWAY, WebhookAnswer(302), WebhookAnswer(404)], ids=str)
async def test_what_is_not_taken_is_posted_again_under_the_same_id(
    harness: Harness, answer: WebhookAnswer
) -> None:
    harness.receiver.answers = [answer, OK]
    job = await settled(harness)
    await send_webhook(harness.deps)
    assert (await row(harness, job))["state"] == "pending"
    assert not await send_webhook(harness.deps)

    await harness.later(seconds=11)
    await send_webhook(harness.deps)
    first, second = harness.receiver.posts
    assert first.id == second.id
    times = ("timestamp", "updateTime", "createTime", "startDeadlineTime", "finishDeadlineTime")
    assert _without(second.body, times) == _without(first.body, times)  # the clock was moved
    assert (await row(harness, job))["state"] == "sent"


def _without(body: bytes, names: tuple[str, ...]) -> Any:
    return json.loads(
        body, object_hook=lambda found: {k: v for k, v in found.items() if k not in names}
    )


async def test_the_body_is_the_same_at_every_try(harness: Harness) -> None:
    harness.receiver.answers = [BROKEN, OK]
    job = await settled(harness)
    await send_webhook(harness.deps)
    await harness.query("UPDATE delivery SET due_time = now() WHERE job_id = %s", job.id)
    await send_webhook(harness.deps)
    first, second = harness.receiver.posts
    assert first.body == second.body


async def test_the_waits_grow_to_hours_and_differ(harness: Harness) -> None:
    harness.receiver.answers = [BROKEN]
    job = await settled(harness)
    waits = []
    for _ in range(9):
        await harness.query("UPDATE delivery SET due_time = now() WHERE job_id = %s", job.id)
        await send_webhook(harness.deps)
        waits.append((await wait_of(harness, job)).total_seconds())
    bounds = [10, 40, 160, 640, 2560, 10240, 14400, 14400, 14400]
    assert all(bound / 2 - 1 <= wait <= bound for wait, bound in zip(waits, bounds, strict=True)), (
        waits
    )
    assert len({round(wait) for wait in waits[-3:]}) > 1


async def test_what_went_wrong_stands_in_the_trace(harness: Harness) -> None:
    harness.receiver.answers = [BROKEN, AWAY, OK]
    job = await settled(harness)
    for _ in range(3):
        await harness.query("UPDATE delivery SET due_time = now() WHERE job_id = %s", job.id)
        await send_webhook(harness.deps)
    events = await harness.query(
        "SELECT detail->>'reason' AS reason FROM job_event WHERE job_id = %s"
        " AND kind = 'delivery_tryagain' ORDER BY id",
        job.id,
    )
    assert [event["reason"] for event in events] == ["HTTP 500", "ConnectError"]


async def test_a_webhook_is_given_up_after_a_day(harness: Harness) -> None:
    harness.receiver.answers = [BROKEN]
    job = await settled(harness)
    await send_webhook(harness.deps)
    await harness.later(hours=23, minutes=50)
    await send_webhook(harness.deps)
    assert await wait_of(harness, job) <= timedelta(minutes=10)  # the last try ends the day

    await harness.later(minutes=11)
    await send_webhook(harness.deps)
    found = await row(harness, job)
    assert (found["state"], found["try_number"]) == ("impossible", 3)
    assert found["report"] == {"reason": "not accepted for a day; last answer: HTTP 500"}
    assert (await harness.events(job))[-1] == "delivery_impossible"
    await harness.later(days=1)
    assert not await send_webhook(harness.deps)


async def test_a_webhook_that_waited_for_the_service_for_days_is_posted(harness: Harness) -> None:
    job = await settled(harness)
    await harness.later(days=5)
    await send_webhook(harness.deps)
    assert (await row(harness, job))["state"] == "sent"


@pytest.mark.parametrize(
    ("answer", "least", "most"),
    [
        (WebhookAnswer(429, retry_after=timedelta(minutes=30)), 1795, 1800),
        (WebhookAnswer(503, retry_after=timedelta(minutes=30)), 1795, 1800),
        (WebhookAnswer(503, retry_after=timedelta(0)), 4, 10),
        (WebhookAnswer(503, retry_after=timedelta(hours=20)), 6 * 3600 - 5, 6 * 3600),
        (WebhookAnswer(500, retry_after=timedelta(minutes=30)), 4, 10),
    ],
    ids=["too many", "unavailable", "at once", "for too long", "of no meaning"],
)
async def test_retry_after_is_kept_within_bounds(
    harness: Harness, answer: WebhookAnswer, least: float, most: float
) -> None:
    harness.receiver.answers = [answer]
    job = await settled(harness)
    await send_webhook(harness.deps)
    assert least <= (await wait_of(harness, job)).total_seconds() <= most


async def test_gone_ends_every_delivery_to_the_address(harness: Harness) -> None:
    harness.receiver.answers = [GONE]
    jobs = [await settled(harness, inputs={"prompt": str(n)}) for n in range(3)]
    other = await settled(harness, ELSEWHERE)
    await send_webhook(harness.deps)
    assert [(await row(harness, job))["state"] for job in jobs] == ["impossible"] * 3
    assert [(await harness.events(job))[-1] for job in jobs] == ["delivery_impossible"] * 3
    assert (await row(harness, other))["state"] == "pending"
    assert await harness.query("SELECT caller, url FROM webhook_endpoint") == [
        {"caller": "shop", "url": HOOK.url}
    ]


async def test_what_was_ended_while_an_address_was_gone_stays_ended(harness: Harness) -> None:
    harness.receiver.answers = [GONE, OK]
    first, second = [await settled(harness, inputs={"prompt": str(n)}) for n in range(2)]
    await send_webhook(harness.deps)
    await enable(harness.deps, SHOP, url=HOOK.url)
    assert not await send_webhook(harness.deps)
    assert [(await row(harness, job))["state"] for job in (first, second)] == ["impossible"] * 2
    await settled(harness, inputs={"prompt": "after"})
    assert await send_webhook(harness.deps)
    assert [each.url for each in harness.receiver.posts] == [HOOK.url] * 2


async def test_an_address_that_was_never_posted_to_cannot_be_enabled(harness: Harness) -> None:
    with pytest.raises(WebhookNotFound):
        await enable(harness.deps, SHOP, url=HOOK.url)


async def test_a_post_that_is_broken_off_is_not_counted(harness: Harness) -> None:
    harness.receiver.fault = asyncio.CancelledError()
    await settled(harness)
    with pytest.raises(asyncio.CancelledError):
        await send_webhook(harness.deps)
    assert await harness.query("SELECT url FROM webhook_endpoint") == []


async def test_the_story_of_an_address_is_forgotten_unless_it_is_disabled(harness: Harness) -> None:
    harness.receiver.answers = [GONE, OK]
    await settled(harness)
    await send_webhook(harness.deps)
    await settled(harness, ELSEWHERE)
    await send_webhook(harness.deps)
    await harness.later(seconds=(WEBHOOK_LIFETIME - timedelta(hours=1)).total_seconds())
    await forget_webhooks(harness.deps)
    assert len(await harness.query("SELECT url FROM webhook_endpoint")) == 2
    await harness.later(hours=2)
    await forget_webhooks(harness.deps)
    assert await harness.query("SELECT url FROM webhook_endpoint") == [{"url": HOOK.url}]


async def test_a_job_settled_after_its_address_was_gone_posts_nothing(harness: Harness) -> None:
    harness.receiver.answers = [GONE]
    late = await harness.run(destination=HOOK, caller=SHOP)
    await settled(harness, inputs={"prompt": "first"})
    await send_webhook(harness.deps)
    await harness.callback(SUCCESS, call=1)
    await harness.fetch_all()
    await send_webhook(harness.deps)
    assert len(harness.receiver.posts) == 1
    assert (await row(harness, late))["state"] == "impossible"


async def test_no_job_is_made_for_an_address_that_is_gone_until_it_is_enabled_again(
    harness: Harness,
) -> None:
    harness.receiver.answers = [GONE, OK]
    earlier = await settled(harness, request_id="earlier")
    await send_webhook(harness.deps)
    with pytest.raises(WebhookDisabled) as refused:
        await harness.accept(destination=HOOK, caller=SHOP)
    assert refused.value.url == HOOK.url
    assert await harness.accept(destination=HOOK, caller=SHOP, request_id="earlier") == earlier
    await harness.accept(destination=ELSEWHERE, caller=SHOP)
    await harness.accept(destination=HOOK, caller=replace(SHOP, name="another"))

    await enable(harness.deps, SHOP, url=HOOK.url)
    await harness.accept(destination=HOOK, caller=SHOP)


async def test_an_address_that_is_never_posted_to_is_refused_at_once(harness: Harness) -> None:
    with pytest.raises(InvalidInputs) as refused:
        await harness.accept(destination=Webhook("http://shop.example/"), caller=SHOP)
    assert [violation.field for violation in refused.value.violations] == ["webhook.url"]
    assert await harness.query("SELECT id FROM job") == []


async def test_a_caller_without_a_key_makes_no_job_with_a_webhook(harness: Harness) -> None:
    with pytest.raises(WebhookSecretMissing):
        await harness.accept(destination=HOOK, caller=CALLER)


async def test_a_key_that_was_taken_away_stops_the_posts_until_there_is_one(
    harness: Harness,
) -> None:
    job = await settled(harness)
    harness.receiver.secrets.clear()
    await send_webhook(harness.deps)
    assert harness.receiver.posts == []
    assert "no longer has a key" in (await row(harness, job))["report"]["reason"]

    harness.receiver.secrets["shop"] = ("whsec_new", SECRET)
    await harness.later(seconds=11)
    await send_webhook(harness.deps)
    assert harness.receiver.posts[0].secrets == ("whsec_new", SECRET)


async def test_a_post_whose_report_was_lost_is_repeated_under_the_same_id(harness: Harness) -> None:
    job = await settled(harness)
    killed = await begun(harness)
    assert killed is not None
    assert not await send_webhook(harness.deps)

    await harness.later(seconds=LEASE.total_seconds() + 1)
    await send_webhook(harness.deps)
    found = await row(harness, job)
    assert harness.receiver.posts[0].id == killed.id
    assert (found["state"], found["maybe_sent"], found["try_number"]) == ("sent", True, 2)


async def test_a_report_after_the_lease_ran_out_changes_nothing(harness: Harness) -> None:
    harness.receiver.is_slow = True
    job = await settled(harness)
    posting = asyncio.create_task(send_webhook(harness.deps))
    await asyncio.wait_for(harness.receiver.came.wait(), 5)
    await harness.later(seconds=LEASE.total_seconds() + 1)
    successor = await begun(harness)
    harness.receiver.may_answer.set()
    assert await posting
    assert (await row(harness, job))["state"] == "begun"
    assert successor is not None
    async with harness.transaction() as tx:
        await tx.deliveries.report(successor.lease_token, Sent(0, is_edit=False))


async def test_a_post_that_is_broken_off_is_given_back(harness: Harness) -> None:
    harness.receiver.is_slow = True
    job = await settled(harness)
    posting = asyncio.create_task(send_webhook(harness.deps))
    await asyncio.wait_for(harness.receiver.came.wait(), 5)
    posting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await posting
    found = await row(harness, job)
    assert (found["state"], found["maybe_sent"]) == ("pending", True)
    assert await wait_of(harness, job) <= timedelta(seconds=1)


async def test_a_slow_host_leaves_room_for_the_others(
    open_bench: OpenBench, harness: Harness
) -> None:
    other_replica = await open_bench(sharing=harness)
    for number in range(MOST_PER_HOST + 3):
        await settled(
            harness, Webhook(f"https://SLOW.example?{number}"), inputs={"prompt": str(number)}
        )
    last = await settled(harness, ELSEWHERE)
    assert await begun(harness)
    turn = await begun(other_replica)
    assert turn is not None
    assert turn.job.id == last.id  # whose host has nothing under way comes first
    turns = [await begun(each) for each in (harness, other_replica) * 4]
    assert sum(turn is not None for turn in turns) == MOST_PER_HOST - 1
    async with harness.transaction() as tx:
        await tx.deliveries.report(
            next(turn for turn in turns if turn).lease_token, Sent(0, is_edit=False)
        )
    assert await begun(harness)


async def test_leases_taken_at_once_are_different_ones(
    open_bench: OpenBench, harness: Harness
) -> None:
    replicas = (harness, await open_bench(sharing=harness))
    for number in range(12):
        hook = Webhook(f"https://host-{number % 2}.example/")
        await settled(harness, hook, inputs={"prompt": str(number)})
    turns = await asyncio.gather(*(begun(each) for each in replicas * 6))
    ids = [turn.id for turn in turns if turn]
    assert len(ids) == len(set(ids)) == 2 * MOST_PER_HOST


async def test_a_day_is_short_where_time_is(open_bench: OpenBench) -> None:
    harness = await open_bench()
    scaled = harness.deps.timing.scaled(0.001)
    context = replace(harness.deps, timing=scaled)
    harness.receiver.secrets["shop"], harness.receiver.answers = (SECRET,), [BROKEN]
    job = await settled(harness)
    await harness.later(seconds=LIFETIME.total_seconds() * 0.001 + 1)
    await send_webhook(context)
    assert (await row(harness, job))["state"] == "impossible"


async def test_one_delivery_of_a_job_is_its_outcome(harness: Harness) -> None:
    job = await settled(harness)
    assert list(await harness.deliveries(job)) == [DeliveryKind.OUTCOME]
