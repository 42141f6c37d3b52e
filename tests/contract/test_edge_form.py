"""Users who ask for models that need more than a prompt and a picture."""

import json
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict

from atelier.generation.v1 import job_pb2, media_pb2, model_pb2
from atelier.generation.v1.consent_pb2 import CONSENT_KIND_FACE, CONSENT_KIND_VOICE
from atelier.generation.v1.media_pb2 import Media
from edge_bot.view.model_field import purpose_of
from edge_bot.view.purpose import Purpose
from generation_svc.catalog.load import load_catalog
from generation_svc.rpc.convert_model import model_to_proto
from tests.contract.edge_chat import Chat, buttons, chatting
from tests.contract.edge_job import CLIP, Refusal
from tests.edge_model import USER, job
from tests.integration.sandbox_telegram import picture

MOST_ROWS = 8
DIALOGUE = "elevenlabs/text-to-dialogue-v3"
SHOTS = "kling-3.0/video"
MEASURED = "topaz/video-upscale"


@cache
def all_models() -> tuple[model_pb2.Model, ...]:
    models = load_catalog().models.values()
    return tuple(model_to_proto(each) for each in models if each.withdrawn is None)


@pytest.fixture
async def chat() -> AsyncIterator[Chat]:
    async with large_chat() as chat:
        yield chat


def large_chat(language: str = "en") -> Any:
    return chatting(language=language, models=all_models())


async def pressed(chat: Chat, *labels: str) -> None:
    for label in labels:
        await chat.press(label)


async def choose(chat: Chat, model_id: str) -> None:
    """Begin with a model, as its button does."""
    await chat.say("/start")
    await chat.press_data(f"m::{model_id}", message_id=(await chat.last())["message_id"])


async def pick(chat: Chat, model_id: str) -> None:
    """Choose a model for the current draft, whichever page or family shows it."""
    shown = await chat.last()
    tag = next(data.split(":")[1] for _, data in buttons(shown) if data[0] in "mF")
    assert tag
    await chat.press_data(f"m:{tag}:{model_id}", message_id=shown["message_id"])


async def settings(chat: Chat) -> set[str]:
    """Return what all settings are about, turning the pages until the first comes again."""
    found: set[str] = set()
    for _ in range(10):
        labels = [label for label in await chat.labels() if ":" in label]
        found |= {label.partition(":")[0] for label in labels}
        await chat.press("▶")
    return found


async def find_setting(chat: Chat, label: str) -> None:
    """Press a setting, on whatever page it is."""
    for _ in range(10):
        if any(label in each for each in await chat.labels()):
            break
        await chat.press("▶")
    await chat.press(label)


def inputs(chat: Chat) -> dict[str, Any]:
    (request,) = chat.service.generation.requests.values()
    found: dict[str, Any] = MessageToDict(request.inputs)
    return found


def made(chat: Chat, model_id: str, *media: Media, number: int = 900, **given: Any) -> job_pb2.Job:
    """Have a job that was done before."""
    done = job(job_pb2.JOB_STATE_SUCCEEDED, model_id=model_id, **given)
    done.id = f"01990000-0000-7000-8000-{number:012}"
    done.result.media.extend(media)
    return chat.service.generation.put(done)


def song(number: int, title: str) -> Media:
    return Media(
        id=f"01990000-0000-7000-8000-0000000{number:05}",
        mime_type="audio/mpeg",
        kind=media_pb2.MEDIA_KIND_AUDIO,
        title=title,
        size_bytes=1000,
    )


async def test_every_model_is_found_by_purpose_in_pages_of_eight_rows(chat: Chat) -> None:
    found: set[str] = set()
    seen: set[str] = set()
    start = await chat.last()
    waiting = [(start["message_id"], data) for _, data in buttons(start)]
    while waiting:
        message_id, data = waiting.pop()
        if data in seen or data[0] not in "GPlF":
            found |= {data.split(":", 2)[2]} if data[0] == "m" else set()
            continue
        seen.add(data)
        await chat.press_data(data, message_id=message_id)
        shown = await chat.message(message_id)
        assert len(shown["reply_markup"]["inline_keyboard"]) <= MOST_ROWS
        waiting += [(message_id, each) for _, each in buttons(shown)]
    assert found == {each.id for each in all_models()}


@pytest.mark.parametrize(
    ("words", "title"),
    [("kling 3.0", "Kling 3.0"), ("музыка", "Suno"), ("lyrics", "Suno"), ("eleven", "Eleven")],
)
async def test_a_word_finds_models(chat: Chat, words: str, title: str) -> None:
    await chat.say(words)
    assert any(title in label for label in await chat.labels()), await chat.labels()


async def test_a_description_is_still_one_press_from_a_picture(chat: Chat) -> None:
    await chat.say("a cat on a red sofa")
    await chat.press("Generate")
    assert inputs(chat)["prompt"] == "a cat on a red sofa"


async def test_a_text_at_a_shelf_is_for_what_the_shelf_is_for(chat: Chat) -> None:
    shown = (await chat.last())["message_id"]
    await chat.press_data(f"P::{int(Purpose.TEXT_TO_VIDEO)}", message_id=shown)
    await chat.say("a boat leaves the pier at dawn")
    draft = json.loads(chat.service.edge.sessions[f"chat:{USER}"].data)["draft"]
    assert draft["inputs"]["prompt"] == "a boat leaves the pier at dawn"
    (chosen,) = (each for each in all_models() if each.id == draft["model_id"])
    assert purpose_of(chosen) is Purpose.TEXT_TO_VIDEO


async def test_after_a_fresh_start_a_text_is_what_to_draw(chat: Chat) -> None:
    shown = (await chat.last())["message_id"]
    await chat.press_data(f"P::{int(Purpose.TEXT_TO_VIDEO)}", message_id=shown)
    await chat.say("/start")
    await chat.say("a boat leaves the pier at dawn")
    await chat.press("Generate")
    assert inputs(chat)["prompt"] == "a boat leaves the pier at dawn"


async def test_a_word_can_be_what_to_draw(chat: Chat) -> None:
    await chat.say("music")
    await pressed(chat, "Draw “music”", "Generate")
    assert inputs(chat)["prompt"] == "music"


async def test_a_dialogue_is_written_line_by_line(chat: Chat) -> None:
    await choose(chat, DIALOGUE)
    for number in (1, 2, 3):
        assert f"{number} of at most" in await chat.last_text()
        await chat.say(f"line {number}")
        assert "Voice" in await chat.last_text()
        await chat.press("")
        if number < 3:
            await chat.press("Add another")
    assert "1. line 1" in await chat.last_text()
    await pressed(chat, "Done", "Create")
    lines = inputs(chat)["dialogue"]
    assert [each["text"] for each in lines] == ["line 1", "line 2", "line 3"]
    assert all(each["voice"] for each in lines)


async def shots(chat: Chat, *texts: str) -> None:
    """Describe the shots of a film, five seconds each, up to the list of them."""
    await choose(chat, SHOTS)
    await chat.press("Yes")
    for number, text in enumerate(texts, start=1):
        await chat.say(text)
        await chat.say("5")
        if number < len(texts):
            await chat.press("Add another")


async def test_any_shot_is_changed_or_removed(chat: Chat) -> None:
    await shots(chat, "A door opens", "A safe", "A car drives off")
    await chat.press("2. A safe")
    assert "2 of 3" in await chat.last_text()
    assert "Remove this one" in "".join(await chat.labels())
    await pressed(chat, "Description")
    await chat.say("A safe is opened")
    assert "2. A safe is opened" in await chat.last_text()
    await pressed(chat, "1. A door opens", "Remove this one")
    assert "1. A safe is opened" in await chat.last_text()
    await pressed(chat, "2. A car", "Add another")
    assert "3 of at most 5" in await chat.last_text()
    await chat.say("The end")
    await chat.say("3")
    await pressed(chat, "Done", "Create")
    assert inputs(chat)["multi_prompt"] == [
        {"prompt": "A safe is opened", "duration": 5},
        {"prompt": "A car drives off", "duration": 5},
        {"prompt": "The end", "duration": 3},
    ]


async def test_without_its_only_item_a_list_is_asked_for_again(chat: Chat) -> None:
    await shots(chat, "A door opens")
    await pressed(chat, "1. A door opens", "Remove this one")
    assert "1 of at most 5" in await chat.last_text()
    await chat.say("A window")
    await chat.say("7")
    await pressed(chat, "Done", "Create")
    assert inputs(chat)["multi_prompt"] == [{"prompt": "A window", "duration": 7}]


async def test_many_lines_are_shown_in_pages(chat: Chat) -> None:
    await choose(chat, DIALOGUE)
    for number in range(1, 9):
        await chat.say(f"line {number} " + "and so on " * 15)
        await chat.press("")
        shown = await chat.last()
        assert len(shown["reply_markup"]["inline_keyboard"]) <= MOST_ROWS
        if number < 8:
            await chat.press("Add another")
    assert "7. line 7" in await chat.last_text()
    assert "1. line 1" not in await chat.last_text()
    await pressed(chat, "▶", "3. line 3", "Remove this one")
    await chat.press("◀")
    assert "3. line 4" in await chat.last_text()
    await pressed(chat, "Done", "Create")
    lines = [each["text"].split(" and")[0] for each in inputs(chat)["dialogue"]]
    assert lines == [f"line {number}" for number in (1, 2, 4, 5, 6, 7, 8)]


async def test_shots_are_a_list_with_numbers_that_are_checked(chat: Chat) -> None:
    await choose(chat, SHOTS)
    assert "Several shots" in await chat.last_text()
    await chat.press("Yes")
    await chat.say("A door opens")
    await chat.say("thirteen")
    assert "from 1 to 12" in await chat.last_text()
    await chat.say("13")
    assert "from 1 to 12" in await chat.last_text()
    await chat.say("5")
    await chat.press("Add another")
    await chat.say("A safe")
    await chat.say("4")
    await pressed(chat, "Done", "Create")
    given = inputs(chat)
    assert given["multi_shots"] is True
    assert "prompt" not in given
    assert given["multi_prompt"] == [
        {"prompt": "A door opens", "duration": 5},
        {"prompt": "A safe", "duration": 4},
    ]


async def test_one_scene_is_asked_for_without_shots(chat: Chat) -> None:
    await choose(chat, SHOTS)
    await chat.press("No")
    await chat.say("A heist at night")
    await chat.press("Create")
    given = inputs(chat)
    assert given["multi_shots"] is False
    assert given["prompt"] == "A heist at night"
    assert "multi_prompt" not in given


async def test_a_free_model_has_all_its_settings_behind_its_dialogue(chat: Chat) -> None:
    await choose(chat, "qwen/text-to-image")
    await chat.say("A harbour in fog")
    await chat.press("All settings")
    await find_setting(chat, "What to avoid")
    await chat.say("ships")
    assert "What to avoid: ships" in await chat.last_text()
    await chat.press("Create")
    given = inputs(chat)
    assert given["prompt"] == "A harbour in fog"
    assert given["negative_prompt"] == "ships"


async def test_a_picture_comes_along_to_all_settings(chat: Chat) -> None:
    await choose(chat, "qwen/image-edit")
    await chat.say(files={"photo": ("one.png", picture(64, 64), "image/png")})
    await chat.say("Make it night")
    await pressed(chat, "All settings", "Back")
    assert "Make it night" in await chat.last_text()
    await chat.press("Create")
    assert inputs(chat)["image"].startswith("upload:")


async def test_what_only_the_form_of_a_free_model_asks_is_kept_by_a_change(chat: Chat) -> None:
    done = made(chat, "qwen/text-to-image", prompt="fog", negative_prompt="ships")
    await chat.press_data(f"h:{done.id}", message_id=(await chat.last())["message_id"])
    assert "What to avoid: ships" in await chat.last_text()


async def test_a_free_model_without_more_to_set_has_no_way_to_it(chat: Chat) -> None:
    await choose(chat, "z-image")
    await chat.say("A harbour in fog")
    assert "⚙️ All settings" not in await chat.labels()


async def test_a_song_of_an_earlier_job_names_its_job_too(chat: Chat) -> None:
    done = made(chat, "ai-music-api/generate", song(1, "Rain"), song(2, "Rain again"))
    await choose(chat, "ai-music-api/separate-vocals")
    assert "What do you begin with?" in await chat.last_text()
    first, _ = (await chat.labels())[:2]
    await chat.press(first)
    await chat.press("One of my results")
    await chat.press("Rain again")
    await chat.press("Create")
    assert inputs(chat)["song"] == f"job:{done.id}/2"
    assert inputs(chat)["task"] == f"job:{done.id}"


async def test_a_song_without_own_lyrics_is_asked_for_its_theme(chat: Chat) -> None:
    await choose(chat, "ai-music-api/generate")
    assert "Own lyrics" in await chat.last_text()
    await pressed(chat, "No", "No")
    assert "Theme" in await chat.last_text()
    await chat.say("the last evening of summer")
    assert (await chat.labels())[0].startswith("Style")
    assert not any("Lyrics" in each for each in await chat.labels())
    await chat.say("folk")
    await chat.press("Create")
    assert inputs(chat) == {
        "custom_mode": False,
        "instrumental": False,
        "prompt": "the last evening of summer",
        "style": "folk",
    }


async def test_own_lyrics_are_asked_for_and_no_theme(chat: Chat) -> None:
    await choose(chat, "ai-music-api/generate")
    await pressed(chat, "Yes", "No")
    assert "Title" in await chat.last_text()
    await chat.say("Summer")
    assert any("Lyrics" in each for each in await chat.labels())


async def test_the_other_branch_asks_for_a_file(chat: Chat) -> None:
    await choose(chat, "ai-music-api/separate-vocals")
    await chat.press((await chat.labels())[1])
    assert "Send a recording" in await chat.last_text()
    await chat.say("https://example.org/song.mp3")
    await chat.press("Create")
    assert inputs(chat)["audio"] == "https://example.org/song.mp3"
    assert not {"song", "task"} & inputs(chat).keys()


async def test_two_photos_become_the_first_and_the_last_frame(chat: Chat) -> None:
    await choose(chat, "bytedance/seedance-2")
    await chat.press("First frame")
    await chat.say(files={"photo": ("one.png", picture(64, 64), "image/png")})
    await chat.say(files={"photo": ("two.png", picture(64, 96), "image/png")})
    await chat.press("Create")
    first, last = chat.service.generation.uploads
    assert inputs(chat)["first_frame"] == f"upload:{first}"
    assert inputs(chat)["last_frame"] == f"upload:{last}"


async def test_an_earlier_picture_is_enlarged(chat: Chat) -> None:
    one = Media(
        id="01990000-0000-7000-8000-000000000777",
        mime_type="image/png",
        kind=media_pb2.MEDIA_KIND_IMAGE,
        size_bytes=1000,
    )
    made(chat, "z-image", one)
    await choose(chat, "topaz/image-upscale")
    await chat.press("One of my results")
    await chat.press("a cat")
    await chat.press("Create")
    assert inputs(chat)["image"] == f"media:{one.id}"


@pytest.mark.parametrize("state", [job_pb2.JOB_STATE_CANCELLED, job_pb2.JOB_STATE_FAILED])
async def test_what_was_finished_after_all_is_among_the_results(
    chat: Chat, state: job_pb2.JobState.ValueType
) -> None:
    done = made(chat, "z-image")
    done.state = state
    done.ClearField("result")
    await choose(chat, "topaz/image-upscale")
    await chat.press("One of my results")
    assert "There is nothing yet" in await chat.last_text()
    await chat.press("Back")
    one = done.kept_result.media.add(
        id="01990000-0000-7000-8000-000000000777", mime_type="image/png", size_bytes=1000
    )
    one.kind = media_pb2.MEDIA_KIND_IMAGE
    await chat.press("One of my results")
    await chat.press("a cat")
    await chat.press("Create")
    assert inputs(chat)["image"] == f"media:{one.id}"


async def test_a_reply_to_a_result_answers_the_question(chat: Chat) -> None:
    data = picture(64, 64)
    one = Media(id="media-1", mime_type="image/png", width=64, height=64, size_bytes=len(data))
    chat.service.generation.media[one.id] = (one, data)
    done = made(chat, "z-image", one)
    await chat.press_data(f"A:{done.id}", message_id=(await chat.last())["message_id"])
    result = await chat.last()
    await choose(chat, "topaz/image-upscale")
    await chat.say("this one", reply_to_message_id=result["message_id"])
    await chat.press("Create")
    assert inputs(chat)["image"] == "media:media-1"


async def test_an_answer_that_the_service_refuses_is_asked_for_again(chat: Chat) -> None:
    await choose(chat, "bytedance/seedance-2")
    await chat.press("What happens")
    await chat.say("waves")
    chat.service.generation.refuse_with("INVALID_INPUTS", code=3, fields=["duration"])
    await chat.press("Create")
    shown = await chat.last_text()
    assert "this does not fit" in shown
    assert "<b>" not in shown
    chat.service.generation.refusal = None


async def test_a_field_that_another_answer_forbids_is_not_offered(chat: Chat) -> None:
    await choose(chat, "ai-music-api/extend")
    made(chat, "ai-music-api/generate", song(1, "Rain"))
    await pressed(chat, "One of my results", "Rain", "All settings")
    assert "Lyrics" in await settings(chat)
    await find_setting(chat, "Without singing")
    await pressed(chat, "Yes", "All settings")
    assert "Lyrics" not in await settings(chat)


async def test_a_form_goes_on_after_a_restart(chat: Chat) -> None:
    await choose(chat, SHOTS)
    await chat.press("Yes")
    await chat.repeat()
    assert "1 of at most" in await chat.last_text()
    chat.context.catalog.expire()
    await chat.say("A door opens")
    assert "Length" in await chat.last_text()


async def test_a_russian_is_asked_in_russian() -> None:
    async with large_chat(language="ru") as chat:
        await chat.say("Eleven Dialogue")
        await choose(chat, DIALOGUE)
        assert "Реплики: № 1, всего до 100" in await chat.last_text()
        assert "Напишите одним сообщением." in await chat.last_text()


async def test_an_old_draft_still_opens(chat: Chat) -> None:
    await chat.say("a cat on a red sofa")
    stored = chat.service.edge.sessions[f"chat:{USER}"]
    assert b"inputs" not in stored.data
    await chat.press("Generate")
    assert inputs(chat)["prompt"] == "a cat on a red sofa"


async def test_a_photo_comes_along_to_the_model_that_is_chosen_for_it(chat: Chat) -> None:
    await chat.say(files={"photo": ("one.png", picture(64, 64), "image/png")})
    await pressed(chat, "Bring a picture to life", "All models")
    await pick(chat, "hailuo/02-image-to-video-pro")
    await chat.say("it snows")
    await chat.press("Create")
    (upload,) = chat.service.generation.uploads
    assert inputs(chat)["image"] == f"upload:{upload}"
    assert inputs(chat)["prompt"] == "it snows"


@pytest.mark.parametrize(
    ("file", "says", "ways"),
    [
        (("clip.mp4", b"a film", "video/mp4"), "a video", ["Change a video", "Animate a picture"]),
        (("song.mp3", b"a song", "audio/mpeg"), "a recording", ["Music", "Speech and sound"]),
    ],
    ids=["video", "recording"],
)
async def test_a_clip_that_nothing_asked_for_gets_what_it_is_good_for(
    chat: Chat, file: tuple[str, bytes, str], says: str, ways: list[str]
) -> None:
    await chat.say(files={"document": file})
    assert f"I work on {says} once" in await chat.last_text()
    assert not await chat.telegram.calls("getFile")
    labels = await chat.labels()
    assert [each.split(maxsplit=1)[1] for each in labels] == [*ways, "Start over"]
    await chat.press(ways[0])
    assert len(await chat.labels()) > 2


async def test_a_video_is_taken_where_one_is_asked_for(chat: Chat) -> None:
    clip = {"document": ("clip.mp4", CLIP + bytes(500), "video/mp4")}
    await chat.say(files=clip)
    assert "Then send it again" in await chat.last_text()
    await choose(chat, "topaz/video-upscale")
    await chat.say(files=clip)
    await chat.press("Create")
    (upload,) = chat.service.generation.uploads
    assert inputs(chat)["video"] == f"upload:{upload}"


async def test_a_file_of_another_kind_is_told_what_would_do(chat: Chat) -> None:
    await choose(chat, MEASURED)
    await chat.say(files={"document": ("notes.pdf", b"%PDF-", "application/pdf")})
    assert "Send a video. Files may be MP4, MOV" in await chat.last_text()
    assert "JPEG" not in await chat.last_text()
    await choose(chat, "topaz/image-upscale")
    await chat.say(files={"document": ("notes.pdf", b"%PDF-", "application/pdf")})
    assert "Files may be JPEG, PNG, WebP, HEIC." in await chat.last_text()
    assert not chat.service.generation.uploads


async def test_an_unreadable_file_is_told_what_would_do(chat: Chat) -> None:
    chat.service.generation.is_picture = False
    await choose(chat, MEASURED)
    await chat.say(files={"document": ("clip.mp4", b"no video", "video/mp4")})
    assert "I cannot use this file. Send a video." in await chat.last_text()
    await choose(chat, "topaz/image-upscale")
    await chat.say(files={"document": ("cat.heic", b"no picture", "image/heic")})
    assert "I cannot use this file. Send a photo" in await chat.last_text()


async def test_words_in_reply_to_a_picture_change_it(chat: Chat) -> None:
    data = picture(64, 64)
    one = Media(id="media-1", mime_type="image/png", width=64, height=64, size_bytes=len(data))
    chat.service.generation.media[one.id] = (one, data)
    done = made(chat, "z-image", one)
    await chat.press_data(f"A:{done.id}", message_id=(await chat.last())["message_id"])
    result = await chat.last()
    await chat.say("add a hat", reply_to_message_id=result["message_id"])
    await chat.press("Generate")
    assert inputs(chat)["image"] == "media:media-1"
    assert inputs(chat)["prompt"] == "add a hat"


async def test_the_words_come_along_to_another_model(chat: Chat) -> None:
    await choose(chat, "bytedance/seedance-2")
    await chat.press("What happens")
    await chat.say("waves")
    await pressed(chat, "Other model", "All models")
    await pick(chat, "bytedance/seedance-2-5")
    await chat.press("Create")
    assert inputs(chat)["prompt"] == "waves"


def large_clip() -> dict[str, Any]:
    return {"document": ("clip.mp4", CLIP + bytes(20_000_001), "video/mp4")}


async def ready(chat: Chat) -> None:
    """Fill in a form up to its review."""
    await choose(chat, "bytedance/seedance-2")
    await chat.press("What happens")
    await chat.say("waves")


@pytest.mark.parametrize(
    ("price", "said"),
    [
        (job_pb2.Price(credits="12"), "12 credits"),
        (job_pb2.Price(credits="1", is_ceiling=True), "At most 1 credit"),
        (job_pb2.Price(is_free=True, credits="0"), "Free"),
    ],
)
async def test_the_review_says_what_it_costs_and_how_long_it_takes(
    chat: Chat, price: job_pb2.Price, said: str
) -> None:
    chat.service.generation.quote.price.CopyFrom(price)
    chat.service.generation.quote.usual_duration.FromSeconds(90)
    await ready(chat)
    shown = (await chat.last_text()).splitlines()
    assert said in shown
    assert "It usually takes about 90 seconds." in shown
    (asked,) = chat.service.generation.quotes
    assert (asked.owner, asked.language_code) == (f"telegram:{USER}", "en")
    await chat.press("Create")
    (made,) = chat.service.generation.requests.values()
    assert asked.inputs == made.inputs


async def test_another_answer_is_quoted_anew(chat: Chat) -> None:
    await ready(chat)
    chat.service.generation.quote.price.credits = "99"
    await chat.say("higher waves")
    assert "99 credits" in await chat.last_text()


async def test_what_the_quote_refuses_is_asked_for_again(chat: Chat) -> None:
    refusal = Refusal(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUTS", ("duration",))
    chat.service.generation.quote_refusal = refusal
    await ready(chat)
    assert "this does not fit" in await chat.last_text()
    chat.service.generation.quote_refusal = None
    await chat.say("5")
    assert "12 credits" in await chat.last_text()
    await chat.press("Create")
    assert inputs(chat)["duration"] == 5


async def test_a_model_without_a_price_says_so(chat: Chat) -> None:
    refusal = Refusal(grpc.StatusCode.FAILED_PRECONDITION, "PRICE_UNKNOWN")
    chat.service.generation.quote_refusal = refusal
    await ready(chat)
    assert "I cannot tell what this would cost" in await chat.last_text()


async def test_a_link_where_the_length_counts_leads_to_the_file(chat: Chat) -> None:
    refusal = Refusal(grpc.StatusCode.INVALID_ARGUMENT, "UPLOAD_REQUIRED", ("video",))
    await choose(chat, MEASURED)
    await chat.say(files={"document": ("clip.mp4", CLIP + bytes(500), "video/mp4")})
    chat.service.generation.refusal = refusal
    await chat.press("Create")
    assert "Please send the file itself." in await chat.last_text()
    chat.service.generation.refusal = None
    await chat.say(files={"document": ("other.mp4", CLIP + bytes(600), "video/mp4")})
    await chat.press("Create")
    _, last = chat.service.generation.uploads
    assert inputs(chat)["video"] == f"upload:{last}"


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (model_pb2.MODEL_STATE_SLOW, "slower than usual"),
        (model_pb2.MODEL_STATE_FAILING, "fails often"),
    ],
)
async def test_a_model_that_does_badly_says_so_before_it_begins(
    state: model_pb2.ModelState.ValueType, said: str
) -> None:
    model = model_pb2.Model()
    model.CopyFrom(next(each for each in all_models() if each.id == "bytedance/seedance-2"))
    model.state = state
    async with chatting(models=(model,)) as chat:
        await choose(chat, model.id)
        assert said in await chat.last_text()
        await chat.press("What happens")
        await chat.say("waves")
        assert said in await chat.last_text()


async def test_consent_is_asked_once_and_nothing_is_lost(chat: Chat) -> None:
    chat.service.generation.quote.missing_consent = CONSENT_KIND_FACE
    await ready(chat)
    assert "This model copies a person’s face." in await chat.last_text()
    await chat.press("I agree")
    (consent,) = chat.service.generation.consents
    assert (consent.owner, consent.kind) == (f"telegram:{USER}", CONSENT_KIND_FACE)
    assert consent.wording_version
    assert "12 credits" in await chat.last_text()
    await chat.press("Create")
    assert inputs(chat)["prompt"] == "waves"


async def test_a_job_that_needs_consent_leads_to_the_question(chat: Chat) -> None:
    await ready(chat)
    chat.service.generation.refuse_with("CONSENT_REQUIRED", code=9, kind="voice")
    await chat.press("Create")
    assert "This model copies a person’s voice." in await chat.last_text()
    chat.service.generation.refusal = None
    await pressed(chat, "I agree", "Create")
    assert [each.kind for each in chat.service.generation.consents] == [CONSENT_KIND_VOICE]
    assert inputs(chat)["prompt"] == "waves"


async def test_a_large_file_is_sent_on_a_page(chat: Chat) -> None:
    chat.service.edge.has_links = True
    await choose(chat, MEASURED)
    await chat.say(files=large_clip())
    rows = (await chat.last())["reply_markup"]["inline_keyboard"]
    assert rows[0][0]["url"] == "https://files.example/upload/0"
    await chat.press("I have sent it")
    assert "The file is not here yet" in await chat.last_text()
    (link,) = chat.service.edge.links.values()
    assert list(link.kinds) == [media_pb2.MEDIA_KIND_VIDEO]
    link.upload.id = link.upload_id
    await chat.press("I have sent it")
    await chat.repeat()
    await chat.press("Create")
    assert inputs(chat)["video"] == f"upload:{link.upload_id}"
    assert len(chat.service.edge.links) == 1


async def test_without_links_a_large_file_is_too_large(chat: Chat) -> None:
    await choose(chat, MEASURED)
    await chat.say(files=large_clip())
    assert "at most 20 MB" in await chat.last_text()
    assert "I have sent it" not in "".join(await chat.labels())


async def test_the_list_of_models_is_fetched_only_when_it_changed(chat: Chat) -> None:
    chat.service.generation.version = "one"
    chat.context.catalog.expire()
    await chat.say("/start")
    before = await chat.context.catalog.get()
    chat.context.catalog.expire()
    asked = len(chat.service.generation.lists)
    assert await chat.context.catalog.get() is before
    (again,) = chat.service.generation.lists[asked:]
    assert again.if_catalog_version == "one"
    chat.service.generation.version = "two"
    chat.context.catalog.expire()
    assert await chat.context.catalog.get() is not before
