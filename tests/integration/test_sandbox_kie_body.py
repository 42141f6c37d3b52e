"""The bodies of the sandbox KIE, compared with the recorded ones."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from sandbox.kie.callback import signature_of
from sandbox.kie.encoding import encode_param
from sandbox.kie.journal import LONGEST_BODY
from tests.integration.sandbox_kie import (
    BODIES,
    HEADERS,
    Json,
    Receiver,
    SandboxKie,
    callback_receiver,
    picture,
    recorded,
    sandbox_kie,
)

PARAMS = [
    json.loads(data["param"])
    for each in BODIES["examples"]
    if isinstance(each["body"], dict)
    and isinstance(data := each["body"].get("data"), dict)
    and data.get("param", "").startswith("{")
]


@pytest_asyncio.fixture(scope="module")
async def stand() -> AsyncIterator[SandboxKie]:
    async with sandbox_kie() as running:
        yield running


@pytest_asyncio.fixture
async def kie(stand: SandboxKie) -> SandboxKie:
    await stand.http.post("/sandbox/reset")
    return stand


@pytest_asyncio.fixture(scope="module")
async def receiving() -> AsyncIterator[Receiver]:
    async with callback_receiver() as running:
        yield running


@pytest.fixture
def receiver(receiving: Receiver) -> Receiver:
    receiving.got.clear()
    return receiving


async def test_create_answers_with_the_recorded_keys(kie: SandboxKie) -> None:
    body = await kie.create(prompt="A serene mountain", aspect_ratio="16:9")
    example = recorded("createTask ok")
    assert list(body) == list(example)
    assert list(body["data"]) == list(example["data"])
    assert body["data"]["taskId"] == body["data"]["recordId"]
    assert len(body["data"]["taskId"]) == 32


@pytest.mark.parametrize("recorded_param", PARAMS, ids=lambda param: str(param["model"]))
def test_param_is_encoded_as_recorded_whatever_the_order_of_the_request(
    recorded_param: Json,
) -> None:
    fields: Json = json.loads(recorded_param["input"])
    shuffled = {name: fields[name] for name in sorted(fields)}
    encoded = encode_param(recorded_param["model"], shuffled, recorded_param.get("callBackUrl"))
    assert encoded == json.dumps(recorded_param, ensure_ascii=False, separators=(",", ":"))


REFUSALS: list[tuple[str, Json, str]] = [
    ("unknown model", {"model": "nobody/nothing", "input": {}}, "422 unknown model"),
    ("no model", {"input": {"prompt": "x"}}, "422 unknown model"),
    ("model before fields", {"model": "x", "input": {"prompt": 7}}, "422 unknown model"),
]


@pytest.mark.parametrize(("_", "order", "example"), REFUSALS, ids=[each[0] for each in REFUSALS])
async def test_refusal_is_the_recorded_body(
    kie: SandboxKie, _: str, order: Json, example: str
) -> None:
    response = await kie.http.post("/api/v1/jobs/createTask", json=order)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json;charset=UTF-8"
    assert response.json() == recorded(example)


IMAGE = "https://files.example/picture.png"
OPTIONS = "This {} is not within the range of allowed options"
COMPLAINTS: list[tuple[str, Json, str | None]] = [
    ("z-image", {}, None),
    ("z-image", {"prompt": "x"}, None),
    ("z-image", {"prompt": "x", "num_images": "many", "output_format": "gif"}, None),
    ("z-image", {"prompt": "x", "aspect_ratio": "7:5"}, OPTIONS.format("aspect_ratio")),
    ("qwen/text-to-image", {}, "prompt is required"),
    ("qwen/text-to-image", {"prompt": ""}, "prompt is required"),
    ("qwen/text-to-image", {"prompt": "x", "image_size": "big"}, OPTIONS.format("image_size")),
    ("qwen/text-to-image", {"prompt": "x", "num_inference_steps": 1}, "out of range"),
    ("qwen/text-to-image", {"prompt": "x", "guidance_scale": 20.1}, "out of range"),
    ("qwen/text-to-image", {"prompt": "x" * 5001}, "exceeds"),
    ("qwen/text-to-image", {"prompt": "x", "seed": "seven"}, "seed"),
    ("qwen/text-to-image", {"prompt": "x", "something": "else", "seed": 7}, None),
    ("qwen/image-to-image", {"prompt": "x"}, "This field is required"),
    ("qwen/image-edit", {"prompt": "x", "image_url": ""}, "This field is required"),
    ("qwen/image-edit", {"prompt": "x", "image_url": IMAGE, "num_images": 2}, "num_images"),
    ("qwen/image-edit", {"prompt": "x", "image_url": IMAGE, "nsfw_checker": 1}, "nsfw_checker"),
]


@pytest.mark.parametrize(("model", "fields", "text"), COMPLAINTS)
async def test_fields_are_checked_with_code_500(
    kie: SandboxKie, model: str, fields: Json, text: str | None
) -> None:
    body = await kie.create(model, **fields)
    assert body["code"] == (500 if text else 200)
    assert (text or "success") in body["msg"]


async def test_a_new_task_is_null_for_a_moment(kie: SandboxKie) -> None:
    await kie.change(visible_after_s=60)
    task_id = await kie.task(prompt="x")
    null = {"code": 422, "msg": "recordInfo is null", "data": None}
    assert await kie.read(task_id) == null
    await kie.change(visible_after_s=0)
    assert (await kie.read(task_id))["code"] == 200
    assert await kie.read("0" * 32) == null


async def test_states_follow_the_time(kie: SandboxKie) -> None:
    await kie.change(model_duration_s={"z-image": 0.3})
    task_id = await kie.task(prompt="x")
    seen = [(await kie.read(task_id))["data"]["state"]]
    while seen[-1] != "success":
        state = (await kie.read(task_id))["data"]["state"]
        seen += [state] if state != seen[-1] else []
    assert seen == ["waiting", "queuing", "generating", "success"]


async def test_a_pending_record_has_the_recorded_keys_and_blanks(kie: SandboxKie) -> None:
    await kie.change(duration_s=60)
    data = (await kie.read(await kie.task(prompt="x")))["data"]
    example = recorded("recordInfo waiting")["data"]
    assert list(data)[: len(example)] == list(example)
    blanks = [name for name, value in example.items() if not value]
    assert {name: data[name] for name in blanks} == {name: example[name] for name in blanks}


async def test_a_finished_record_has_the_recorded_keys(kie: SandboxKie) -> None:
    data = await kie.ended(await kie.task(prompt="x", aspect_ratio="1:1"))
    example = recorded("recordInfo success image")["data"]
    assert list(data)[: len(example)] == list(example)
    assert {type(data[name]) for name in ("costTime", "completeTime", "createTime")} == {int}
    assert data["creditsConsumed"] == 0.8
    assert data["param"] == encode_param("z-image", {"prompt": "x", "aspect_ratio": "1:1"}, None)


async def test_a_failed_record_has_the_documented_keys(kie: SandboxKie) -> None:
    await kie.arm("generation_failed")
    data = await kie.ended(await kie.task(prompt="x"))
    example = recorded("recordInfo fail")["data"]
    assert [name for name in data if name in example] == list(example)
    fixed = ("state", "resultJson", "failCode", "failMsg", "costTime", "creditsConsumed")
    assert {name: data[name] for name in fixed} == {name: example[name] for name in fixed}


async def test_a_success_is_called_back_as_captured(kie: SandboxKie, receiver: Receiver) -> None:
    task_id = await kie.task(prompt="лиса", to=receiver)
    (got,) = await receiver.first()
    example, data = recorded("Market callback success z-image, captured"), got.body["data"]
    assert [list(got.body), list(data)] == [list(example), list(example["data"])]
    assert got.body | {"data": 0} == example | {"data": 0}
    assert data["createTime"] == data["updateTime"]
    assert data["createTime"] % 1000 == 0
    assert data["taskId"] == task_id
    assert "лиса" in data["param"]
    assert json.loads(data["param"])["callBackUrl"] == f"{receiver.url}/callbacks/kie/token"
    assert got.headers["user-agent"] == "okhttp/3.14.9"
    assert got.headers["content-type"] == "application/json; charset=utf-8"
    assert "x-webhook-signature" not in got.headers


async def test_a_failure_is_called_back_as_captured(kie: SandboxKie, receiver: Receiver) -> None:
    await kie.arm("content_refused")
    await kie.task(prompt="x", to=receiver)
    (got,) = await receiver.first()
    example = recorded("Market callback fail, captured")
    assert [list(got.body), list(got.body["data"])] == [list(example), list(example["data"])]
    assert got.body | {"data": 0} == example | {"data": 0}
    assert got.body["data"]["failMsg"] == example["data"]["failMsg"]


async def test_a_callback_is_signed_when_there_is_a_key(receiver: Receiver) -> None:
    async with sandbox_kie(hmac_key="secret") as kie:
        task_id = await kie.task(prompt="x", to=receiver)
        (got,) = await receiver.first()
    timestamp = got.headers["x-webhook-timestamp"]
    assert got.headers["x-webhook-signature"] == signature_of(task_id, timestamp, key="secret")


def test_the_signature_matches_the_check_vector() -> None:
    signature = signature_of(
        "ee9c2715375b7837f8bb51d641ff5863", "1769670760", key="test-webhook-key"
    )
    assert signature == "ZSz3IIsRnzzqwW4sS0laO7mc3nIpiLgCwWT++NgKmX4="


KEYLESS: list[tuple[str, str, int, Json]] = [
    ("POST", "/api/v1/jobs/createTask", 200, recorded("401 live")),
    ("GET", "/api/v1/jobs/recordInfo?taskId=1", 200, recorded("recordInfo 401")),
    ("GET", "/api/v1/chat/credit", 200, recorded("401 live")),
    ("POST", "/api/file-base64-upload", 401, recorded("upload errors")[2]),
]


@pytest.mark.parametrize(("method", "path", "status", "body"), KEYLESS)
async def test_a_wrong_key_is_refused(
    kie: SandboxKie, method: str, path: str, status: int, body: Json
) -> None:
    await kie.change(api_key="the right one")
    response = await kie.http.request(method, path, json={})
    assert (response.status_code, response.json()) == (status, body)
    await kie.change(api_key="key")
    assert (await kie.http.request(method, path, json={})).json() != body


AGENTS = [
    "python-requests/2.32.3",
    "python-httpx/0.28.1",
    "python-httpx2/2.16.2",
    "Python-urllib/3",
]


@pytest.mark.parametrize("agent", AGENTS)
async def test_a_library_that_does_not_name_its_product_is_refused(
    kie: SandboxKie, agent: str
) -> None:
    response = await kie.http.get("/api/v1/chat/credit", headers={"user-agent": agent})
    assert (response.status_code, response.text) == (403, "error code: 1010")


async def test_a_read_without_an_id_is_refused(kie: SandboxKie) -> None:
    response = await kie.http.get("/api/v1/jobs/recordInfo")
    assert (response.status_code, response.json()) == (200, recorded("recordInfo 400"))


async def test_credits_are_taken_at_creation_and_returned_on_failure(kie: SandboxKie) -> None:
    async def balance() -> Any:
        body = (await kie.http.get("/api/v1/chat/credit")).json()
        assert list(body) == list(recorded("credit balance"))
        return body["data"]

    await kie.change(credits=1, duration_s=60)
    await kie.task(prompt="x")
    assert await balance() == 0.2
    assert await kie.create(prompt="x") == recorded("402 no credits")
    await kie.change(credits=1, duration_s=0)
    await kie.arm("generation_failed")
    await kie.ended(await kie.task(prompt="x"))
    assert await balance() == 1


async def test_download_url_knows_only_what_was_made_here(kie: SandboxKie) -> None:
    async def fresh(url: str) -> Json:
        body: Json = (await kie.http.post("/api/v1/common/download-url", json={"url": url})).json()
        return body

    (link,) = await kie.results(await kie.task(prompt="x"))
    renewed = await fresh(link)
    assert renewed["code"] == 200
    assert renewed["data"] != link
    assert (await kie.http.get(renewed["data"])).content == (await kie.http.get(link)).content
    assert await fresh("https://cdn.kie.ai/files/x.mp4") == recorded("download-url refused")
    assert await fresh(await kie.upload(picture())) == recorded("download-url refused")


async def test_a_base64_upload_answers_as_recorded(kie: SandboxKie) -> None:
    order = next(each for each in BODIES["examples"] if each["name"] == "base64 upload ok")
    answer = (await kie.http.post("/api/file-base64-upload", json=order["request_body"])).json()
    example = order["body"]
    for body in (answer, example):
        body["data"] |= {"uploadedAt": len(body["data"]["uploadedAt"])}
        body["data"] |= {"downloadUrl": httpx2.URL(body["data"]["downloadUrl"]).path}
    assert answer == example
    assert [list(answer), list(answer["data"])] == [list(example), list(example["data"])]


async def test_a_stream_upload_can_be_fetched_without_the_key(kie: SandboxKie) -> None:
    response = await kie.http.post(
        "/api/file-stream-upload",
        files={"file": ("лиса.png", picture(), "image/png")},
        data={"uploadPath": "images/user-uploads", "fileName": "fox 1.png"},
    )
    data = response.json()["data"]
    assert data["filePath"].endswith("/images/user-uploads/fox 1.png")
    async with httpx2.AsyncClient(trust_env=False) as stranger:
        fetched = await stranger.get(data["downloadUrl"])
    assert (fetched.content, fetched.headers["content-type"]) == (picture(), "image/png")


async def test_a_url_upload_fetches_the_file(kie: SandboxKie) -> None:
    first = await kie.upload(picture())
    order = {"fileUrl": first, "uploadPath": "copies", "fileName": "copy.png"}
    data = (await kie.http.post("/api/file-url-upload", json=order)).json()["data"]
    assert (await kie.http.get(data["downloadUrl"])).content == picture()


BAD_UPLOADS: list[tuple[str, Json, Json]] = [
    ("no path", {"base64Data": "AAAA"}, recorded("upload errors")[0]),
    ("no base64", {"base64Data": "*", "uploadPath": "x"}, recorded("upload errors")[1]),
]


@pytest.mark.parametrize(("_", "order", "body"), BAD_UPLOADS, ids=[each[0] for each in BAD_UPLOADS])
async def test_a_bad_upload_is_refused_in_documented_words(
    kie: SandboxKie, _: str, order: Json, body: Json
) -> None:
    response = await kie.http.post("/api/file-base64-upload", json=order)
    assert (response.status_code, response.json()) == (400, body)


async def test_creations_beyond_the_limit_are_refused_inside_http_200(kie: SandboxKie) -> None:
    await kie.change(create_limit=3)
    codes = [(await kie.create(prompt="x"))["code"] for _ in range(5)]
    assert codes == [200, 200, 200, 429, 429]
    assert (await kie.counters())["create_refusals"] == {"429": 2}


async def test_tasks_beyond_the_concurrency_are_refused(kie: SandboxKie) -> None:
    await kie.change(max_concurrent=2, duration_s=60)
    assert [(await kie.create(prompt="x"))["code"] for _ in range(3)] == [200, 200, 429]


async def test_reads_beyond_the_limit_are_refused(kie: SandboxKie) -> None:
    task_id = await kie.task(prompt="x")
    await kie.change(read_limit=2)
    assert [(await kie.read(task_id))["code"] for _ in range(3)] == [200, 200, 429]


async def test_the_journal_holds_what_was_received(kie: SandboxKie) -> None:
    await kie.create(prompt="сова", headers=HEADERS)
    (received,) = (await kie.http.get("/sandbox/requests")).json()
    assert (received["method"], received["path"]) == ("POST", "/api/v1/jobs/createTask")
    assert received["headers"]["authorization"] == HEADERS["authorization"]
    assert "сова" in received["body"]


async def test_of_a_large_upload_the_beginning_is_noted(kie: SandboxKie) -> None:
    content = bytes(range(256)) * 4096 * 3
    response = await kie.http.post(
        "/api/file-stream-upload",
        files={"file": ("large.bin", content)},
        data={"uploadPath": "t", "fileName": "large.bin"},
    )
    link = response.json()["data"]["downloadUrl"]
    assert (await kie.http.get(link)).content == content
    received = (await kie.http.get("/sandbox/requests")).json()[0]
    assert received["path"] == "/api/file-stream-upload"
    assert 60_000 < len(received["body"]) <= LONGEST_BODY


async def test_reset_goes_back_to_the_beginning(kie: SandboxKie) -> None:
    await kie.change(duration_s=60, callbacks=False)
    await kie.arm("no_callback")
    task_id = await kie.task(prompt="x")
    await kie.http.post("/sandbox/reset")
    assert (await kie.read(task_id))["code"] == 422
    assert (await kie.http.get("/sandbox/faults")).json() == []
    settings = (await kie.http.get("/sandbox/settings")).json()
    assert (settings["duration_s"], settings["callbacks"]) == (0.02, True)
    assert (await kie.counters())["creates"] == 0


async def test_unknown_settings_and_faults_are_refused(kie: SandboxKie) -> None:
    bad_setting = await kie.http.patch("/sandbox/settings", json={"colour": "red"})
    bad_value = await kie.http.patch("/sandbox/settings", json={"create_limit": 0})
    bad_fault = await kie.http.put("/sandbox/faults", json=[{"name": "gremlin"}])
    assert [each.status_code for each in (bad_setting, bad_value, bad_fault)] == [422] * 3
