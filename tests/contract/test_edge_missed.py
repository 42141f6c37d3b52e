"""Pictures that could not be sent when they were ready: kept in mind, offered, brought."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from atelier.generation.v1 import job_pb2
from atelier.generation.v1.media_pb2 import Media
from edge_bot.conversation.missed import note_missed
from edge_bot.conversation.session import MAX_MISSED, Session
from generation_client import GenerationError
from tests.contract.edge_chat import Chat, chatting
from tests.contract.edge_harness import CHAT, delivery, failed, harness, succeeded
from tests.edge_model import USER, job
from tests.integration.sandbox_telegram import picture

Act = Callable[[Chat], Awaitable[object]]


@pytest.fixture
async def chat() -> AsyncIterator[Chat]:
    async with chatting() as chat:
        yield chat


def drawn_job(chat: Chat, *, number: int = 1, pictures: int = 1) -> job_pb2.Job:
    made = job(job_pb2.JOB_STATE_SUCCEEDED)
    made.id = f"01990000-0000-7000-8000-0000000001{number:02}"
    for one in range(pictures):
        data = picture(64, 64)
        media = Media(id=f"media-{number}-{one}", mime_type="image/png", width=64, height=64)
        media.size_bytes = len(data)
        chat.service.generation.media[media.id] = (media, data)
        made.result.media.append(media)
    return chat.service.generation.put(made)


async def progress_message(chat: Chat) -> int:
    sent = await chat.telegram.result("sendMessage", chat_id=USER, text="Z-Image is drawing…")
    return int(sent["message_id"])


async def miss(chat: Chat, made: job_pb2.Job) -> int:
    """Have a delivery be impossible; return its progress message."""
    message_id = await progress_message(chat)
    await note_missed(chat.context, delivery(made, message_id=message_id, chat_id=USER))
    return message_id


async def unblock(chat: Chat) -> None:
    for what in ("block", "unblock"):
        await chat.telegram.http.post(f"/sandbox/chats/{USER}/{what}")
    await chat.pump()


async def photos(chat: Chat) -> int:
    return len([each for each in await chat.from_bot() if "photo" in each])


def remembered(chat: Chat) -> Session:
    return Session.model_validate_json(chat.session)


@pytest.mark.parametrize(
    "wakes",
    [unblock, lambda chat: chat.say("/help"), lambda chat: chat.say("a cat")],
    ids=["unblocked", "a command", "a text"],
)
async def test_missed_pictures_are_offered_once_and_brought_by_a_press(
    chat: Chat, wakes: Act
) -> None:
    progress = [await miss(chat, drawn_job(chat, number=number)) for number in (1, 2)]
    await wakes(chat)
    assert "2 pictures are waiting for you" in await chat.last_text()
    offer = await chat.last()
    await chat.say("/models")
    assert "waiting" not in await chat.last_text()
    await chat.press("Send now", message=offer)
    assert await photos(chat) == 2
    assert "a cat" in await chat.last_text()
    assert "🔁 Again" in await chat.labels()
    for message_id in progress:
        assert "Done" in (await chat.message(message_id))["text"]
    assert "waiting for you" in (await chat.message(offer["message_id"]))["text"]
    assert "reply_markup" not in await chat.message(offer["message_id"])
    await chat.repeat()
    assert await photos(chat) == 2
    assert not remembered(chat).missed


async def test_who_blocks_again_before_the_picture_came_is_offered_it_once_more(
    chat: Chat,
) -> None:
    await miss(chat, drawn_job(chat))
    await unblock(chat)
    offer = await chat.last()
    await chat.telegram.fault(kind="blocked", method="sendPhoto", times=1)
    await chat.press("Send now", message=offer)
    assert await photos(chat) == 0
    await unblock(chat)
    assert (await chat.last())["message_id"] != offer["message_id"]
    await chat.press("Send now")
    assert await photos(chat) == 1
    await chat.press_data("b", message_id=offer["message_id"])
    assert await photos(chat) == 1


async def test_news_of_another_miss_is_offered_again(chat: Chat) -> None:
    await miss(chat, drawn_job(chat, number=1))
    await chat.say("/help")
    await miss(chat, drawn_job(chat, number=2))
    await chat.say("/help")
    assert "2 pictures are waiting" in await chat.last_text()


async def test_the_same_miss_is_noted_once_and_only_so_many_are_kept(chat: Chat) -> None:
    made = [drawn_job(chat, number=number) for number in range(MAX_MISSED + 2)]
    for each in (*made, made[-1]):
        await miss(chat, each)
    assert list(remembered(chat).missed) == [each.id for each in made[2:]]


async def test_a_missed_job_that_is_gone_stops_no_other(chat: Chat) -> None:
    gone = drawn_job(chat, number=1)
    await miss(chat, gone)
    await miss(chat, drawn_job(chat, number=2))
    del chat.service.generation.jobs[gone.id]
    await chat.say("/help")
    await chat.press("Send now")
    assert await photos(chat) == 1
    assert not remembered(chat).missed


async def test_a_missed_picture_that_cannot_be_had_stops_no_other(chat: Chat) -> None:
    for number in (1, 2):
        await miss(chat, drawn_job(chat, number=number))
    del chat.service.generation.media["media-1-0"]
    await chat.say("/help")
    offer = await chat.last()
    await chat.press("Send now")
    assert await photos(chat) == 1
    assert not remembered(chat).missed
    said = (await chat.message(offer["message_id"]))["text"]
    assert said == "Here is what was waiting for you.\n\n⚠️ I couldn't get 1 picture."
    await chat.repeat()
    assert (await chat.message(offer["message_id"]))["text"] == said
    assert await photos(chat) == 1


async def test_a_missed_picture_is_kept_in_mind_while_the_service_is_away(chat: Chat) -> None:
    made = drawn_job(chat)
    await miss(chat, made)
    await chat.say("/help")
    offer = await chat.last()
    chat.service.loss.after(2)
    with pytest.raises(GenerationError):
        await chat.press("Send now", message=offer)
    assert list(remembered(chat).missed) == [made.id]
    await chat.repeat()
    assert await photos(chat) == 1
    assert "Here is" in (await chat.message(offer["message_id"]))["text"]


@pytest.mark.parametrize("is_lost", [False, True], ids=["brought before", "lost"])
async def test_an_offer_of_nothing_says_so(chat: Chat, is_lost: bool) -> None:
    made = drawn_job(chat)
    message_id = await miss(chat, made)
    await chat.say("/help")
    offer = await chat.last()
    if is_lost:
        del chat.service.generation.jobs[made.id]
    else:
        await chat.press_data(f"k:{made.id}", message_id=message_id)
    await chat.press("Send now", message=offer)
    said = (await chat.message(offer["message_id"]))["text"]
    assert said == ("⚠️ I couldn't get 1 picture." if is_lost else "There is no picture to send.")


@pytest.mark.parametrize("code", ["k", "K", "j"], ids=["cancel", "cancel anyway", "keep waiting"])
async def test_a_press_under_a_missed_picture_brings_it(chat: Chat, code: str) -> None:
    made = drawn_job(chat)
    message_id = await miss(chat, made)
    await chat.press_data(f"{code}:{made.id}", message_id=message_id)
    assert await photos(chat) == 1
    assert "Done" in (await chat.message(message_id))["text"]
    assert not remembered(chat).missed


@pytest.mark.parametrize("code", ["k", "K", "j"], ids=["cancel", "cancel anyway", "keep waiting"])
@pytest.mark.parametrize("pictures", [1, 3])
async def test_what_is_done_already_can_be_shown(chat: Chat, code: str, pictures: int) -> None:
    made = drawn_job(chat, pictures=pictures)
    message_id = await progress_message(chat)
    await chat.press_data(f"{code}:{made.id}", message_id=message_id)
    shown = await chat.message(message_id)
    assert "Done" in shown["text"]
    assert "in this chat or will arrive" in shown["text"]
    assert ("pictures are" in shown["text"]) == (pictures > 1)
    await chat.press("Show", message=shown)
    assert await photos(chat) == pictures


async def test_a_failure_that_was_not_heard_of_is_told_with_its_reason(chat: Chat) -> None:
    lost = chat.service.generation.put(job(job_pb2.JOB_STATE_FAILED))
    lost.failure.reason = job_pb2.FAILURE_REASON_INPUT_UNREADABLE
    message_id = await progress_message(chat)
    await chat.press_data(f"k:{lost.id}", message_id=message_id)
    assert "could not open your picture" in (await chat.message(message_id))["text"]
    assert "🔁 Try again" in await chat.labels()


@pytest.mark.parametrize("fault", ["blocked", "chat_not_found"])
async def test_a_result_that_is_impossible_is_kept_in_mind(fault: str) -> None:
    async with harness() as edge:
        message_id = await edge.progress_message()
        made = succeeded(edge.media())
        made.owner = f"telegram:{CHAT}"
        await edge.telegram.fault(kind=fault, method="sendPhoto")
        edge.service.delivery.offer(delivery(made, message_id=message_id))
        async with edge.sending():
            assert (await edge.service.delivery.outcome()).HasField("impossible")
        stored = edge.service.edge.sessions[f"chat:{CHAT}"]
        assert Session.model_validate_json(stored.data).missed == {made.id: message_id}


@pytest.mark.parametrize("owner", ["", "telegram:8", "somebody"])
async def test_what_nobody_can_be_shown_is_not_kept_in_mind(owner: str) -> None:
    async with harness() as edge:
        await edge.telegram.started(CHAT)
        made, lost = succeeded(edge.media()), failed()
        made.owner, lost.owner = owner, f"telegram:{CHAT}"
        await edge.telegram.fault(kind="blocked")
        for each in (made, lost):
            edge.service.delivery.offer(delivery(each))
        async with edge.sending():
            for _ in range(2):
                assert (await edge.service.delivery.outcome()).HasField("impossible")
        assert not edge.service.edge.sessions


async def test_a_text_that_is_all_there_is_can_be_had_as_a_file(chat: Chat) -> None:
    made = job(job_pb2.JOB_STATE_SUCCEEDED)
    made.id = "01990000-0000-7000-8000-000000000201"
    made.result.text = "[Verse]\nSeven lanterns"
    chat.service.generation.put(made)
    await chat.press_data(f"f:{made.id}", message_id=await progress_message(chat))
    (document,) = [each["document"] for each in await chat.from_bot() if "document" in each]
    assert document["file_name"] == "Z-Image.txt"
    assert document["file_size"] == len(made.result.text)
