import json
import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from generation_svc.domain.observation import Observation, ProviderState, ResultItem
from generation_svc.provider.kie.document import MAX_SIZE
from generation_svc.provider.kie.payload import CALLBACK_TYPES, STATE_WORDS, read_body, read_record

LINK = "https://tempfile.aiquickdraw.com/a.png"
UNREAD = Observation(ProviderState.UNKNOWN)


def market(state: Any = "success", *, code: Any = 200, **data: Any) -> dict[str, Any]:
    fields = {"taskId": "t1", "state": state, "resultJson": json.dumps({"resultUrls": [LINK]})}
    return {"code": code, "msg": "message", "data": fields | data}


def read(document: Any) -> Observation:
    return read_body(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("waiting", ProviderState.PENDING),
        ("queuing", ProviderState.PENDING),
        ("generating", ProviderState.PENDING),
        ("success", ProviderState.SUCCEEDED),
        ("fail", ProviderState.FAILED),
        ("Success ", ProviderState.SUCCEEDED),
        ("done", ProviderState.UNKNOWN),
        ("failed", ProviderState.UNKNOWN),
        ("paused", ProviderState.UNKNOWN),
        ("", ProviderState.UNKNOWN),
    ],
)
def test_state_word_is_mapped_once(word: str, state: ProviderState) -> None:
    observation = read(market(word))
    assert (observation.state, observation.word) == (state, word)


@pytest.mark.parametrize("state", [7, True, [], {}, ["success"]], ids=repr)
def test_state_that_is_no_word_is_unknown(state: Any) -> None:
    assert read(market(state)).state is ProviderState.UNKNOWN


@pytest.mark.parametrize(
    "result_json",
    [
        pytest.param(json.dumps({"resultUrls": [LINK]}), id="string"),
        pytest.param({"resultUrls": [LINK]}, id="object"),
        pytest.param({"resultUrls": LINK}, id="one link"),
        pytest.param({"resultUrls": [LINK, LINK]}, id="repeated link"),
        pytest.param({"resultUrls": [LINK, "ftp://x/a", "javascript:1", 7, None]}, id="others"),
        pytest.param({"resultUrls": [LINK, f"https://x/{'a' * 2048}"]}, id="too long"),
        pytest.param({"resultUrls": [LINK, "https://[x/", "https:///a", "https://a b"]}, id="bad"),
    ],
)
def test_links_are_found_in_result_json(result_json: Any) -> None:
    assert read(market(resultJson=result_json)).result_urls == (LINK,)


def test_several_links_keep_their_order_and_are_bounded() -> None:
    links = [f"https://x.example/{number}.png" for number in range(20)]
    assert read(market(resultJson={"resultUrls": links})).result_urls == tuple(links[:16])


@pytest.mark.parametrize(
    ("result_object", "text"),
    [
        pytest.param({"score": 1, "по": "русски"}, '{"score": 1, "по": "русски"}', id="object"),
        pytest.param("a text", "a text", id="text"),
        pytest.param("a\0b\ud800", "ab", id="what a database cannot hold"),
    ],
)
def test_result_object_is_a_text(result_object: Any, text: str) -> None:
    observation = read(market(resultJson=json.dumps({"resultObject": result_object})))
    assert (observation.state, observation.result_text) == (ProviderState.SUCCEEDED, text)


@pytest.mark.parametrize(
    "result_json", ["", None, "{", "null", "[]", 5, {}, {"resultUrls": []}, {"resultObject": {}}]
)
def test_success_without_a_result_is_not_final(result_json: Any) -> None:
    observation = read(market(resultJson=result_json))
    assert observation == Observation(ProviderState.EMPTY, task_id="t1", word="success")
    assert not observation.is_final


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"response": {"resultUrls": [LINK]}}, id="response"),
        pytest.param({"response": json.dumps({"resultUrls": [LINK]})}, id="response as text"),
        pytest.param({"response": {"data": [{"audio_url": LINK}]}}, id="song"),
        pytest.param(
            {"resultJson": json.dumps({"data": [{"audio_url": LINK}]})}, id="song as text"
        ),
        pytest.param({"resultJson": json.dumps(json.dumps({"resultUrls": [LINK]}))}, id="twice"),
        pytest.param(
            {"response": {"resultUrls": [LINK]}, "resultJson": json.dumps({"resultUrls": [LINK]})},
            id="both",
        ),
        pytest.param(
            {"response": {"resultUrls": []}, "resultJson": {"resultUrls": [LINK]}}, id="1"
        ),
    ],
)
def test_links_are_found_in_response_too(fields: Any) -> None:
    observation = read(market(**({"resultJson": None} | fields)))
    assert (observation.state, observation.result_urls) == (ProviderState.SUCCEEDED, (LINK,))


def test_links_of_response_come_first() -> None:
    links = ("https://x.example/a.png", "https://x.example/b.png")
    fields = {"resultJson": {"resultUrls": [links[1]]}, "response": {"resultUrls": [links[0]]}}
    assert read(market(**fields)).result_urls == links


SONG = "https://x.example/song.mp3"
COVER = "https://x.example/cover.jpeg"
TRACK = {"audio_url": SONG, "image_url": COVER, "title": "Iron Man", "duration": 198.44}
DESCRIBED = ResultItem(SONG, title="Iron Man", duration=timedelta(seconds=198.44), cover_url=COVER)


@pytest.mark.parametrize(
    "fields",
    [
        {"response": {"data": [TRACK]}},
        {"response": {"data": TRACK}},
        {"response": json.dumps({"data": [TRACK]})},
        {"resultJson": json.dumps({"data": [TRACK]})},
        {"response": {"data": [TRACK, TRACK]}, "resultJson": {"data": [TRACK]}},
        {"response": {"data": [TRACK | {"stream_audio_url": "https://x.example/stream"}]}},
    ],
)
def test_a_song_is_told_with_its_title_its_length_and_its_cover(fields: Any) -> None:
    assert read(market(**({"resultJson": ""} | fields))).results == (DESCRIBED,)


@pytest.mark.parametrize(
    ("odd", "item"),
    [
        ({}, ResultItem(SONG)),
        ({"title": 5, "duration": "198", "image_url": ["x"]}, ResultItem(SONG)),
        ({"title": " a\0b ", "image_url": "file:///etc/passwd"}, ResultItem(SONG, title="ab")),
        ({"title": "x" * 5000}, ResultItem(SONG, title="x" * 300)),
        ({"title": "a\r\nX: b\x1b[1m\u202e c"}, ResultItem(SONG, title="a X: b [1m  c")),
        (
            {"title": "Мы \U0001f468\u200d\U0001f469"},
            ResultItem(SONG, title="Мы \U0001f468\u200d\U0001f469"),
        ),
        ({"duration": -1}, ResultItem(SONG)),
        ({"duration": 1e300}, ResultItem(SONG)),
        ({"duration": True}, ResultItem(SONG)),
        ({"duration": 10**400}, ResultItem(SONG)),
        ({"duration": 3}, ResultItem(SONG, duration=timedelta(seconds=3))),
    ],
)
def test_what_is_odd_about_a_song_is_left_out(odd: Any, item: ResultItem) -> None:
    observation = read(market(resultJson={"data": [{"audio_url": SONG, **odd}]}))
    assert observation.results == (item,)


def test_songs_keep_their_order_and_their_own_titles() -> None:
    other = "https://x.example/other.mp3"
    tracks = [TRACK, {"audio_url": other, "title": "Other"}, {"title": "none"}, "nothing"]
    observation = read(market(resultJson="", response={"data": tracks}))
    assert observation.results == (DESCRIBED, ResultItem(other, title="Other"))


def test_a_video_of_another_family_has_its_picture_as_its_cover() -> None:
    data = {"task_id": "t", "video_url": LINK, "image_url": COVER, "video_id": "v"}
    (item,) = read({"code": 200, "msg": "", "data": data}).results
    assert item == ResultItem(LINK, cover_url=COVER)


def test_a_result_can_be_a_song_and_text() -> None:
    fields = {"data": [TRACK], "resultObject": {"midi": [1]}}
    observation = read(market(resultJson="", response=fields))
    assert (observation.results, observation.result_text) == ((DESCRIBED,), '{"midi": [1]}')


def test_text_in_response_is_a_result() -> None:
    observation = read(market(resultJson="", response={"resultObject": {"lyrics": "la"}}))
    assert (observation.state, observation.result_text) == (
        ProviderState.SUCCEEDED,
        '{"lyrics": "la"}',
    )


def test_success_under_a_code_that_contradicts_is_not_final() -> None:
    assert read(market(code=501)).state is ProviderState.UNKNOWN


@pytest.mark.parametrize(
    ("fail_code", "text"),
    [("500", "500"), (500, "500"), (500.0, "500"), (None, "501"), ("", "501"), (True, "501")],
)
def test_fail_code_is_a_text_whatever_it_was(fail_code: Any, text: str) -> None:
    observation = read(market("fail", code=501, failCode=fail_code, failMsg="why"))
    assert (observation.fail_code, observation.fail_message) == (text, "why")


def test_failure_without_a_message_takes_the_envelopes() -> None:
    assert read(market("fail", code=501)).fail_message == "message"


def test_failed_task_keeps_no_link() -> None:
    assert read(market("fail")).result_urls == ()


@pytest.mark.parametrize(
    "document",
    [
        {"data": {"taskId": "t1"}},
        {"data": {"task_id": "t1"}},
        {"taskId": "t1", "data": {}},
        {"task_id": "t1"},
        {"data": {"recordId": "t1"}},
        {"recordId": "t1", "data": {"taskId": None}},
        {"taskId": "t1", "data": {"taskId": "x" * 129}},
    ],
)
def test_task_id_is_found_in_every_place(document: Any) -> None:
    assert read(document | {"code": 200}).task_id == "t1"


def test_task_id_that_is_a_number_is_an_id() -> None:
    assert read(market(taskId=181992)).task_id == "181992"


@pytest.mark.parametrize(
    "task_id", [0, -5, True, 1.5, 10**40, "", "a b", "a\0b", "я", "x" * 129, ["t1"]], ids=repr
)
def test_task_id_that_is_none_is_left_out(task_id: Any) -> None:
    assert read(market(taskId=task_id)).task_id is None


@pytest.mark.parametrize(
    ("callback_type", "state"),
    [
        ("text", ProviderState.PENDING),
        ("first", ProviderState.PENDING),
        ("complete", ProviderState.SUCCEEDED),
        ("error", ProviderState.FAILED),
        ("task_completed", ProviderState.UNKNOWN),
    ],
)
def test_only_the_last_callback_of_suno_is_final(callback_type: str, state: ProviderState) -> None:
    data = {"callbackType": callback_type, "task_id": "t1", "data": [{"audio_url": LINK}]}
    assert read({"code": 200, "data": data}).state is state


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (200, ProviderState.SUCCEEDED),
        ("200", ProviderState.SUCCEEDED),
        (400, ProviderState.FAILED),
        (500, ProviderState.FAILED),
        (501, ProviderState.FAILED),
        (401, ProviderState.UNKNOWN),
        (429, ProviderState.UNKNOWN),
        (455, ProviderState.UNKNOWN),
        (0, ProviderState.UNKNOWN),
        (None, ProviderState.UNKNOWN),
        (True, ProviderState.UNKNOWN),
        (10**40, ProviderState.UNKNOWN),
    ],
)
def test_without_a_word_the_code_decides(code: Any, state: ProviderState) -> None:
    assert read({"code": code, "taskId": "t1", "data": {"result_video_url": LINK}}).state is state


def test_without_a_word_a_body_that_names_no_task_settles_nothing() -> None:
    assert read({"code": 500, "msg": "Server exception", "data": {"video_url": LINK}}) == UNREAD


@pytest.mark.parametrize(
    ("envelope", "expected"),
    [
        pytest.param(
            {"code": 422, "msg": "recordInfo is null", "data": None},
            Observation(ProviderState.MISSING),
            id="recordInfo is null",
        ),
        pytest.param(
            {"code": 404, "msg": "Task not found"}, Observation(ProviderState.MISSING), id="404"
        ),
        pytest.param(
            {"code": 408, "msg": "timeout", "data": None},
            Observation(ProviderState.FAILED, fail_code="408", fail_message="timeout"),
            id="408",
        ),
        pytest.param(
            {"code": 501, "message": "Generation failed.", "data": None},
            Observation(ProviderState.FAILED, fail_code="501", fail_message="Generation failed."),
            id="501",
        ),
        pytest.param(
            {"code": 422, "msg": "Validation"},
            Observation(ProviderState.UNKNOWN, word="code 422"),
            id="422 for another reason",
        ),
        pytest.param(
            {"code": 400, "msg": "taskId parameter is required"},
            Observation(ProviderState.UNKNOWN, word="code 400"),
            id="400",
        ),
        pytest.param(
            {"code": 429, "msg": "Your call frequency is too high."},
            Observation(ProviderState.UNKNOWN, word="code 429"),
            id="429",
        ),
        pytest.param({"code": 200, "data": None}, UNREAD, id="no data"),
        pytest.param([1], UNREAD, id="no object"),
        pytest.param(None, UNREAD, id="null"),
    ],
)
def test_envelope_of_record_info(envelope: Any, expected: Observation) -> None:
    assert read_record(envelope) == expected


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"taskId=t1&state=success", id="form"),
        pytest.param(b"\xff\xfe\x00", id="bytes"),
        pytest.param(json.dumps(market()).encode()[:-3], id="cut"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b'{"data":' * 40 + b"1" + b"}" * 40, id="too deep"),
        pytest.param(b'{"code":' + b"9" * 5000 + b"}", id="huge number"),
        pytest.param(json.dumps(market(param="x" * MAX_SIZE)).encode(), id="too long"),
    ],
)
def test_garbage_is_unknown(body: bytes) -> None:
    assert read_body(body) == UNREAD


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_body_is_read_in_every_encoding_of_json(encoding: str) -> None:
    body = json.dumps(market(model="модель"), ensure_ascii=False).encode(encoding)
    assert read_body(body).result_urls == (LINK,)


def test_letters_in_a_foreign_encoding_do_not_hide_the_state() -> None:
    body = json.dumps(market(param="é"), ensure_ascii=False).encode("latin-1")
    assert read_body(body).state is ProviderState.SUCCEEDED


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)
words = st.sampled_from([*STATE_WORDS, *CALLBACK_TYPES])
codes = st.sampled_from([200, "200", 400, 408, 422, 429, 501, 10**400, -1, math.inf])
names = ("taskId", "task_id", "state", "callbackType", "resultJson", "info", "data", "failCode")
data_values = st.fixed_dictionaries({}, optional=dict.fromkeys(names, json_values | words | codes))
documents = st.fixed_dictionaries(
    {}, optional={"code": codes | json_values, "msg": json_values, "data": data_values}
)


def check_bounds(observation: Observation) -> None:
    assert len(observation.task_id or "") <= 128
    assert len(observation.word or "") <= 64
    assert len(observation.result_urls) <= 16
    texts = (observation.fail_code, observation.fail_message, observation.result_text)
    assert all("\0" not in text and text.encode() is not None for text in texts)
    if observation.state is ProviderState.SUCCEEDED:
        assert observation.result_urls or observation.result_text


@given(document=documents | json_values)
@example(document={"code": 501, "data": {"state": "fail", "failCode": 10**4000}})
@settings(max_examples=300, deadline=None)
def test_no_document_raises(document: Any) -> None:
    check_bounds(read_record(document))
    check_bounds(read_body(json.dumps(document).encode()))


@given(body=st.binary())
@settings(max_examples=300, deadline=None)
def test_no_bytes_raise(body: bytes) -> None:
    assert not read_body(body).is_final


@pytest.mark.parametrize("result", [[1] * 400_000, [10**15 + 0.5] * 55_000, "ё" * 2**19 + "x" * 9])
def test_a_text_is_no_longer_than_the_contract_says(result: Any) -> None:
    """What KIE sends within its limit may be longer as we write it."""
    text = json.dumps({"resultObject": result}, separators=(",", ":"), ensure_ascii=False)
    observation = read_record({"code": 200, "data": {"state": "success", "resultJson": text}})
    assert observation.state is ProviderState.SUCCEEDED
    assert 2**20 - 4 <= len(observation.result_text.encode()) <= 2**20
