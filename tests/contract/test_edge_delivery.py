import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from atelier.generation.v1.delivery_pb2 import DELIVERY_KIND_PROGRESS
from atelier.generation.v1.job_pb2 import DELAY_REASON_RESULT_DELAYED
from edge_bot.telegram.error import NO_MESSAGE_TO_EDIT
from tests.contract.edge_harness import (
    CHAT,
    Harness,
    delivery,
    failed,
    harness,
    running,
    succeeded,
    until,
)
from tests.integration.sandbox_telegram import picture

PHOTO, MEDIA, TEXT = "sendPhoto", "editMessageMedia", "editMessageText"


@pytest.fixture
async def edge() -> AsyncIterator[Harness]:
    async with harness() as made:
        yield made


async def statuses(edge: Harness, method: str) -> list[int]:
    return [call["status"] for call in await edge.telegram.calls(method)]


async def test_a_result_is_a_new_photo_with_its_prompt_and_buttons(edge: Harness) -> None:
    message_id = await edge.progress_message()
    token = edge.service.delivery.offer(delivery(succeeded(edge.media()), message_id=message_id))
    async with edge.sending():
        report = await edge.service.delivery.outcome()
    photo = (await edge.messages())[-1]
    assert report.sent.message_id == photo["message_id"] != message_id
    assert not report.sent.is_edit
    assert token in edge.service.delivery.begun
    assert "photo" in photo
    assert "a <cat> & a dog" in photo["caption"]
    assert photo["reply_markup"]["inline_keyboard"]
    assert edge.count("atelier_edge_deliveries_total", kind="outcome", outcome="sent") == 1


async def test_progress_edits_its_message(edge: Harness) -> None:
    message_id = await edge.progress_message()
    edge.service.delivery.offer(
        delivery(running(), message_id=message_id, kind=DELIVERY_KIND_PROGRESS)
    )
    async with edge.sending():
        report = await edge.service.delivery.outcome()
    assert (report.sent.message_id, report.sent.is_edit) == (message_id, True)
    assert "drawing" in (await edge.messages())[-1]["text"]


async def test_an_edit_that_changes_nothing_has_arrived(edge: Harness) -> None:
    message_id = await edge.progress_message()
    for _ in range(2):
        edge.service.delivery.offer(
            delivery(running(), message_id=message_id, kind=DELIVERY_KIND_PROGRESS)
        )
    async with edge.sending():
        first, second = [await edge.service.delivery.outcome() for _ in range(2)]
    assert first.sent == second.sent
    assert sorted(await statuses(edge, TEXT)) == [200, 400]


async def test_a_failure_is_told_in_a_new_message(edge: Harness) -> None:
    message_id = await edge.progress_message()
    edge.service.delivery.offer(delivery(failed(), message_id=message_id))
    async with edge.sending():
        report = await edge.service.delivery.outcome()
    assert report.sent.message_id == (await edge.messages())[-1]["message_id"] != message_id


@pytest.mark.parametrize("kind", ["answer_lost", "server_error"])
async def test_a_lost_answer_leaves_a_doubt_that_an_edit_ends(edge: Harness, kind: str) -> None:
    message_id = await edge.progress_message()
    job = succeeded(edge.media())
    await edge.telegram.fault(kind=kind, method=PHOTO, times=1)
    edge.service.delivery.offer(delivery(job, message_id=message_id))
    async with edge.sending():
        first = await edge.service.delivery.outcome()
        edge.service.delivery.offer(delivery(job, message_id=message_id, maybe_sent=True))
        second = await edge.service.delivery.outcome()
    assert first.WhichOneof("outcome") == "unknown"
    assert (second.sent.message_id, second.sent.is_edit) == (message_id, True)
    assert len(await statuses(edge, PHOTO)) == 1
    edited = next(one for one in await edge.messages() if one["message_id"] == message_id)
    assert "photo" in edited


async def test_a_lost_answer_to_an_edit_is_tried_again(edge: Harness) -> None:
    message_id = await edge.progress_message()
    await edge.telegram.fault(kind="answer_lost", method=MEDIA, times=1)
    doubtful = delivery(succeeded(edge.media()), message_id=message_id, maybe_sent=True)
    edge.service.delivery.offer(doubtful)
    async with edge.sending():
        assert (await edge.service.delivery.outcome()).WhichOneof("outcome") == "try_again"


async def test_a_failure_in_doubt_edits_the_progress_message(edge: Harness) -> None:
    message_id = await edge.progress_message()
    edge.service.delivery.offer(delivery(failed(), message_id=message_id, maybe_sent=True))
    async with edge.sending():
        report = await edge.service.delivery.outcome()
    assert (report.sent.message_id, report.sent.is_edit) == (message_id, True)
    assert await statuses(edge, "sendMessage") == [200]


async def test_a_doubt_without_a_message_to_edit_ends_the_delivery(edge: Harness) -> None:
    await edge.telegram.started(CHAT)
    edge.service.delivery.offer(delivery(succeeded(edge.media()), maybe_sent=True))
    async with edge.sending():
        report = await edge.service.delivery.outcome()
    assert report.impossible.reason == NO_MESSAGE_TO_EDIT
    assert not await edge.telegram.calls(PHOTO)


async def test_a_doubt_about_a_deleted_message_ends_the_delivery(edge: Harness) -> None:
    message_id = await edge.progress_message()
    await edge.telegram.result("deleteMessage", chat_id=CHAT, message_id=message_id)
    doubtful = delivery(succeeded(edge.media()), message_id=message_id, maybe_sent=True)
    edge.service.delivery.offer(doubtful)
    async with edge.sending():
        report = await edge.service.delivery.outcome()
    assert report.WhichOneof("outcome") == "impossible"
    assert not await edge.telegram.calls(PHOTO)


@pytest.fixture(params=[-3, 0, 3], ids="{:+} h".format)
def service_skew(request: pytest.FixtureRequest, edge: Harness) -> Iterator[timedelta]:
    """By how much the clocks of service and edge differ."""
    edge.service.delivery.skew = timedelta(hours=request.param)
    yield edge.service.delivery.skew
    edge.service.delivery.skew = timedelta(0)


async def test_a_picture_is_sent_whatever_the_clocks_say(
    edge: Harness, service_skew: timedelta
) -> None:
    await edge.telegram.started(CHAT)
    edge.service.delivery.offer(delivery(succeeded(edge.media())))
    async with edge.sending():
        report = await edge.service.delivery.outcome()
    assert report.WhichOneof("outcome") == "sent"


async def test_a_429_is_tried_again_when_telegram_said(
    edge: Harness, service_skew: timedelta
) -> None:
    await edge.telegram.started(CHAT)
    await edge.telegram.fault(kind="too_many_requests", method=PHOTO, times=1, retry_after=30)
    edge.service.delivery.offer(delivery(succeeded(edge.media())))
    async with edge.sending():
        report = await edge.service.delivery.outcome()
    not_before = report.try_again.not_before_time.ToDatetime(tzinfo=UTC)
    assert 25 < (not_before - service_skew - datetime.now(UTC)).total_seconds() <= 30


async def test_the_longest_wait_is_told_by_the_time_of_the_service(
    edge: Harness, service_skew: timedelta
) -> None:
    message_id = await edge.progress_message()
    late = running()
    late.delay_reason = DELAY_REASON_RESULT_DELAYED
    late.delay_until_time.FromDatetime(datetime.now(UTC) + service_skew + timedelta(minutes=10))
    edge.service.delivery.offer(delivery(late, kind=DELIVERY_KIND_PROGRESS, message_id=message_id))
    async with edge.sending():
        await edge.service.delivery.outcome()
    assert "At most 10 minutes more" in (await edge.messages())[-1]["text"]


async def test_a_429_in_one_chat_stops_no_other(edge: Harness) -> None:
    await edge.telegram.started(CHAT)
    await edge.telegram.started(8)
    await edge.telegram.fault(kind="too_many_requests", chat_id=8, retry_after=30)
    job = succeeded(edge.media())
    edge.service.delivery.offer(delivery(job, chat_id=8))
    async with edge.sending():
        assert (await edge.service.delivery.outcome()).HasField("try_again")
        edge.service.delivery.offer(delivery(job))
        assert (await edge.service.delivery.outcome()).HasField("sent")


@pytest.mark.parametrize(
    ("kind", "words"), [("blocked", "blocked"), ("chat_not_found", "not found")]
)
async def test_a_chat_that_is_closed_is_impossible(edge: Harness, kind: str, words: str) -> None:
    await edge.telegram.started(CHAT)
    await edge.telegram.fault(kind=kind, method=PHOTO)
    edge.service.delivery.offer(delivery(succeeded(edge.media())))
    async with edge.sending():
        assert words in (await edge.service.delivery.outcome()).impossible.reason


async def test_a_telegram_that_cannot_be_reached_got_nothing() -> None:
    async with harness(telegram_url="http://127.0.0.1:9") as edge:
        edge.service.delivery.offer(delivery(succeeded(edge.media())))
        async with edge.sending():
            assert (await edge.service.delivery.outcome()).HasField("try_again")


NO_PHOTOS: dict[str, dict[str, Any]] = {
    "too heavy": {"data": picture() + bytes(10_000_001)},
    "too large": {"width": 9000, "height": 1200},
    "too long": {"width": 2100, "height": 100},
    "refused by Telegram": {"data": b"no picture at all"},
}


@pytest.mark.parametrize("case", NO_PHOTOS.values(), ids=NO_PHOTOS)
async def test_what_is_no_photo_goes_as_a_file(edge: Harness, case: dict[str, Any]) -> None:
    await edge.telegram.started(CHAT)
    edge.service.delivery.offer(delivery(succeeded(edge.media(**case))))
    async with edge.sending():
        assert (await edge.service.delivery.outcome()).HasField("sent")
    message = (await edge.messages())[-1]
    assert "document" in message
    assert "a <cat> & a dog" in message["caption"]


async def test_several_pictures_are_an_album(edge: Harness) -> None:
    await edge.telegram.started(CHAT)
    edge.service.delivery.offer(delivery(succeeded(*(edge.media() for _ in range(11)))))
    async with edge.sending():
        report = await edge.service.delivery.outcome()
    photos = [one for one in await edge.messages() if "photo" in one]
    assert len(photos) == 11
    assert report.sent.message_id == photos[0]["message_id"]
    assert [("caption" in one) for one in photos] == [True] + [False] * 10


async def test_an_album_that_breaks_off_is_in_doubt(edge: Harness) -> None:
    await edge.telegram.started(CHAT)
    edge.service.delivery.offer(delivery(succeeded(*(edge.media() for _ in range(11)))))
    # The first draw of this seed spares a call, the second hits one.
    rule = {"kind": "too_many_requests", "rate": 0.5, "seed": 10, "retry_after": 60}
    await edge.telegram.fault(**rule, method="sendMediaGroup")
    async with edge.sending():
        assert (await edge.service.delivery.outcome()).HasField("unknown")
    assert len([one for one in await edge.messages() if "photo" in one]) == 10


async def test_an_album_in_doubt_becomes_its_first_picture(edge: Harness) -> None:
    message_id = await edge.progress_message()
    job = succeeded(edge.media(), edge.media())
    edge.service.delivery.offer(delivery(job, message_id=message_id, maybe_sent=True))
    async with edge.sending():
        report = await edge.service.delivery.outcome()
    assert report.sent.is_edit
    edited = (await edge.messages())[-1]
    assert "photo" in edited
    assert any(
        "all" in button["text"]
        for row in edited["reply_markup"]["inline_keyboard"]
        for button in row
    )


async def test_a_kind_that_is_newer_than_the_edge_is_left_to_another(edge: Harness) -> None:
    await edge.telegram.started(CHAT)
    edge.service.delivery.offer(delivery(succeeded(edge.media()), kind=99))
    async with edge.sending():
        assert (await edge.service.delivery.outcome()).HasField("try_again")
        edge.service.delivery.offer(delivery(succeeded(edge.media())))
        assert (await edge.service.delivery.outcome()).HasField("sent")
    assert edge.count("atelier_edge_deliveries_total", kind="unknown", outcome="try_again") == 1


async def test_nothing_is_sent_under_a_stale_lease(edge: Harness) -> None:
    await edge.telegram.started(CHAT)
    stale = edge.service.delivery.offer(delivery(succeeded(edge.media())))
    edge.service.delivery.stale.add(stale)
    async with edge.sending():
        edge.service.delivery.offer(delivery(succeeded(edge.media())))
        report = await edge.service.delivery.outcome()
    assert report.lease_token != stale
    assert len(await edge.telegram.calls(PHOTO)) == 1


async def test_a_report_is_repeated_while_the_service_is_away(edge: Harness) -> None:
    await edge.telegram.started(CHAT)
    edge.service.delivery.offer(delivery(succeeded(edge.media())))
    await edge.telegram.fault(kind="answer_lost", method=PHOTO, times=1, seconds=0.2)
    async with edge.sending():
        await until(lambda: edge.telegram.calls(PHOTO))
        edge.service.delivery.unavailable = 6
        assert (await edge.service.delivery.outcome(within_s=15)).HasField("unknown")
    assert len(await edge.telegram.calls(PHOTO)) == 1


async def test_a_result_that_the_service_lacks_is_not_begun(edge: Harness) -> None:
    await edge.telegram.started(CHAT)
    media = edge.media()
    edge.service.generation.media.clear()
    token = edge.service.delivery.offer(delivery(succeeded(media)))
    async with edge.sending():
        assert (await edge.service.delivery.outcome()).HasField("try_again")
    assert token not in edge.service.delivery.begun


async def test_a_result_that_has_expired_is_impossible(edge: Harness) -> None:
    await edge.telegram.started(CHAT)
    media = edge.media()
    edge.service.generation.media.clear()
    edge.service.generation.missing_reason = "MEDIA_EXPIRED"
    edge.service.delivery.offer(delivery(succeeded(media)))
    async with edge.sending():
        assert "expired" in (await edge.service.delivery.outcome()).impossible.reason


async def test_a_sending_ends_before_its_lease(edge: Harness) -> None:
    await edge.telegram.started(CHAT)
    await edge.telegram.fault(kind="timeout", method=PHOTO, seconds=5)
    edge.service.delivery.offer(delivery(succeeded(edge.media())))
    async with edge.sending(lease_s=2, report_s=1):
        assert (await edge.service.delivery.outcome(within_s=2)).HasField("unknown")


async def test_stopping_cuts_a_sending_short_and_says_so(edge: Harness) -> None:
    await edge.telegram.started(CHAT)
    await edge.telegram.fault(kind="timeout", method=PHOTO, seconds=5)
    edge.service.delivery.offer(delivery(succeeded(edge.media())))
    async with asyncio.timeout(3), edge.sending(drain_s=0.1) as stop:
        await until(lambda: edge.telegram.calls(PHOTO))
        stop.set()
        assert (await edge.service.delivery.outcome()).HasField("unknown")


async def test_nothing_is_leased_once_it_stops(edge: Harness) -> None:
    await edge.telegram.started(CHAT)
    await edge.telegram.fault(kind="token_revoked")
    edge.service.delivery.offer(delivery(succeeded(edge.media())))
    async with edge.sending() as stop:
        assert (await edge.service.delivery.outcome()).HasField("try_again")
        leases = edge.service.delivery.leases
        stop.set()
    assert edge.service.delivery.leases == leases


async def test_stopping_lets_a_sending_end(edge: Harness) -> None:
    message_id = await edge.progress_message()
    await edge.telegram.fault(kind="answer_lost", method=TEXT, seconds=0.3)
    edge.service.delivery.offer(
        delivery(running(), message_id=message_id, kind=DELIVERY_KIND_PROGRESS)
    )
    async with edge.sending() as stop:
        await until(lambda: edge.telegram.calls(TEXT))
        stop.set()
        assert (await edge.service.delivery.outcome()).HasField("try_again")


async def test_a_refused_token_gives_leases_back_until_it_is_good_again(edge: Harness) -> None:
    await edge.telegram.started(CHAT)
    await edge.telegram.fault(kind="token_revoked", times=3)
    edge.service.delivery.offer(delivery(succeeded(edge.media())))
    async with edge.sending():
        assert (await edge.service.delivery.outcome()).HasField("try_again")
        assert not edge.token_health.is_good
        await until(lambda: edge.telegram.calls("getMe"))
        await asyncio.wait_for(edge.token_health.wait_good(), 5)
        edge.service.delivery.offer(delivery(succeeded(edge.media())))
        assert (await edge.service.delivery.outcome()).HasField("sent")
    assert len(await edge.telegram.calls("sendPhoto")) == 2
