from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict

from atelier.generation.v1 import job_pb2
from atelier.generation.v1.generation_service_pb2 import CreateJobRequest
from atelier.generation.v1.media_pb2 import Media
from atelier.generation.v1.model_pb2 import MODEL_KIND_TEXT_TO_IMAGE
from edge_bot.conversation.session import MAX_BYTES
from tests.contract.edge_chat import BOT_ID, Chat, buttons, chatting
from tests.contract.stand_in import Refusal
from tests.edge_model import USER, catalog, job, switched_off
from tests.integration.sandbox_telegram import Json, picture


@pytest.fixture
async def chat() -> AsyncIterator[Chat]:
    async with chatting() as chat:
        yield chat


def only_request(chat: Chat) -> CreateJobRequest:
    (request,) = chat.service.generation.requests.values()
    return request


def inputs(request: CreateJobRequest) -> dict[str, Any]:
    return MessageToDict(request.inputs)


def finished_job(chat: Chat, *, pictures: int = 1, **fields: Any) -> job_pb2.Job:
    done = job(job_pb2.JOB_STATE_SUCCEEDED, **fields)
    for number in range(pictures):
        data = picture(64, 64)
        media = Media(
            id=f"media-{number}", mime_type="image/png", width=64, height=64, size_bytes=len(data)
        )
        chat.service.generation.media[media.id] = (media, data)
        done.result.media.append(media)
    return chat.service.generation.put(done)


async def test_start_offers_what_one_can_do(chat: Chat) -> None:
    assert await chat.labels() == [
        "🎨 Create a picture",
        "🖌 Redraw my picture",
        "🪄 Change my picture",
    ]


async def test_a_russian_is_spoken_to_in_russian() -> None:
    async with chatting(language="ru") as chat:
        assert "Здравствуйте" in await chat.last_text()
        await chat.say("кот")
        await chat.press("Нарисовать")
        assert only_request(chat).telegram.language_code == "ru"


async def test_a_text_is_one_press_from_a_picture(chat: Chat) -> None:
    await chat.say("a <cat> & a dog")
    confirmation = await chat.last()
    assert "a <cat> & a dog" in confirmation["text"]
    await chat.press("Generate")
    request = only_request(chat)
    assert request.model_id == "z-image"
    assert inputs(request) == {"prompt": "a <cat> & a dog", "aspect_ratio": "1:1"}
    assert request.owner == f"telegram:{USER}"
    assert (request.telegram.bot_id, request.telegram.chat_id) == (BOT_ID, USER)
    assert request.telegram.message_id == confirmation["message_id"]
    assert "Sending it off" in await chat.last_text()
    update = chat.handled[-1].update_id
    assert chat.service.generation.correlation_ids == {f"telegram-{BOT_ID}-{update}"}


async def test_the_wizard_leads_from_a_wish_to_a_picture(chat: Chat) -> None:
    await chat.press("Create a picture")
    await chat.press("Qwen Image")
    await chat.press("A bakery window")
    await chat.press("Options")
    await chat.press("Portrait 9:16")
    await chat.press("Other description")
    await chat.say("a quiet harbour")
    await chat.press("Generate")
    assert only_request(chat).model_id == "qwen/text-to-image"
    assert inputs(only_request(chat)) == {
        "prompt": "a quiet harbour",
        "image_size": "portrait_16_9",
    }


async def test_an_edit_takes_the_picture_before_the_instruction(chat: Chat) -> None:
    await chat.press("Change my picture")
    assert "Send me the picture" in await chat.last_text()
    data = picture()
    await chat.say(files={"document": ("cat.png", data, "image/png")})
    assert "What shall I change?" in await chat.last_text()
    await chat.say("make it red")
    await chat.press("Generate")
    ((upload, (owner, uploaded)),) = chat.service.generation.uploads.items()
    assert (owner, uploaded) == (f"telegram:{USER}", data)
    assert inputs(only_request(chat)) == {
        "prompt": "make it red",
        "image": f"upload:{upload}",
        "image_size": "landscape_4_3",
        "num_images": "1",
    }


async def test_a_portrait_photo_comes_back_as_a_portrait(chat: Chat) -> None:
    photo = {"photo": ("cat.png", picture(600, 1067), "image/png")}
    await chat.say("make it red", files=photo)
    assert "Portrait 9:16" in await chat.last_text()
    await chat.press("Generate")
    assert inputs(only_request(chat))["image_size"] == "portrait_16_9"


async def test_a_size_that_was_chosen_stays_with_another_photo(chat: Chat) -> None:
    await chat.say("red", files={"photo": ("cat.png", picture(600, 1067), "image/png")})
    await chat.press("Options")
    await chat.press("Size")
    await chat.press("Square, 512")
    await chat.say(files={"photo": ("cat.png", picture(640, 480), "image/png")})
    await chat.press("Generate")
    assert inputs(only_request(chat))["image_size"] == "square"


async def test_a_photo_with_a_caption_is_an_edit(chat: Chat) -> None:
    await chat.say("make it red", files={"photo": ("cat.png", picture(), "image/png")})
    assert "Qwen Image Edit" in await chat.last_text()
    await chat.press("Generate")
    assert only_request(chat).model_id == "qwen/image-edit"


async def test_a_photo_alone_asks_what_to_do_with_it(chat: Chat) -> None:
    await chat.say(files={"photo": ("cat.png", picture(), "image/png")})
    assert await chat.labels() == ["🖌 Redraw my picture", "🪄 Change my picture", "✖️ Cancel"]
    await chat.press("Redraw")
    await chat.press("In watercolour")
    await chat.press("Generate")
    assert only_request(chat).model_id == "qwen/image-to-image"
    assert inputs(only_request(chat))["prompt"] == "In watercolour, soft pastel colours"


async def test_an_album_gives_its_first_picture_and_says_so_once(chat: Chat) -> None:
    photos = {f"photo{n}": ("cat.png", picture(90 + n, 90), "image/png") for n in range(3)}
    before = len(await chat.from_bot())
    await chat.say("make it red", files=photos)
    said = [message["text"] for message in (await chat.from_bot())[before:]]
    assert len(chat.service.generation.uploads) == 1
    assert len(said) == 2
    assert "make it red" in said[0]
    assert "took the first one" in said[1]


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("notes.pdf", "application/pdf", "cannot open this kind of file"),
        ("cat.gif", "image/gif", "cannot open this kind of file"),
    ],
    ids=["pdf", "gif"],
)
async def test_other_files_get_a_clear_answer(chat: Chat, name: str, kind: str, words: str) -> None:
    await chat.say(files={"document": (name, b"no picture", kind)})
    assert words in await chat.last_text()
    assert not chat.service.generation.uploads


@pytest.mark.parametrize(
    ("name", "kind"), [("IMG_1.HEIC", "image/heic"), ("scan.bmp", "image/bmp")]
)
async def test_a_picture_of_a_telephone_or_a_scanner_is_taken(
    chat: Chat, name: str, kind: str
) -> None:
    await chat.say(files={"document": (name, picture(), kind)})
    assert len(chat.service.generation.uploads) == 1
    assert "Redraw my picture" in " ".join(await chat.labels())


async def test_a_picture_that_is_too_large_is_not_fetched(chat: Chat) -> None:
    await chat.say(files={"document": ("cat.png", b"\x89PNG" + bytes(10_000_000), "image/png")})
    assert "larger than 10 MB" in await chat.last_text()
    assert not await chat.telegram.calls("getFile")


async def test_what_only_says_that_it_is_a_picture_is_refused(chat: Chat) -> None:
    chat.service.generation.is_picture = False
    await chat.say(files={"document": ("cat.png", b"no picture", "image/png")})
    assert "cannot open this kind of file" in await chat.last_text()


async def test_an_overlong_prompt_is_told_with_number_and_limit(chat: Chat) -> None:
    await chat.say("x" * 1001)
    assert "1,001 characters" in await chat.last_text()
    assert "at most 1,000" in await chat.last_text()
    await chat.press("Other model")
    await chat.press("Qwen Image")
    await chat.say("x" * 1001)
    await chat.press("Generate")
    assert only_request(chat).model_id == "qwen/text-to-image"


async def test_cancel_drops_the_draft_and_its_buttons_say_so(chat: Chat) -> None:
    await chat.say("a cat")
    confirmation = await chat.last()
    await chat.say("/cancel")
    assert "All clear" in await chat.last_text()
    await chat.press("Generate", message=confirmation)
    assert "earlier picture" in await chat.last_text()
    assert "What would you like to do?" in await chat.last_text()
    assert not chat.service.generation.requests


async def test_cancel_asks_about_a_job_under_way(chat: Chat) -> None:
    await chat.say("a cat")
    await chat.press("Generate")
    (made,) = chat.service.generation.jobs.values()
    made.state, made.revision = job_pb2.JOB_STATE_RUNNING, 2
    await chat.say("/cancel")
    assert "cannot be stopped" in await chat.last_text()
    await chat.press("Yes, cancel")
    assert made.state == job_pb2.JOB_STATE_CANCELLED
    assert "Cancelled" in await chat.last_text()


async def test_who_keeps_waiting_gets_no_second_progress_message(chat: Chat) -> None:
    await chat.say("a cat")
    await chat.press("Generate")
    (made,) = chat.service.generation.jobs.values()
    await chat.say("/cancel")
    question = await chat.last()
    await chat.press("Keep waiting")
    assert await chat.last_text() == "All right, the picture will arrive here by itself."
    assert await chat.labels() == []
    made.state, made.revision = job_pb2.JOB_STATE_SUCCEEDED, 2
    await chat.press_data(f"w:{made.id}", message_id=question["message_id"])
    assert "Done" in await chat.last_text()


async def test_start_over_drops_the_draft(chat: Chat) -> None:
    await chat.say("make it red", files={"photo": ("cat.png", picture(), "image/png")})
    await chat.say(files={"document": ("notes.txt", b"words", "text/plain")})
    await chat.press("Start over")
    await chat.say("a cat")
    assert "Create a picture · Z-Image" in await chat.last_text()


async def test_each_confirmation_draws_its_own_words(chat: Chat) -> None:
    confirmations = []
    for words in ("a red house", "a blue boat", "a green tree"):
        await chat.say(words)
        confirmations.append(await chat.last())
    before = len(await chat.from_bot())
    for confirmation in confirmations:
        await chat.press("Generate", message=confirmation)
    made = list(chat.service.generation.requests.values())
    assert [inputs(each)["prompt"] for each in made] == [
        "a red house",
        "a blue boat",
        "a green tree",
    ]
    assert [each.telegram.message_id for each in made] == [
        confirmation["message_id"] for confirmation in confirmations
    ]
    assert len(await chat.from_bot()) == before


async def test_each_confirmation_draws_its_own_photo(chat: Chat) -> None:
    confirmations: list[Json] = []
    for side in (90, 91):
        photo = {"photo": ("cat.png", picture(side, 90), "image/png")}
        await chat.say("red" if not confirmations else "", files=photo)
        confirmations.append(await chat.last())
    for confirmation in confirmations:
        await chat.press("Generate", message=confirmation)
    pictures = [inputs(each)["image"] for each in chat.service.generation.requests.values()]
    assert pictures == [f"upload:{upload}" for upload in chat.service.generation.uploads]


async def test_the_buttons_of_an_overtaken_message_keep_working(chat: Chat) -> None:
    await chat.say("a red house")
    first = await chat.last()
    await chat.say("a blue boat")
    await chat.press("Options", message=first)
    await chat.press("Wide 16:9", message=await chat.message(first["message_id"]))
    await chat.press("Other description", message=await chat.message(first["message_id"]))
    await chat.say("a white house")
    await chat.press("Generate")
    request = only_request(chat)
    assert inputs(request) == {"prompt": "a white house", "aspect_ratio": "16:9"}


async def test_dropping_an_overtaken_draft_leaves_the_others(chat: Chat) -> None:
    await chat.say("a red house")
    first = await chat.last()
    await chat.say("a blue boat")
    second = await chat.last()
    await chat.press("Cancel", message=first)
    assert "All clear" in (await chat.message(first["message_id"]))["text"]
    await chat.press("Generate", message=second)
    assert inputs(only_request(chat))["prompt"] == "a blue boat"
    await chat.press("Generate", message=first)
    assert "earlier picture" in await chat.last_text()
    assert len(chat.service.generation.requests) == 1


async def test_a_draft_that_was_being_asked_for_is_not_lost_by_another_ones_generate(
    chat: Chat,
) -> None:
    await chat.say("a red house")
    first = await chat.last()
    await chat.say("/start")
    await chat.press("Change my picture")
    await chat.press("Generate", message=first)
    await chat.say(files={"photo": ("cat.png", picture(), "image/png")})
    assert "What shall I change?" in await chat.last_text()


async def test_start_leaves_a_confirmation_its_button(chat: Chat) -> None:
    await chat.say("a red house")
    confirmation = await chat.last()
    await chat.say("/start")
    await chat.press("Generate", message=confirmation)
    assert inputs(only_request(chat))["prompt"] == "a red house"


async def test_many_long_drafts_fit_into_a_session(chat: Chat) -> None:
    await chat.press("Create a picture")
    await chat.press("Qwen Image")
    for number in range(12):
        await chat.say(f"{number} " + "🦊" * 2000)
    assert len(chat.session) <= MAX_BYTES
    await chat.press("Generate")
    assert inputs(only_request(chat))["prompt"].startswith("11 ")


async def test_generate_pressed_twice_makes_one_job(chat: Chat) -> None:
    await chat.say("a cat")
    confirmation = await chat.last()
    await chat.press("Generate")
    calls = len(await chat.telegram.calls("editMessageText"))
    await chat.press("Generate", message=confirmation)
    assert len(chat.service.generation.jobs) == 1
    assert len(await chat.telegram.calls("editMessageText")) == calls
    assert "Sending it off" in await chat.last_text()


async def test_generate_pressed_on_a_second_message_says_where_the_picture_is(chat: Chat) -> None:
    await chat.say("a cat")
    confirmation = await chat.last()
    await chat.press("Other description")
    await chat.say("a dog")
    await chat.press("Generate")
    progress = await chat.last()
    data = next(data for label, data in buttons(confirmation) if "Generate" in label)
    await chat.press_data(data, message_id=confirmation["message_id"])
    assert len(chat.service.generation.jobs) == 1
    assert "already on its way" in (await chat.message(confirmation["message_id"]))["text"]
    (made,) = chat.service.generation.jobs.values()
    made.state, made.revision = job_pb2.JOB_STATE_SUCCEEDED, 2
    await chat.press_data(data, message_id=progress["message_id"])
    assert "Done" in (await chat.message(progress["message_id"]))["text"]


@pytest.mark.parametrize(
    ("reason", "code", "fields", "words"),
    [
        ("INVALID_INPUTS", 3, ["image"], "no longer use your picture"),
        ("INVALID_INPUTS", 3, ["prompt"], "does not take this text"),
        ("INVALID_INPUTS", 3, ["image_size"], "this value: Size"),
        ("INVALID_INPUTS", 3, ["seed"], "does not take this request"),
        ("MODEL_NOT_FOUND", 5, [], "no longer on offer"),
        ("MODEL_UNAVAILABLE", 9, [], "switched this model off"),
        ("TOO_MANY_ACTIVE_JOBS", 8, [], "already have 2 pictures"),
        ("STORAGE_QUOTA_EXCEEDED", 8, [], "no room for new pictures"),
        ("INTERNAL", 13, [], "went wrong on my side"),
    ],
    ids=["picture", "prompt", "option", "other", "model", "off", "too many", "room", "internal"],
)
async def test_a_refusal_is_told_in_words_and_can_be_mended(
    chat: Chat, reason: str, code: int, fields: list[str], words: str
) -> None:
    await chat.say("make it red", files={"photo": ("cat.png", picture(), "image/png")})
    chat.service.generation.refuse_with(reason, code=code, fields=fields, limit="2")
    await chat.press("Generate")
    assert words in await chat.last_text()
    assert await chat.labels()
    assert "Must be otherwise" not in await chat.last_text()


async def test_a_blocked_user_who_sends_a_picture_is_told_so(chat: Chat) -> None:
    code = grpc.StatusCode.FAILED_PRECONDITION
    chat.service.generation.upload_refusal = Refusal(code, "OWNER_BLOCKED")
    await chat.say("make it red", files={"photo": ("cat.png", picture(), "image/png")})
    assert "Your account is blocked" in await chat.last_text()


async def test_a_draft_whose_job_is_long_gone_makes_another_at_the_next_press(chat: Chat) -> None:
    await chat.say("make it red", files={"photo": ("cat.png", picture(), "image/png")})
    before = chat.session
    chat.service.generation.refuse_with("JOB_EXPIRED", code=9)
    await chat.press("Generate")
    assert "no longer have this picture" in await chat.last_text()
    chat.service.generation.refusal = None
    await chat.press("Generate")
    assert only_request(chat).request_id.encode() not in before


async def test_again_makes_a_new_job_with_a_message_of_its_own(chat: Chat) -> None:
    done = finished_job(chat, aspect_ratio="16:9", seed=7)
    before = len(await chat.from_bot())
    await chat.press_data(f"a:{done.id}", message_id=(await chat.last())["message_id"])
    await chat.repeat()
    assert len(await chat.from_bot()) == before + 1
    request = only_request(chat)
    assert inputs(request) == {"prompt": "a cat", "aspect_ratio": "16:9", "seed": 7.0}
    assert request.telegram.message_id == (await chat.last())["message_id"]


async def test_change_goes_back_to_the_confirmation(chat: Chat) -> None:
    done = finished_job(chat, model_id="qwen/image-edit", image="upload:1", num_images="2", seed=7)
    await chat.press_data(f"h:{done.id}", message_id=(await chat.last())["message_id"])
    assert "Number of pictures: 2 pictures" in await chat.last_text()
    await chat.press("Generate")
    assert inputs(only_request(chat))["image"] == "upload:1"


async def test_another_photo_after_change_brings_its_own_shape(chat: Chat) -> None:
    await chat.say("red", files={"photo": ("cat.png", picture(600, 1067), "image/png")})
    await chat.press("Generate")
    (made,) = chat.service.generation.jobs.values()
    await chat.press_data(f"h:{made.id}", message_id=(await chat.last())["message_id"])
    assert "Portrait 9:16" in await chat.last_text()
    await chat.say(files={"photo": ("cat.png", picture(1067, 600), "image/png")})
    await chat.press("Generate")
    shapes = [inputs(each)["image_size"] for each in chat.service.generation.requests.values()]
    assert shapes == ["portrait_16_9", "landscape_16_9"]


async def test_a_text_for_which_all_models_are_off_is_told_so_and_kept(chat: Chat) -> None:
    chat.service.generation.models = switched_off(MODEL_KIND_TEXT_TO_IMAGE).models
    chat.context.catalog.expire()
    await chat.say("a cat")
    assert "None of the models for this is available" in await chat.last_text()
    assert await chat.labels() == ["✖️ Cancel"]
    chat.service.generation.models = catalog().models
    chat.context.catalog.expire()
    await chat.say("a dog")
    assert "a dog" in await chat.last_text()
    assert "✨ Generate" in await chat.labels()


async def test_an_old_button_for_which_all_models_are_off_says_so(chat: Chat) -> None:
    welcome = await chat.last()
    chat.service.generation.models = switched_off(MODEL_KIND_TEXT_TO_IMAGE).models
    chat.context.catalog.expire()
    await chat.press("Create a picture", message=welcome)
    assert "None of the models for this is available" in await chat.last_text()


async def test_the_original_comes_as_a_file(chat: Chat) -> None:
    done = finished_job(chat)
    await chat.press_data(f"f:{done.id}", message_id=(await chat.last())["message_id"])
    assert (await chat.last())["document"]["file_name"] == "Z-Image.png"


async def test_all_pictures_come_as_an_album(chat: Chat) -> None:
    done = finished_job(chat, pictures=3)
    before = len(await chat.from_bot())
    await chat.press_data(f"A:{done.id}", message_id=(await chat.last())["message_id"])
    sent = (await chat.from_bot())[before:]
    assert len(sent) == 3
    assert len({message["media_group_id"] for message in sent}) == 1


async def test_a_job_of_somebody_else_is_not_there(chat: Chat) -> None:
    done = finished_job(chat)
    done.owner = "telegram:8"
    await chat.press_data(f"a:{done.id}", message_id=(await chat.last())["message_id"])
    assert "no longer have this picture" in await chat.last_text()
    assert not chat.service.generation.requests


async def test_a_queued_job_is_cancelled_at_once_and_a_running_one_after_a_question(
    chat: Chat,
) -> None:
    queued = chat.service.generation.put(job(job_pb2.JOB_STATE_QUEUED))
    message_id = (await chat.last())["message_id"]
    await chat.press_data(f"k:{queued.id}", message_id=message_id)
    assert queued.state == job_pb2.JOB_STATE_CANCELLED
    running = chat.service.generation.put(job())
    await chat.press_data(f"k:{running.id}", message_id=message_id)
    assert "cannot be stopped" in await chat.last_text()
    await chat.press("Keep waiting")
    assert "is drawing" in await chat.last_text()
    await chat.press("Cancel")
    await chat.press("Yes, cancel")
    assert running.state == job_pb2.JOB_STATE_CANCELLED
    assert "Cancelled" in await chat.last_text()


async def test_a_picture_that_took_the_message_is_left_alone(chat: Chat) -> None:
    running = chat.service.generation.put(job())
    sent = await chat.telegram.result(
        "sendPhoto", chat_id=USER, photo="attach://p", files={"p": picture()}
    )
    await chat.press_data(f"j:{running.id}", message_id=sent["message_id"])
    assert "photo" in await chat.last()


@pytest.mark.parametrize("data", ["zz", "g", "from:an:older:release"], ids=repr)
async def test_an_unknown_button_offers_a_way_on(chat: Chat, data: str) -> None:
    await chat.press_data(data, message_id=(await chat.last())["message_id"])
    assert "no longer works" in await chat.last_text()
    assert len(await chat.from_bot()) == 2


async def test_a_press_answered_too_late_still_counts() -> None:
    async with chatting(answer_timeout_s=0) as chat:
        await chat.press("Change my picture")
        assert "Send me the picture" in await chat.last_text()


async def test_a_user_who_blocked_the_bot_is_left_in_peace(chat: Chat) -> None:
    await chat.telegram.say(USER, "a cat")
    await chat.telegram.http.post(f"/sandbox/chats/{USER}/block")
    before = len(await chat.from_bot())
    await chat.pump()
    assert len(await chat.from_bot()) == before


async def test_a_session_of_release_0_1_is_read(chat: Chat) -> None:
    stored = chat.service.edge.sessions[f"chat:{USER}"]
    stored.data = (
        b'{"draft":{"id":"1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed","kind":1,"model_id":"z-image",'
        b'"prompt":"a cat"},"replies":{"message:7:1":2}}'
    )
    await chat.press_data("g:1b9d6bcd", message_id=(await chat.last())["message_id"])
    assert inputs(only_request(chat))["prompt"] == "a cat"


async def test_a_session_from_another_release_is_begun_anew(chat: Chat) -> None:
    stored = chat.service.edge.sessions[f"chat:{USER}"]
    stored.data = b'{"version": 99, "draft": "?"}'
    await chat.say("a cat")
    assert "Shall I draw it?" in await chat.last_text()


async def test_the_wizard_goes_on_in_another_process(chat: Chat) -> None:
    await chat.press("Create a picture")
    await chat.press("Qwen Image")
    async with chatting() as other:
        other.service.edge.sessions |= chat.service.edge.sessions
        await other.say("a cat")
        assert "Qwen Image" in await other.last_text()


@pytest.mark.parametrize("command", ["/models", "/help", "/unknown", "/models@atelier_bot"])
async def test_commands_are_answered_once(chat: Chat, command: str) -> None:
    before = len(await chat.from_bot())
    await chat.say(command)
    await chat.repeat()
    assert len(await chat.from_bot()) == before + 1
