"""What is read of results of every shape that KIE is known to tell, and of some that it may."""

import json
from datetime import timedelta
from typing import Any

import pytest

from generation_svc.domain.observation import Observation, ProviderState, ResultItem
from generation_svc.provider.kie.payload import read_body, read_record, told_at_once

X = "https://x.example"


def record(**fields: Any) -> Observation:
    data = {"taskId": "t1", "state": "success", "resultJson": ""} | fields
    return read_record({"code": 200, "msg": "success", "data": data})


def song(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"audio-{number}",
        "title": f"Song {number}",
        "duration": 100.5 + number,
        "audio_url": f"{X}/{number}.mp3",
        "stream_audio_url": f"{X}/stream/{number}",
        "image_url": f"{X}/{number}.jpeg",
        "prompt": f"{X}/not-a-file",
        "tags": "rock",
    } | more


def heard(number: int) -> ResultItem:
    return ResultItem(
        f"{X}/{number}.mp3",
        title=f"Song {number}",
        duration=timedelta(seconds=100.5 + number),
        cover_url=f"{X}/{number}.jpeg",
    )


SONGS = [song(1), song(2)]


@pytest.mark.parametrize(
    "fields",
    [
        {"response": {"data": SONGS}},
        {"response": json.dumps({"data": SONGS})},
        {"resultJson": json.dumps({"data": SONGS})},
        {"resultJson": {"data": SONGS}},
        {"response": {"data": SONGS}, "resultJson": json.dumps({"data": SONGS})},
    ],
    ids=["response", "response as text", "resultJson", "resultJson as object", "both"],
)
def test_two_songs_have_all_that_is_told_of_them(fields: Any) -> None:
    observation = record(**fields)
    assert observation.results == (heard(1), heard(2))
    assert observation.item_ids == ("audio-1", "audio-2")


def test_songs_under_the_older_names_are_songs() -> None:
    older = {
        "id": "audio-1",
        "audioUrl": f"{X}/1.mp3",
        "streamAudioUrl": f"{X}/stream",
        "sourceAudioUrl": f"{X}/source",
        "imageUrl": f"{X}/1.jpeg",
        "title": "Song 1",
        "duration": 101.5,
    }
    observation = record(response={"taskId": "t1", "sunoData": [older]})
    assert (observation.results, observation.item_ids) == ((heard(1),), ("audio-1",))


def test_ids_stand_where_their_songs_do() -> None:
    """The second song has no id: the third is still `job:<id>/3`."""
    tracks = [song(1), song(2, id=None), song(3)]
    assert record(response={"data": tracks}).item_ids == ("audio-1", "", "audio-3")


STEMS = {
    "origin_url": f"{X}/whole.mp3",
    "vocal_url": f"{X}/vocal.mp3",
    "backing_vocals_url": f"{X}/backing.mp3",
    "drums_url": "",
    "bass_url": None,
}
OLDER_STEMS = {
    "originUrl": f"{X}/whole.mp3",
    "vocalUrl": f"{X}/vocal.mp3",
    "backingVocalsUrl": f"{X}/backing.mp3",
    "drumsUrl": None,
}
SPLIT = (
    ResultItem(f"{X}/vocal.mp3", title="Vocal"),
    ResultItem(f"{X}/backing.mp3", title="Backing vocals"),
)


@pytest.mark.parametrize(
    "fields",
    [
        {"response": STEMS},
        {"response": OLDER_STEMS},
        {"resultJson": json.dumps(STEMS)},
        {"response": {"resultObject": STEMS}},
        {"vocal_separation_info": STEMS},
        {"vocal_removal_info": STEMS},
        {"info": OLDER_STEMS},
    ],
)
def test_stems_are_called_what_they_are(fields: Any) -> None:
    """The whole song is what was given, so it is none of them."""
    assert record(**fields).results == SPLIT


def test_stems_with_ids_are_told_once() -> None:
    told = {
        "id": "stem-1",
        "audio_url": f"{X}/vocal.mp3",
        "stem_type_group_name": "Vocals",
        "duration": 12.5,
    }
    observation = record(response=OLDER_STEMS | {"origin_data": [told]})
    vocal, backing = observation.results
    assert vocal == ResultItem(f"{X}/vocal.mp3", title="Vocals", duration=timedelta(seconds=12.5))
    assert backing == SPLIT[1]
    assert observation.item_ids == ("stem-1", "")


@pytest.mark.parametrize(
    ("result", "items"),
    [
        ({"images": [f"{X}/a.png", f"{X}/b.png"]}, [f"{X}/a.png", f"{X}/b.png"]),
        ({"videoUrl": f"{X}/a.mp4"}, [f"{X}/a.mp4"]),
        ({"audio_wav_url": f"{X}/a.wav"}, [f"{X}/a.wav"]),
        ({"deep": {"er": [{"file": f"{X}/a.glb"}]}}, [f"{X}/a.glb"]),
        ({"resultUrls": [f"{X}/a.mp4"], "resultWaterMarkUrls": [f"{X}/w.mp4"]}, [f"{X}/a.mp4"]),
        ({"url": f"{X}/a.mp4", "watermarkUrl": f"{X}/w.mp4"}, [f"{X}/a.mp4"]),
    ],
)
def test_links_of_a_family_that_nobody_knows_are_files(result: Any, items: list[str]) -> None:
    observation = record(response=result)
    assert observation.state is ProviderState.SUCCEEDED
    assert list(observation.result_urls) == items


def test_a_video_of_such_a_family_has_its_picture_as_its_cover() -> None:
    info = {"videoId": "v", "videoUrl": f"{X}/a.mp4", "imageUrl": f"{X}/a.png"}
    expected = ResultItem(f"{X}/a.mp4", cover_url=f"{X}/a.png")
    assert record(response={"videoInfo": info}).results == (expected,)


def test_the_last_frame_that_was_asked_for_is_a_result_too() -> None:
    result = {"resultUrls": [f"{X}/a.mp4"], "lastFrameUrl": f"{X}/last.png"}
    assert record(resultJson=json.dumps(result)).results == (
        ResultItem(f"{X}/a.mp4"),
        ResultItem(f"{X}/last.png", title="Last frame"),
    )


def test_links_that_were_given_are_no_results() -> None:
    """`param` holds the inputs, with links to the uploads."""
    param = json.dumps({"input": json.dumps({"image_url": f"{X}/given.png"})})
    observation = record(param=param, paramJson=param, response={"resultUrls": []})
    assert observation.state is ProviderState.EMPTY


MIDI = {
    "state": "complete",
    "instruments": [{"name": "Drums", "notes": [{"pitch": 73, "start": "0.03", "end": 0.18}]}],
}


@pytest.mark.parametrize(
    "fields",
    [
        {"response": {"resultObject": MIDI}},
        {"resultJson": json.dumps({"resultObject": MIDI})},
        {"resultJson": json.dumps({"resultObject": json.dumps(MIDI)})},
        {"response": MIDI},
    ],
    ids=["response", "resultJson", "encoded once more", "without its usual place"],
)
def test_data_is_told_whole(fields: Any) -> None:
    observation = record(**fields)
    assert observation.state is ProviderState.SUCCEEDED
    value = json.loads(observation.result_object)
    assert (json.loads(value) if isinstance(value, str) else value) == MIDI


@pytest.mark.parametrize(
    "result",
    [
        {"resultObject": {"personaId": "p-1", "name": "My voice"}},
        {"resultObject": {"persona_id": "p-1"}},
        {"resultObject": {"voiceId": "p-1", "taskId": "t1", "status": "success"}},
        {"voice_id": "p-1"},
        {"resultObject": {"characterId": "p-1"}},
    ],
)
def test_a_persona_or_a_voice_has_an_id_for_later_jobs(result: Any) -> None:
    assert record(response=result).item_ids == ("p-1",)
    assert record(resultJson=json.dumps(result)).item_ids == ("p-1",)


def suno(kind: str, *, code: int = 200, songs: Any = ()) -> Observation:
    data = {"callbackType": kind, "task_id": "t1", "data": list(songs)}
    return read_body(json.dumps({"code": code, "msg": "m", "data": data}).encode())


def test_of_the_callbacks_of_a_song_only_the_last_is_final() -> None:
    text = suno("text", songs=[song(1, audio_url=""), song(2, audio_url="")])
    first = suno("first", songs=[song(1), song(2, audio_url="")])
    assert [text.state, first.state] == [ProviderState.PENDING] * 2
    assert (text.results, first.results) == ((), ())
    complete = suno("complete", songs=SONGS)
    assert (complete.state, complete.results) == (ProviderState.SUCCEEDED, (heard(1), heard(2)))
    assert complete.item_ids == ("audio-1", "audio-2")
    assert suno("error", code=500).state is ProviderState.FAILED


@pytest.mark.parametrize(
    ("data", "urls"),
    [
        ({"alignedWords": [{"word": "la", "startS": 0.1, "endS": 0.4}], "hootCer": 0.3}, ()),
        ({"resultObject": {"text": "la"}}, ()),
        ({"resultUrls": [f"{X}/a.png"]}, (f"{X}/a.png",)),
        ({"resultJson": json.dumps({"resultUrls": [f"{X}/a.png"]})}, (f"{X}/a.png",)),
    ],
)
def test_a_result_may_come_with_the_answer_to_the_request(data: Any, urls: Any) -> None:
    observation = told_at_once(data)
    assert observation is not None
    assert (observation.state, observation.result_urls) == (ProviderState.SUCCEEDED, urls)
    assert observation.results or observation.result_object


@pytest.mark.parametrize(
    "data",
    [
        {"taskId": "t1"},
        {"taskId": "t1", "recordId": "t1", "resultUrls": [f"{X}/a.png"]},
        {"taskId": ""},
        {"message": "queued"},
        {"resultUrls": []},
        {"response": None},
    ],
)
def test_a_task_or_nothing_is_no_result_at_once(data: Any) -> None:
    assert told_at_once(data) is None
