"""Results of every shape of the sandbox KIE, from createTask to the fetched and decoded file."""

import json
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import av
import pytest
import pytest_asyncio
from PIL import Image, ImageChops

from sandbox.kie.film import Film, frames_of, shot
from sandbox.kie.sound import decoded, music, seconds_of
from tests.integration.kie_entry import add_models
from tests.integration.sandbox_kie import (
    Json,
    Receiver,
    SandboxKie,
    callback_receiver,
    picture,
    sandbox_kie,
)

UNIFIED = {"creditsConsumed", "operationType", "response", "successFlag", "paramJson"}


@pytest_asyncio.fixture(scope="module")
async def kie() -> AsyncIterator[SandboxKie]:
    async with sandbox_kie() as running:
        await add_models(running)
        yield running


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with callback_receiver() as running:
        yield running


async def record(kie: SandboxKie, model: str, **fields: Any) -> Json:
    data = await kie.ended(await kie.task(model, **fields))
    assert data["state"] == "success", data
    assert set(data) >= UNIFIED
    assert data["response"] == json.loads(data["resultJson"])
    return data


async def fetched(kie: SandboxKie, link: str) -> bytes:
    response = await kie.http.get(link)
    assert response.status_code == 200
    return response.content


async def film(kie: SandboxKie, **fields: Any) -> bytes:
    data = await record(kie, "new/film", **fields)
    (link,) = data["response"]["resultUrls"]
    return await fetched(kie, link)


async def test_a_video_is_h264_with_its_index_first_and_the_proportions_asked_for(
    kie: SandboxKie,
) -> None:
    content = await film(kie, prompt="fox", aspect_ratio="9:16")
    assert content.index(b"moov") < content.index(b"mdat")
    with av.open(BytesIO(content), "r") as container:
        (stream,) = container.streams.video
        assert not container.streams.audio
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        frames = [frame.to_image() for frame in container.decode(video=0)]  # type: ignore[no-untyped-call]
    width, height = frames[0].size
    assert abs(width / height - 9 / 16) < 0.02
    assert ImageChops.difference(frames[0], frames[-1]).getbbox(), "nothing moves"


async def test_a_video_has_sound_when_asked_and_costs_what_that_costs(kie: SandboxKie) -> None:
    data = await record(kie, "new/film", prompt="fox", sound=True, duration="10")
    content = await fetched(kie, data["response"]["resultUrls"][0])
    with av.open(BytesIO(content), "r") as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        assert 1 <= (container.duration or 0) / 1e6 <= 3.2
    assert data["creditsConsumed"] == 30
    assert json.loads(json.loads(data["param"])["input"])["duration"] == "10"
    assert (await record(kie, "new/film", prompt="fox"))["creditsConsumed"] == 10


async def test_the_first_and_the_last_frame_are_those_that_were_given(kie: SandboxKie) -> None:
    first = await kie.upload(picture(color="teal"), name="first.png")
    last = await kie.upload(picture(color="red"), name="last.png")
    content = await film(kie, prompt="fox", last_frame_url=last, first_frame_url=first)
    frames = frames_of(content, seconds=3)
    assert near(frames[0], (0, 128, 128))
    assert near(frames[-1], (255, 0, 0))
    assert not near(frames[len(frames) // 2], (0, 128, 128))


def near(frame: Image.Image, color: tuple[int, int, int]) -> bool:
    seen = frame.convert("RGB").getpixel((5, 5))
    assert isinstance(seen, tuple)
    return all(abs(one - other) < 30 for one, other in zip(seen, color, strict=True))


async def test_the_same_prompt_twice_makes_two_videos_unless_a_seed_is_kept(
    kie: SandboxKie,
) -> None:
    assert await film(kie, prompt="fox") != await film(kie, prompt="fox")
    one, other = [await film(kie, prompt="fox", seed=7) for _ in range(2)]
    assert frames_of(one, seconds=1)[0].tobytes() == frames_of(other, seconds=1)[0].tobytes()


async def test_a_given_video_comes_back_changed_and_is_paid_by_its_length(kie: SandboxKie) -> None:
    scenes = [Image.new("RGB", (320, 240), "teal")]
    given = shot(
        Film(
            prompt="",
            size=(320, 240),
            seconds=2.5,
            seed=1,
            scenes=scenes,
            sound=music(seconds=2.4, seed=1),
        )
    )
    link = await kie.upload(given, name="given.mp4")
    data = await record(kie, "new/retake", prompt="at night", video_url=link)
    content = await fetched(kie, data["response"]["resultUrls"][0])
    assert not near(frames_of(content, seconds=1)[0], (0, 128, 128))
    assert decoded(content, seconds=1), "the sound is lost"
    assert data["creditsConsumed"] == 12  # three seconds begun


async def test_pictures_are_changed_in_the_number_form_and_proportions_asked_for(
    kie: SandboxKie,
) -> None:
    links = [await kie.upload(picture(color=each), name=f"{each}.png") for each in ("teal", "red")]
    data = await record(
        kie, "new/picture", prompt="x", image_urls=links, num_images="3", aspect_ratio="3:1"
    )
    drawn = [await kie.picture(link) for link in data["response"]["resultUrls"]]
    assert [each.format for each in drawn] == ["JPEG"] * 3
    assert all(each.width == 3 * each.height for each in drawn)
    assert len({each.tobytes() for each in drawn}) == 3


async def test_an_upscale_is_larger_and_a_cut_out_transparent(kie: SandboxKie) -> None:
    link = await kie.upload(picture(size=(100, 50)), name="small.png")
    (larger,) = (await record(kie, "new/larger", image=link, upscale_factor="4"))["response"][
        "resultUrls"
    ]
    assert (await kie.picture(larger)).size == (400, 200)
    (cut,) = (await record(kie, "new/cut-out", image=link))["response"]["resultUrls"]
    assert (await kie.picture(cut)).getchannel("A").getextrema() == (0, 255)


async def test_layers_are_a_ground_and_pngs_and_cost_by_their_number(kie: SandboxKie) -> None:
    link = await kie.upload(picture(), name="whole.png")
    data = await record(kie, "new/layers", image_url=link)
    ground, *layers = [await kie.picture(each) for each in data["response"]["resultUrls"]]
    assert ground.mode == "RGB"
    assert {each.mode for each in layers} == {"RGBA"}
    assert data["creditsConsumed"] == 2 * (1 + len(layers))


async def test_speech_is_longer_for_a_longer_text(kie: SandboxKie) -> None:
    seconds = []
    for text in ("Good day.", "Good day to everybody who waits in the snow for the fox."):
        data = await record(kie, "new/speech", text=text)
        (link,) = data["response"]["resultUrls"]
        seconds.append(seconds_of(decoded(await fetched(kie, link), seconds=9)))
        assert data["creditsConsumed"] == round(6 * len(text) / 1000, 4)
    assert 0 < 2 * seconds[0] < seconds[1]


async def songs(kie: SandboxKie) -> tuple[str, list[Json]]:
    data = await record(kie, "new/songs", title="Snow", lyrics="la la")
    return data["taskId"], data["response"]["data"]


async def test_a_song_job_makes_two_with_title_cover_and_length(kie: SandboxKie) -> None:
    _, made = await songs(kie)
    assert len({each["id"] for each in made}) == len(made) == 2
    for each in made:
        content = await fetched(kie, each["audio_url"])
        assert seconds_of(decoded(content, seconds=9)) == pytest.approx(each["duration"], abs=0.2)
        assert (await kie.picture(each["image_url"])).format == "JPEG"
        assert (each["title"], each["prompt"]) == ("Snow", "la la")


async def test_songs_are_told_in_three_stages_of_which_the_last_has_both(
    kie: SandboxKie, receiver: Receiver
) -> None:
    await kie.change(model_duration_s={"new/songs": 0.3})
    task_id = await kie.task("new/songs", to=receiver, title="Snow")
    bodies = [each.body["data"] for each in await receiver.first(3)]
    await kie.change(model_duration_s={})
    assert [each["callbackType"] for each in bodies] == ["text", "first", "complete"]
    assert {each["task_id"] for each in bodies} == {task_id}
    heard = [[bool(song["audio_url"]) for song in each["data"]] for each in bodies]
    assert heard == [[False, False], [True], [True, True]]
    assert bodies[2]["data"] == (await kie.ended(task_id))["response"]["data"]


async def test_songs_that_fail_are_told_with_an_error(kie: SandboxKie, receiver: Receiver) -> None:
    await kie.arm("content_refused", match="new/songs", remaining=1)
    task_id = await kie.task("new/songs", to=receiver, title="Snow")
    (told,) = await receiver.first()
    assert told.body == {
        "code": 500,
        "data": {"callbackType": "error", "data": None, "task_id": task_id},
        "msg": "Inappropriate content, please try another prompt.",
    }


async def test_songs_can_be_told_once_like_any_other_task(
    kie: SandboxKie, receiver: Receiver
) -> None:
    await kie.change(song_callbacks="unified")
    task_id = await kie.task("new/songs", to=receiver, title="Snow")
    (told,) = await receiver.first()
    await kie.change(song_callbacks="staged")
    assert (told.body["code"], told.body["data"]["taskId"]) == (200, task_id)
    assert len(json.loads(told.body["data"]["resultJson"])["data"]) == 2


async def test_stems_are_files_with_ids_that_later_jobs_take(kie: SandboxKie) -> None:
    task_id, made = await songs(kie)
    data = await record(kie, "new/stems", task_id=task_id, audio_id=made[0]["id"])
    told = data["response"]
    names = [each["stem_type_group_name"] for each in told["origin_data"]]
    assert names == ["Vocals", "Instrumental"]
    sounds = {await fetched(kie, told[key]) for key in ("vocal_url", "instrumental_url")}
    assert len(sounds) == 2
    midi = await record(kie, "ai-music-api/generate-midi-from-audio", task_id=data["taskId"])
    for instrument in midi["response"]["resultObject"]["instruments"]:
        assert all(0 <= note["pitch"] <= 127 for note in instrument["notes"])
        assert all(note["start"] < note["end"] for note in instrument["notes"])


async def test_lyrics_come_as_drafts_and_with_times(kie: SandboxKie) -> None:
    data = await record(kie, "new/lyrics", prompt="a fox in the snow")
    drafts = data["response"]["resultObject"]["lyricsData"]
    assert all("a fox in the snow" in each["text"] and each["title"] for each in drafts)
    _, made = await songs(kie)
    timed = await record(kie, "ai-music-api/timeStamped-lyrics", audio_id=made[0]["id"])
    words = timed["response"]["resultObject"]["alignedWords"]
    assert [each["word"] for each in words] == ["la ", "la "]
    assert all(each["startS"] < each["endS"] for each in words)


async def test_a_persona_made_of_a_song_sings_another(kie: SandboxKie) -> None:
    task_id, made = await songs(kie)
    data = await record(
        kie,
        "ai-music-api/generate-persona",
        task_id=task_id,
        audio_id=made[1]["id"],
        name="Ana",
    )
    persona = data["response"]["resultObject"]
    assert persona["name"] == "Ana"
    sung = await record(kie, "new/persona-song", persona_id=persona["personaId"])
    assert len(sung["response"]["data"]) == 2
