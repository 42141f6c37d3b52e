"""What becomes of a result by what the model's document promises."""

import json
from typing import Any

import pytest

from generation_svc.domain.media import MediaKind
from generation_svc.domain.model import ResultForm, ResultShape
from generation_svc.domain.observation import Observation, ProviderState, ResultItem
from generation_svc.provider.kie.payload import read_record
from generation_svc.provider.kie.shape import MAX_SUMMARY_LINES, shaped

LINK = "https://x.example/a.png"
IMAGES = ResultForm((MediaKind.IMAGE,), ResultShape.URLS, 10**6)
DATA = ResultForm((MediaKind.FILE,), ResultShape.OBJECT, 10**6)
TEXT = ResultForm((MediaKind.TEXT,), ResultShape.OBJECT, 10**6)
LYRICS = ResultForm((MediaKind.TEXT,), ResultShape.LYRICS, 10**6)


def success(**result: Any) -> Observation:
    data = {"taskId": "t1", "state": "success", "resultJson": json.dumps(result)}
    return read_record({"code": 200, "data": data})


def content_of(observation: Observation) -> Any:
    *_, data = observation.results
    assert data.url == ""
    return json.loads(data.content)


def test_links_stay_as_they_are() -> None:
    observation = success(resultUrls=[LINK])
    assert shaped(observation, form=IMAGES) == observation


@pytest.mark.parametrize("state", [ProviderState.FAILED, ProviderState.PENDING])
def test_what_is_no_success_stays_as_it_is(state: ProviderState) -> None:
    observation = Observation(state, task_id="t1", result_text="x" * 9000)
    assert shaped(observation, form=DATA) is observation


def test_data_is_a_file_and_a_few_lines_say_what_is_in_it() -> None:
    notes = [{"pitch": 60, "start": 0, "end": 1}]
    value = {
        "state": "complete",
        "instruments": [{"name": "Drums", "parts": notes}, {"name": "Bass", "parts": notes}],
        "tempo": 120.5,
        "isLoop": False,
        "preview": LINK,
        "marks": [1, 2, 3],
        "empty": [],
    }
    observation = shaped(success(resultObject=value), form=DATA)
    assert content_of(observation) == value
    assert observation.result_text.splitlines() == [
        "State: complete",
        "Instruments: Drums, Bass",
        "Tempo: 120.5",
        "Is loop: no",
        "Marks: 3",
    ]


def test_links_in_data_are_files_beside_it() -> None:
    value = {"masks": [LINK, f"{LINK}?2"], "count": 2}
    observation = shaped(success(resultObject=value), form=DATA)
    assert observation.result_urls == (LINK, f"{LINK}?2")
    assert content_of(observation) == value


def test_data_that_only_repeats_the_links_of_pictures_is_nothing_new() -> None:
    observation = shaped(success(resultUrls=[LINK], resultObject={"urls": [LINK]}), form=IMAGES)
    assert (observation.results, observation.result_text) == ((ResultItem(LINK),), "")


def test_data_beside_pictures_is_not_lost() -> None:
    observation = shaped(success(resultUrls=[LINK], resultObject={"boxes": [[1, 2]]}), form=IMAGES)
    assert observation.result_urls == (LINK,)
    assert content_of(observation) == {"boxes": [[1, 2]]}


def test_a_summary_has_few_lines() -> None:
    observation = shaped(success(resultObject={f"a{n}": n for n in range(1, 99)}), form=DATA)
    lines = observation.result_text.splitlines()
    assert (len(lines), lines[-1]) == (MAX_SUMMARY_LINES, "…")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a bold style", "a bold style"),
        ({"text": "hello", "words": [{"w": "hello"}], "language": "en"}, "hello"),
        ({"result": "epic rock", "cost": 1}, "epic rock"),
        ({"styleText": "epic rock"}, "epic rock"),
    ],
)
def test_a_model_that_makes_text_gives_the_text(value: Any, text: str) -> None:
    observation = shaped(success(resultObject=value), form=TEXT)
    assert (observation.results, observation.result_text) == ((), text)


def test_text_that_is_not_found_in_its_object_is_told_as_it_came() -> None:
    value = {"one": "a", "other": "b"}
    assert json.loads(shaped(success(resultObject=value), form=TEXT).result_text) == value


def test_lyrics_are_drafts_under_their_titles() -> None:
    drafts = [
        {"title": "Night", "text": "[Verse]\nmoon", "status": "complete"},
        {"title": "Day", "text": "[Verse]\nsun"},
        {"title": "Nothing", "text": ""},
        {"text": "untitled"},
    ]
    observation = shaped(success(resultObject={"lyricsData": drafts}), form=LYRICS)
    assert observation.results == ()
    assert observation.result_text.split("\n\n* * *\n\n") == [
        "Night\n\n[Verse]\nmoon",
        "Day\n\n[Verse]\nsun",
        "untitled",
    ]


@pytest.mark.parametrize("form", [TEXT, LYRICS])
def test_a_text_that_no_message_holds_is_a_file_too(form: ResultForm) -> None:
    text = "ля " * 3000
    observation = shaped(success(resultObject=text), form=form)
    assert (observation.results, observation.result_text) == ((ResultItem("", content=text),), text)


def test_data_is_kept_whole_where_the_text_of_a_result_would_be_cut() -> None:
    value = {"words": [10**15 + 0.5] * 55_000}
    assert content_of(shaped(success(resultObject=value), form=DATA)) == value
