"""A user who cancelled, or was told of a failure, and gets what was finished after all."""

from __future__ import annotations

from typing import Any

import pytest

from atelier.generation.v1 import job_pb2
from atelier.generation.v1.media_pb2 import MEDIA_KIND_IMAGE, Media
from atelier.wallet.v1 import transfer_pb2
from edge_bot.view.outcome import cancelled_screen, failure_screen
from tests.contract.edge_chat import Chat, buttons, chatting
from tests.edge_model import USER, job
from tests.integration.sandbox_telegram import picture

OWNER = f"telegram:{USER}"
WORDS: dict[str, dict[str, str]] = {
    "en": {
        "yes": "Yes, cancel",
        "look": "Was it finished?",
        "done": "It was finished after all.",
        "show": "Show the picture",
        "cost": "Cost: 12 credits.",
        "free": "Nothing was charged. 12 credits came back.",
        "history": "History",
        "file": "Original file",
    },
    "ru": {
        "yes": "Да, отменить",
        "look": "Всё-таки готово?",
        "done": "Всё-таки готово.",
        "show": "Показать картинку",
        "cost": "Стоимость: 12 кредитов.",
        "free": "Ничего не списано. Вернулось 12 кредитов.",
        "history": "История",
        "file": "Файл без сжатия",
    },
}


@pytest.fixture(params=sorted(WORDS))
def language(request: Any) -> str:
    return str(request.param)


def started(chat: Chat) -> job_pb2.Job:
    """Have a job that costs 12 credits, and that the provider works on."""
    made = job()
    made.price.credits = "12"
    made.finish_deadline_time.FromSeconds(2_000_000_000)
    return chat.service.generation.put(made)


def finish(chat: Chat, made: job_pb2.Job, *, charged: int) -> None:
    """Have the provider finish a job that is over."""
    data = picture(64, 64)
    media = Media(id="media-0", mime_type="image/png", kind=MEDIA_KIND_IMAGE, size_bytes=len(data))
    media.width = media.height = 64
    chat.service.generation.media[media.id] = (media, data)
    made.charged_credits = charged
    made.kept_result.media.append(media)


async def photos(chat: Chat) -> list[str]:
    """Return the captions of the photos that came."""
    return [str(each["caption"]) for each in await chat.from_bot() if "photo" in each]


async def test_what_is_finished_after_a_cancel_can_be_had(language: str) -> None:
    words = WORDS[language]
    async with chatting(language=language, is_sold=True) as chat:
        made = started(chat)
        message_id = (await chat.last())["message_id"]
        await chat.press_data(f"k:{made.id}", message_id=message_id)
        await chat.press(words["yes"])
        assert made.state == job_pb2.JOB_STATE_CANCELLED
        await chat.press(words["look"])
        assert words["done"] not in await chat.last_text()

        finish(chat, made, charged=12)
        await chat.press(words["look"])
        assert words["done"] in await chat.last_text()
        assert words["cost"] in await chat.last_text()
        assert await photos(chat) == []
        await chat.press(words["show"])
        (caption,) = await photos(chat)
        assert words["cost"] in caption
        await chat.press(words["file"])
        assert len(await chat.telegram.calls("sendDocument")) == 1
        assert made.state == job_pb2.JOB_STATE_CANCELLED


async def test_what_comes_too_late_can_be_had_and_costs_nothing(language: str) -> None:
    words = WORDS[language]
    async with chatting(language=language, is_sold=True) as chat:
        made = started(chat)
        made.state = job_pb2.JOB_STATE_FAILED
        made.failure.reason = job_pb2.FAILURE_REASON_FINISH_DEADLINE
        looks = failure_screen(made, language).keyboard[0][0]
        assert words["look"] in looks.label
        message_id = (await chat.last())["message_id"]
        await chat.press_data(f"j:{made.id}", message_id=message_id)
        assert words["done"] not in await chat.last_text()

        finish(chat, made, charged=0)
        await chat.press(words["look"])
        assert words["done"] in await chat.last_text()
        assert words["free"] in await chat.last_text()
        await chat.press(words["show"])
        (caption,) = await photos(chat)
        assert words["free"] in caption


@pytest.mark.parametrize("is_late", [False, True])
async def test_the_history_of_a_balance_has_it(language: str, is_late: bool) -> None:
    words = WORDS[language]
    async with chatting(language=language, is_sold=True) as chat:
        made, desk = started(chat), chat.service.wallet
        made.state = job_pb2.JOB_STATE_FAILED if is_late else job_pb2.JOB_STATE_CANCELLED
        finish(chat, made, charged=0 if is_late else 12)
        desk.balances[OWNER] = 100
        about = {"owner": OWNER, "model_id": "z-image"}
        desk.move(-12, kind=transfer_pb2.TRANSFER_KIND_HOLD, cause_id="another", **about)
        desk.move(-12, kind=transfer_pb2.TRANSFER_KIND_HOLD, cause_id=made.id, **about)
        end = transfer_pb2.TRANSFER_KIND_RELEASE if is_late else transfer_pb2.TRANSFER_KIND_CAPTURE
        desk.move(12 if is_late else 0, kind=end, cause_id=made.id, **about)
        await chat.say("/balance")
        await chat.press(words["history"])
        first, *_ = [part for part in (await chat.last_text()).split("\n\n") if "Z-Image" in part]
        assert words["done"] in first
        assert (await chat.last_text()).count(words["done"]) == 1
        await chat.press("▶️ Z-Image")
        assert len(await photos(chat)) == 1


async def test_the_history_of_others_asks_for_no_jobs(language: str) -> None:
    async with chatting(language=language, is_sold=True) as chat:
        chat.service.wallet.move(7, kind=transfer_pb2.TRANSFER_KIND_GRANT, owner=OWNER)
        await chat.say("/balance")
        await chat.press(WORDS[language]["history"])
        assert not [each for _, each in buttons(await chat.last()) if each.startswith("A:")]


def test_a_job_that_nothing_can_come_of_offers_no_look(language: str) -> None:
    queued = job(job_pb2.JOB_STATE_CANCELLED)
    assert len(cancelled_screen(queued, language).keyboard) == 1
    returned = job(job_pb2.JOB_STATE_CANCELLED)
    returned.price.credits, returned.charged_credits = "12", 0
    returned.finish_deadline_time.FromSeconds(2_000_000_000)
    assert len(cancelled_screen(returned, language).keyboard) == 1
    taken = job(job_pb2.JOB_STATE_CANCELLED)
    taken.finish_deadline_time.FromSeconds(2_000_000_000)
    assert len(cancelled_screen(taken, language).keyboard) == 2
