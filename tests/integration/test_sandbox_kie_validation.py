"""What the sandbox KIE refuses of documented models, in KIE's order and with KIE's texts."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from sandbox.kie.complaint import complaint
from sandbox.kie.entry import Entry
from tests.integration.kie_entry import add_models, address, entry, schema
from tests.integration.kie_order import sample
from tests.integration.sandbox_kie import Json, SandboxKie, picture, recorded, sandbox_kie

FIELDS: Json = {
    "prompt": {"type": "string", "minLength": 3, "maxLength": 10},
    "mode": {"type": "string", "enum": ["std", "pro"]},
    "strength": {"type": "number", "minimum": 0, "maximum": 1, "multipleOf": 0.1},
    "shots": {
        "type": "array",
        "minItems": 1,
        "maxItems": 2,
        "items": {
            "type": "object",
            "additionalProperties": False,
            "required": ["text"],
            "properties": {"text": {"type": "string", "maxLength": 5}},
        },
    },
    "start": {"type": "integer"},
    "end": {"type": "integer"},
    "loop": {"type": "boolean"},
    "image_url": address("image"),
    "task_id": {"type": "string"},
}
RULES: Json = {
    "allOf": [
        {
            "if": {"required": ["mode"], "properties": {"mode": {"const": "pro"}}},
            "then": {"required": ["strength"], "properties": {"loop": False}},
        },
        {
            "if": {"required": ["loop"], "properties": {"loop": {"const": True}}},
            "then": {"properties": {"strength": {"maximum": 0.5}}},
        },
    ],
    "oneOf": [
        {"required": ["image_url"], "properties": {"task_id": False}},
        {"required": ["task_id"], "properties": {"image_url": False}},
    ],
}
ENTRY = Entry.model_validate(
    entry(
        "new/checked",
        purpose="image-edit",
        kind="image",
        input={**schema("prompt", "mode", **FIELDS), **RULES, "additionalProperties": False},
        checks=[{"difference": {"from": "start", "to": "end", "minimum": 10}}],
    )
)
GOOD: Json = {"prompt": "a fox", "mode": "std", "image_url": "https://files.example/a.png"}
CASES: list[tuple[Json, str | None]] = [
    ({}, None),
    ({"unknown": object}, None),
    ({"loop": None}, None),
    ({"prompt": None, "mode": "none"}, "prompt is required"),
    ({"mode": ""}, "This field is required"),
    ({"mode": "fast"}, "This mode is not within the range of allowed options"),
    ({"prompt": "a fox in snow"}, "prompt exceeds the limit of 10"),
    ({"prompt": "ab"}, "prompt must have at least 3 characters"),
    ({"prompt": 7, "mode": "fast"}, "This prompt must be a string"),
    ({"strength": 1.1}, "This strength is out of range"),
    ({"strength": 0.25}, "This strength is out of range"),
    ({"strength": 0.3}, None),
    ({"strength": 0.7}, None),
    ({"loop": "yes"}, "This loop must be a boolean"),
    ({"shots": []}, "The number of shots must be at least 1"),
    ({"shots": [{"text": "a"}] * 3}, "The number of shots must not exceed 2"),
    ({"shots": [{}]}, "This field is required"),
    ({"shots": [{"text": "a fox", "sound": 1}]}, None),
    ({"shots": [{"text": "a foxy"}]}, "text exceeds the limit of 5"),
    ({"mode": "pro"}, "This field is required"),
    ({"mode": "pro", "strength": 1, "loop": False}, "This loop cannot be used here"),
    ({"loop": True, "strength": 0.6}, "This strength is out of range"),
    ({"mode": "pro", "shots": []}, "The number of shots must be at least 1"),
    ({"start": 5, "end": 15}, None),
    ({"start": 5, "end": 14}, "This end is out of range"),
    ({"image_url": None}, "The fields must be those of exactly one form of input"),
    ({"task_id": "x"}, "The fields must be those of exactly one form of input"),
    ({"image_url": None, "task_id": "x"}, None),
]


@pytest.mark.parametrize(("change", "text"), CASES)
def test_fields_are_checked_in_order_and_unknown_ones_ignored(change: Json, text: str) -> None:
    assert complaint(ENTRY, {**GOOD, **change}) == text


@pytest_asyncio.fixture(scope="module")
async def kie() -> AsyncIterator[SandboxKie]:
    async with sandbox_kie() as running:
        await add_models(running)
        yield running


async def test_a_refused_order_costs_nothing_and_says_500(kie: SandboxKie) -> None:
    before = (await kie.http.get("/api/v1/chat/credit")).json()
    body = await kie.create("new/film", aspect_ratio="16:9")
    assert body == {"code": 500, "msg": "prompt is required", "data": None}
    assert (await kie.http.get("/api/v1/chat/credit")).json() == before


@pytest.mark.parametrize(
    ("off", "code"), [("disabled", 505), ("paused", 500), ("unpublished", 422)]
)
async def test_a_model_that_is_off_is_refused_whatever_the_fields(
    kie: SandboxKie, off: str, code: int
) -> None:
    path = "/sandbox/models/new/film"
    assert (await kie.http.patch(path, json={"off": off})).status_code == 200
    assert (await kie.create("new/film"))["code"] == code
    await kie.http.patch(path, json={"off": ""})
    assert (await kie.create("new/film", prompt="fox"))["code"] == 200


async def test_some_models_take_no_order_without_a_callback_url(kie: SandboxKie) -> None:
    changed = ENTRY.model_copy(update={"requires_callback": True}).model_dump()
    await kie.http.post("/sandbox/models", json=changed)
    order = {"model": "new/checked", "input": {"prompt": "a fox", "mode": "std", "task_id": "x"}}
    refused = (await kie.http.post("/api/v1/jobs/createTask", json=order)).json()
    assert refused["msg"] == "callBackUrl is required"
    order["callBackUrl"] = f"{kie.url}/nowhere"
    assert (await kie.http.post("/api/v1/jobs/createTask", json=order)).json()["code"] == 200


async def test_a_removed_model_is_unknown(kie: SandboxKie) -> None:
    await kie.http.post("/sandbox/models", json=ENTRY.model_dump())
    assert (await kie.create("new/checked"))["msg"] == "prompt is required"
    await kie.http.delete("/sandbox/models/new/checked")
    assert await kie.create("new/checked") == recorded("422 unknown model")


async def failure(kie: SandboxKie, model: str, **fields: Any) -> tuple[str, str]:
    data = await kie.ended(await kie.task(model, **fields))
    assert (data["state"], data["successFlag"], data["creditsConsumed"]) == ("fail", 3, 0)
    return data["failCode"], data["failMsg"]


async def test_addresses_must_lead_to_what_the_model_takes(kie: SandboxKie) -> None:
    teal = await kie.upload(picture(), name="teal.png")
    clip = await kie.upload(sample("video")[0], name="clip.mp4")
    jpeg = await kie.upload(sample("image")[0], name="teal.jpg")
    text = await kie.upload(b"not a picture", name="page.png")
    large = await kie.upload(picture() + bytes(100_000), name="large.png")
    cases = {
        f"{kie.url}/nothing.png": ("400", "Image fetch failed."),
        text: ("422", "Get image info failed."),
        clip: ("422", "image file type not supported"),
        jpeg: ("422", "image file type not supported"),
        large: ("422", "The image size exceeds the limit"),
    }
    for link, (code, message) in cases.items():
        told = await failure(kie, "new/picture", prompt="fox", image_urls=[teal, link])
        assert (told[0], message) == (code, told[1][: len(message)])
    wrong = await failure(kie, "new/retake", prompt="fox", video_url=teal)
    assert wrong == ("422", "video file type not supported")


async def test_a_video_that_is_too_long_fails(kie: SandboxKie) -> None:
    changed = entry(
        "new/short",
        purpose="video-edit",
        kind="video",
        input=schema("video_url", video_url=address("video", max_seconds=1)),
    )
    await kie.http.post("/sandbox/models", json=changed)
    clip = await kie.upload(sample("video")[0], name="clip.mp4")
    assert await failure(kie, "new/short", video_url=clip) == (
        "422",
        "The video size exceeds the limit",
    )


async def test_ids_must_be_of_earlier_tasks_of_the_same_account() -> None:
    async with sandbox_kie(api_keys={"one": "key", "two": "other"}) as kie:
        await add_models(kie)
        film = await kie.task("new/film", prompt="fox")
        await kie.ended(film)
        task_id = await kie.task("new/songs", title="Snow")
        song = (await kie.ended(task_id))["response"]["data"][0]["id"]
        good = {"task_id": task_id, "audio_id": song}
        told = {
            "task_id": await message(kie, {**good, "task_id": "0" * 32}),
            "film": await message(kie, {**good, "task_id": film}),
            "audio_id": await message(kie, {**good, "audio_id": "none"}),
            "good": await message(kie, good),
        }
        kie.http.headers["authorization"] = "Bearer other"
        assert await message(kie, good) == told["task_id"] == "task_id does not exist"
    assert told["audio_id"] == "audio_id does not exist"
    assert told["film"] == "task_id is of a task that cannot be used here"
    assert told["good"] == "success"


async def message(kie: SandboxKie, fields: Json) -> str:
    return str((await kie.ordered("new/stems", fields))["msg"])
