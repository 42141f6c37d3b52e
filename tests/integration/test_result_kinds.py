"""Results of every kind, from what KIE says to what is ours, and what later jobs say of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest

from generation_svc.catalog import load_catalog, validate_inputs
from generation_svc.catalog.example import example
from generation_svc.domain.error import InvalidInputs, LinkDead
from generation_svc.domain.job import Job, JobState
from generation_svc.domain.media import MediaKind
from generation_svc.domain.media_input import ReferencePart, given_in, with_texts
from generation_svc.domain.model import Catalog, Consent, Model
from generation_svc.domain.observation import Observation
from generation_svc.domain.port.media import Examined
from generation_svc.domain.schema import JsonObject
from generation_svc.lifecycle.dependencies import ModelDependencies
from generation_svc.provider.kie.payload import told_at_once
from generation_svc.rpc.convert import job_to_proto
from generation_svc.usecase import consent as consents
from generation_svc.usecase.download_media import download
from generation_svc.usecase.report_callback import Callback, report_callback
from tests.lifecycle import CALLER, FakeProvider, Harness, bytes_of

FILES = "https://tempfile.aiquickdraw.com"
SUNO = "ai-music-api"
SONG = {"custom_mode": False, "instrumental": False, "prompt": "a song", "style": "rock"}


@cache
def every_model() -> Catalog:
    return load_catalog(has_unpaid=True)


@pytest.fixture
def kie(harness: Harness) -> Harness:
    """A service that offers every model that KIE has."""
    models = ModelDependencies(every_model(), validate_inputs, has_unpaid=True)
    return replace(harness, deps=replace(harness.deps, models=models))


def track(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"audio-{number}",
        "title": f"Night {number}",
        "duration": 100 + number,
        "audio_url": f"{FILES}/{number}.mp3",
        "image_url": f"{FILES}/{number}.jpeg",
    } | more


TRACKS = [track(1), track(2)]


def songs_are_there(kie: Harness, *, count: int = 2) -> None:
    for number in range(1, count + 1):
        kie.fetcher.types |= {
            f"{FILES}/{number}.mp3": "audio/mpeg",
            f"{FILES}/{number}.jpeg": "image/jpeg",
        }


async def start(kie: Harness, model_id: str, **inputs: Any) -> Job:
    for consent in Consent:
        await consents.record(
            kie.deps, CALLER, owner="user:1", consent=consent, wording_version="1"
        )
    return await kie.run(model_id=model_id, inputs=inputs)


async def told(kie: Harness, body: Mapping[str, Any]) -> None:
    """Have KIE post a body about the latest task."""
    token = kie.provider.token()
    await report_callback(kie.deps, Callback(json.dumps(body).encode(), {}, token))


async def finish(kie: Harness, job: Job, **result: Any) -> Job:
    """Have KIE say what the latest task made, and fetch it."""
    task_id = f"task-{len(kie.provider.created)}"
    data = {"taskId": task_id, "state": "success", "resultJson": json.dumps(result)}
    await told(kie, {"code": 200, "msg": "", "data": data})
    await kie.fetch_all()
    return await kie.job(job)


async def content_of(kie: Harness, media_id: Any) -> bytes:
    found = await download(kie.deps, CALLER, media_id=media_id)
    return b"".join([piece async for piece in found.pieces])


async def test_two_songs_have_their_titles_lengths_and_covers(kie: Harness) -> None:
    songs_are_there(kie)
    job = await start(kie, f"{SUNO}/generate", **SONG)
    done = await finish(kie, job, data=TRACKS)
    assert done.result is not None
    assert [each.title for each in done.result.media] == ["Night 1", "Night 2"]
    assert [each.duration for each in done.result.media] == [
        timedelta(seconds=101),
        timedelta(seconds=102),
    ]
    assert {each.kind for each in done.result.media} == {MediaKind.AUDIO}
    covers = [each.cover_id for each in done.result.media]
    assert None not in covers
    assert len(set(covers)) == 2
    assert [each.number for each in done.result.media] == [1, 2]


async def test_only_the_last_callback_of_a_song_ends_its_job(kie: Harness) -> None:
    songs_are_there(kie)
    job = await start(kie, f"{SUNO}/generate", **SONG)
    for kind, tracks in (("text", []), ("first", [track(1)])):
        data = {"callbackType": kind, "task_id": "task-1", "data": tracks}
        await told(kie, {"code": 200, "msg": "", "data": data})
        await kie.fetch_all()
        assert (await kie.job(job)).state is JobState.RUNNING
    assert kie.fetcher.fetched == []
    data = {"callbackType": "complete", "task_id": "task-1", "data": TRACKS}
    await told(kie, {"code": 200, "msg": "", "data": data})
    await kie.fetch_all()
    done = await kie.job(job)
    assert done.result is not None
    assert len(done.result.media) == 2


async def test_a_song_that_fails_fails_its_job(kie: Harness) -> None:
    job = await start(kie, f"{SUNO}/generate", **SONG)
    data = {"callbackType": "error", "task_id": "task-1", "data": None}
    await told(kie, {"code": 500, "msg": "Internal Error", "data": data})
    assert (await kie.job(job)).state is JobState.FAILED


async def test_one_dead_link_of_three_is_counted_and_the_numbers_of_the_others_stay(
    kie: Harness,
) -> None:
    songs_are_there(kie, count=3)
    dead = f"{FILES}/2.mp3"
    kie.fetcher.links[dead] = LinkDead("gone")
    kie.provider.fresh = dead
    job = await start(kie, f"{SUNO}/generate", **SONG)
    await finish(kie, job, data=[track(1), track(2), track(3)])
    while (done := await kie.job(job)).state is JobState.RUNNING:
        await kie.later(hours=1)
        await kie.fetch_all()
    assert done.result is not None
    assert done.result.missing_count == 1
    assert [(each.title, each.number) for each in done.result.media] == [
        ("Night 1", 1),
        ("Night 3", 3),
    ]
    assert [each.item_number for each in job_to_proto(done).result.media] == [1, 3]


async def test_a_damaged_picture_is_fetched_again_and_kept_when_the_time_is_over(
    kie: Harness,
) -> None:
    link = f"{FILES}/a.png"
    kie.fetcher.links[link] = b"half of it"
    kie.fetcher.types[link] = "application/octet-stream"
    kie.fetcher.damaged.add(link)
    kie.provider.fresh = link
    job = await start(kie, "z-image", prompt="x")
    await finish(kie, job, resultUrls=[link])
    tries = 0
    while (done := await kie.job(job)).state is JobState.RUNNING:
        tries += 1
        await kie.later(minutes=6)
        await kie.fetch_all()
    assert tries >= 3
    assert done.result is not None
    (media,) = done.result.media
    assert (media.kind, done.result.missing_count) == (MediaKind.FILE, 0)
    assert await content_of(kie, media.id) == b"half of it"


async def test_a_damaged_picture_gives_way_to_a_whole_copy(kie: Harness) -> None:
    link, fresh = f"{FILES}/a.png", f"{FILES}/fresh.png"
    kie.fetcher.damaged.add(link)
    kie.provider.fresh = fresh
    job = await start(kie, "z-image", prompt="x")
    await finish(kie, job, resultUrls=[link])
    await kie.later(minutes=1)
    await kie.fetch_all()
    done = await kie.job(job)
    assert done.result is not None
    assert [each.kind for each in done.result.media] == [MediaKind.IMAGE]
    assert kie.fetcher.fetched[-1] == fresh


async def test_lyrics_are_text_with_the_titles_of_their_drafts(kie: Harness) -> None:
    job = await start(kie, f"{SUNO}/generate-lyrics", prompt="x")
    drafts = [{"title": "Night", "text": "moon"}, {"title": "Day", "text": "sun"}]
    done = await finish(kie, job, resultObject={"lyricsData": drafts})
    assert done.result is not None
    assert (done.result.media, done.result.text) == ((), "Night\n\nmoon\n\n* * *\n\nDay\n\nsun")


async def test_a_long_text_is_a_file_too(kie: Harness) -> None:
    text = "ля " * 3000
    job = await start(kie, f"{SUNO}/generate-lyrics", prompt="x")
    done = await finish(kie, job, resultObject={"lyricsData": [{"text": text}]})
    assert done.result is not None
    (media,) = done.result.media
    assert (media.mime_type, media.kind) == ("text/plain", MediaKind.TEXT)
    assert media.title == every_model().models[job.model_id].title.en
    assert (await content_of(kie, media.id)).decode() == text.strip() == done.result.text


async def test_data_is_a_file_with_a_summary(kie: Harness) -> None:
    """A voice is one; the phrase that has to be sung is in its summary."""
    phrase = {"validateInfo": "Silver morning", "status": "wait_validating"}
    job = await start(
        kie,
        f"{SUNO}/validation-phrase",
        voice_sample="https://example.org/a.mp3",
        vocal_start_s=0,
        vocal_end_s=10,
    )
    done = await finish(kie, job, resultObject=phrase)
    assert done.result is not None
    (media,) = done.result.media
    assert (media.mime_type, media.title) == (
        "application/json",
        every_model().models[job.model_id].title.en,
    )
    assert json.loads(await content_of(kie, media.id)) == phrase
    assert done.result.text == "Validate info: Silver morning\nStatus: wait_validating"


async def test_data_survives_a_fetch_that_was_killed(kie: Harness) -> None:
    """What has no link is kept with the attempt until it is in our store."""
    job = await start(kie, f"{SUNO}/boost-music-style", content="rock")
    result = json.dumps({"resultObject": {"result": "y" * 5000}})
    data = {"taskId": "task-1", "state": "success", "resultJson": result}
    await told(kie, {"code": 200, "msg": "", "data": data})
    (row,) = await kie.attempts(job)
    assert row["observation"]["result_urls"] == []
    await kie.later(hours=1)
    await kie.fetch_all()
    done = await kie.job(job)
    assert done.result is not None
    assert (done.result.text, len(done.result.media)) == ("y" * 5000, 1)


async def test_stems_are_called_what_they_are(kie: Harness) -> None:
    stems: dict[str, Any] = {"origin_url": f"{FILES}/0.mp3", "vocal_url": f"{FILES}/1.mp3"}
    stems |= {"backing_vocals_url": f"{FILES}/2.mp3", "drums_url": None}
    songs_are_there(kie)
    job = await start(kie, f"{SUNO}/generate", **SONG)
    done = await finish(kie, job, **stems)
    assert done.result is not None
    assert [each.title for each in done.result.media] == ["Vocal", "Backing vocals"]
    assert f"{FILES}/0.mp3" not in kie.fetcher.fetched


async def test_a_fetch_goes_by_what_the_model_promises(kie: Harness) -> None:
    job = await start(kie, "z-image", prompt="x")
    done = await finish(kie, job, resultUrls=[f"{FILES}/a.png"])
    assert done.state is JobState.SUCCEEDED
    assert kie.fetcher.forms == [every_model().models["z-image"].result]


async def test_so_does_a_later_try(kie: Harness) -> None:
    link = f"{FILES}/a.png"
    kie.fetcher.links[link] = LinkDead("gone")
    kie.provider.fresh = link
    job = await start(kie, "z-image", prompt="x")
    await finish(kie, job, resultUrls=[link])
    kie.fetcher.links.clear()
    await kie.later(hours=1)
    await kie.fetch_all()
    assert (await kie.job(job)).state is JobState.SUCCEEDED
    assert set(kie.fetcher.forms) == {every_model().models["z-image"].result}


async def test_a_video_without_a_cover_has_its_poster(kie: Harness, tmp_path: Path) -> None:
    (tmp_path / "poster").write_bytes(b"poster")
    poster = Examined(
        path=tmp_path / "poster",
        mime_type="image/jpeg",
        size_bytes=6,
        sha256="0" * 64,
        width=320,
        height=180,
    )
    link, other = f"{FILES}/a.mp4", f"{FILES}/b.mp4"
    kie.fetcher.types = {link: "video/mp4", other: "video/mp4", f"{FILES}/b.png": "image/png"}
    kie.fetcher.links[f"{FILES}/b.png"] = b"cover"
    kie.fetcher.posters = {link: poster, other: poster}
    job = await start(kie, "z-image", prompt="x")
    videos = [{"video_url": link}, {"video_url": other, "image_url": f"{FILES}/b.png"}]
    done = await finish(kie, job, videos=videos)
    assert done.result is not None
    bare, covered = done.result.media
    assert bare.cover_id is not None
    assert covered.cover_id is not None
    assert await content_of(kie, bare.cover_id) == b"poster"
    assert await content_of(kie, covered.cover_id) == b"cover"
    assert bytes_of(poster.path) == b"poster"


async def made(kie: Harness, model_id: str) -> Job:
    """Have an earlier job of a model end with two things that have ids."""
    songs_are_there(kie)
    inputs, _ = await filled(kie, every_model().models[model_id])
    done = await finish(kie, await start(kie, model_id, **inputs), data=TRACKS)
    assert done.state is JobState.SUCCEEDED
    return done


async def filled(
    kie: Harness, model: Model, *, wanted: str = ""
) -> tuple[JsonObject, dict[str, Job]]:
    """Return inputs of a model, and the earlier jobs that they mean by the field."""
    inputs, jobs = made_up(model, wanted=wanted), dict[str, Job]()
    for one in model.reference_inputs:
        given = list(given_in(inputs, one))
        if not given:
            continue
        # A song is one of the task that is named beside it.
        earlier = next((job for job in jobs.values() if job.model_id in one.model_ids), None)
        jobs[one.name] = earlier or await made(kie, one.model_ids[0])
        number = "" if one.part is ReferencePart.TASK else "/2"
        text = f"job:{jobs[one.name].id}{number}"
        inputs = with_texts(inputs, one, texts={each.steps: text for each in given})
    for media in model.media_inputs:
        places = {each.steps: "https://example.org/a" for each in given_in(inputs, media)}
        inputs = with_texts(inputs, media, texts=places)
    return inputs, jobs


def made_up(model: Model, *, wanted: str) -> JsonObject:
    """Return an example of the inputs in which a field is given, if one is wanted."""
    for seed in range(300):
        inputs = example(model, Random(seed), share=0.3 if wanted else 0.0)
        if inputs is not None and (not wanted or wanted in inputs):
            return inputs
    raise AssertionError(f"{model.id} has no inputs with {wanted}")


REFERENCES = [
    (model.id, one.name)
    for model in every_model().models.values()
    for one in model.reference_inputs
    if not model.withdrawn
]


@pytest.mark.parametrize(("model_id", "field"), REFERENCES)
async def test_every_reference_leaves_as_the_id_that_kie_knows(
    kie: Harness, model_id: str, field: str
) -> None:
    model = every_model().models[model_id]
    (one,) = [each for each in model.reference_inputs if each.name == field]
    inputs, jobs = await filled(kie, model, wanted=field)
    await start(kie, model_id, **inputs)
    (attempt,) = await kie.attempts(jobs[field])
    expected = attempt["task_id"] if one.part is ReferencePart.TASK else "audio-2"
    assert kie.provider.inputs[-1][model.offer.names.get(field, field)] == expected
    assert kie.provider.used[-1] == attempt["account"]


def test_no_part_is_left_out() -> None:
    parts = {one.part for model in every_model().models.values() for one in model.reference_inputs}
    assert parts == {ReferencePart.TASK, ReferencePart.AUDIO, ReferencePart.PERSONA}


@pytest.mark.parametrize("name", ["personaId", "voiceId"])
async def test_a_persona_made_of_the_second_song_sings_the_next(kie: Harness, name: str) -> None:
    songs_are_there(kie)
    job = await finish(kie, await start(kie, f"{SUNO}/generate", **SONG), data=TRACKS)
    persona = await start(
        kie,
        f"{SUNO}/generate-persona",
        task=f"job:{job.id}",
        song=f"job:{job.id}/2",
        name="Ana",
        description="soft",
    )
    left = kie.provider.inputs[-1]
    assert (left["task_id"], left["audio_id"]) == ("task-1", "audio-2")
    told_persona = {name: "voice-7", "name": "Ana"}
    persona = await finish(kie, persona, resultObject=told_persona)
    assert persona.result is not None
    assert (persona.result.media[0].number, persona.result.text) == (
        1,
        f"{name[:-2].capitalize()} id: voice-7\nName: Ana",
    )
    await start(kie, f"{SUNO}/extend", song=f"job:{job.id}", persona_id=f"job:{persona.id}")
    left = kie.provider.inputs[-1]
    assert (left["audio_id"], left["persona_id"]) == ("audio-1", "voice-7")


async def test_a_song_that_has_no_id_cannot_be_meant(kie: Harness) -> None:
    songs_are_there(kie)
    tracks = [track(1), track(2, id="")]
    job = await finish(kie, await start(kie, f"{SUNO}/generate", **SONG), data=tracks)
    with pytest.raises(InvalidInputs, match="no audio 2"):
        await start(kie, f"{SUNO}/extend", song=f"job:{job.id}/2")


async def test_a_result_that_came_with_the_answer_is_kept(kie: Harness) -> None:
    words = {"alignedWords": [{"word": "la", "startS": 0, "endS": 1}], "hootCer": 0.5}

    async def answer(provider: FakeProvider, task_id: str) -> Observation:
        observation = told_at_once(words)
        assert observation is not None
        return observation

    songs_are_there(kie)
    job = await finish(kie, await start(kie, f"{SUNO}/generate", **SONG), data=TRACKS)
    kie.provider.answer = answer
    inputs = {"task": f"job:{job.id}", "song": f"job:{job.id}"}
    timed = await start(kie, f"{SUNO}/timeStamped-lyrics", **inputs)
    await kie.fetch_all()
    done = await kie.job(timed)
    assert done.result is not None
    assert done.result.text == "Aligned words: 1\nHoot cer: 0.5"
    assert json.loads(await content_of(kie, done.result.media[0].id)) == words
