"""What the sandbox KIE says of its models: list, schema, price, success rate."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote

import pytest
import pytest_asyncio
from jsonschema import Draft202012Validator

from sandbox.kie.self_description import BUCKET_MS, BUCKETS
from tests.integration.kie_entry import ENTRIES, add_models, address, entry, schema
from tests.integration.sandbox_kie import Json, SandboxKie, sandbox_kie

FORMS = entry(
    "vendor/two-forms",
    purpose="image-to-video",
    kind="video",
    title="Two forms",
    input={
        **schema(
            "prompt",
            prompt={"type": "string"},
            image_url=address("image", types=["image/png"], max_bytes=10_000_000, max_seconds=9),
            task_id={"type": "string", "x-ref": {"kind": "task", "of": ["new/film"]}},
        ),
        "oneOf": [
            {"required": ["image_url"], "properties": {"task_id": False}},
            {"required": ["task_id"], "properties": {"image_url": False}},
        ],
    },
)


@pytest_asyncio.fixture(scope="module")
async def kie() -> AsyncIterator[SandboxKie]:
    async with sandbox_kie(description_limit=1000) as running:
        await add_models(running)
        await running.http.post("/sandbox/models", json=FORMS)
        yield running


async def told(kie: SandboxKie, path: str) -> Any:
    body = (await kie.http.get(f"/api/v1/models{path}")).json()
    assert (body["code"], body["msg"]) == (200, "success")
    return body["data"]


async def change(kie: SandboxKie, model: str, **changes: Any) -> None:
    response = await kie.http.patch(f"/sandbox/models/{model}", json=changes)
    assert response.status_code == 200, response.text


async def test_every_model_is_listed_with_a_line_about_its_price(kie: SandboxKie) -> None:
    listed = {each["model"]: each for each in await told(kie, "")}
    assert {*listed} >= {each["model"] for each in ENTRIES}
    assert listed["new/film"] == {
        "model": "new/film",
        "slug": "new-film",
        "title": "New",
        "provider": "",
        "taskType": ["text-to-video"],
        "description": "",
        "pricingDesc": "3 credits per second (sound True); 2 credits per second",
    }


async def test_a_schema_is_a_whole_openapi_document_with_kies_quirks(kie: SandboxKie) -> None:
    document = (await told(kie, "/vendor/two-forms/schema"))["openapi"]
    assert document["openapi"] == "3.1.0"
    post = document["paths"]["/api/v1/jobs/createTask"]["post"]
    order = post["requestBody"]["content"]["application/json"]["schema"]
    reference = order["properties"]["input"]["$ref"]
    assert reference == "#/components/schemas/Two%20forms%20Input%20"
    name = unquote(reference.rpartition("/")[2])
    branches = document["components"]["schemas"][name]["oneOf"]
    assert [[*each["properties"]] for each in branches] == [
        ["prompt", "image_url"],
        ["prompt", "task_id"],
    ]
    assert [each["required"] for each in branches] == [
        ["prompt", "image_url"],
        ["prompt", "task_id"],
    ]
    codes = post["responses"]["200"]["content"]["application/json"]["schema"]
    assert 505 in codes["properties"]["code"]["enum"]
    assert "{$request.body#/callBackUrl}" in post["callbacks"]["onComplete"]


async def test_a_schema_says_in_words_what_addresses_and_ids_must_be(kie: SandboxKie) -> None:
    document = (await told(kie, "/vendor/two-forms/schema"))["openapi"]
    (name,) = document["components"]["schemas"]
    one, other = document["components"]["schemas"][name]["oneOf"]
    image = one["properties"]["image_url"]
    assert image["format"] == "uri"
    assert "Accepted types: image/png; Max size: 10.0MB; Max duration: 9s" in image["description"]
    assert "models: new/film" in other["properties"]["task_id"]["description"]
    assert "x-" not in str(document)


async def test_every_schema_is_a_valid_json_schema(kie: SandboxKie) -> None:
    for each in ENTRIES:
        document = (await told(kie, f"/{each['model']}/schema"))["openapi"]
        for component in document["components"]["schemas"].values():
            Draft202012Validator.check_schema(component)


async def test_a_schema_may_not_be_synced(kie: SandboxKie) -> None:
    await change(kie, "new/film", is_synced=False)
    assert await told(kie, "/new/film/schema") == {"model": "new/film", "openapi": None}
    await change(kie, "new/film", is_synced=True)
    assert (await told(kie, "/new/film/schema"))["openapi"]


@pytest.mark.parametrize("what", ["schema", "price", "success-rate"])
@pytest.mark.parametrize("model", ["nobody/nothing", "new%2Ffilm"])
async def test_an_unknown_id_is_404_in_the_body(kie: SandboxKie, what: str, model: str) -> None:
    response = await kie.http.get(f"/api/v1/models/{model}/{what}")
    assert (response.status_code, response.json()["code"]) == (200, 404)


async def test_a_price_changes_at_once_in_what_is_told_and_taken(kie: SandboxKie) -> None:
    rows = (await told(kie, "/new/film/price"))["prices"]
    assert rows[0] == {
        "when": {"sound": True},
        "creditPrice": "3",
        "creditUnit": "per second",
        "usdPrice": "0.015",
    }
    part = {"rates": [{"credits": "7"}], "times": [], "unit": "video"}
    await change(kie, "new/film", price={"parts": [part]})
    (row,) = (await told(kie, "/new/film/price"))["prices"]
    assert (row["creditPrice"], row["creditUnit"]) == ("7", "per video")
    record = await kie.ended(await kie.task("new/film", prompt="fox"))
    assert record["creditsConsumed"] == 7
    await kie.http.post("/sandbox/models", json=ENTRIES[0])


async def buckets(kie: SandboxKie, model: str) -> list[Json]:
    found: list[Json] = (await told(kie, f"/{model}/success-rate"))["buckets"]
    return found


async def test_success_rates_are_a_day_of_ten_minutes_of_what_happened(kie: SandboxKie) -> None:
    empty = await buckets(kie, "new/larger")
    assert len(empty) == BUCKETS
    assert all(each["end"] - each["start"] == BUCKET_MS for each in empty)
    assert {each["successRate"] for each in empty} == {None}
    await kie.ended(await kie.task("new/lyrics", prompt="fox"))
    await kie.ended(await kie.task("new/larger", image=f"{kie.url}/nothing.png"))
    seen = [each for each in await buckets(kie, "new/lyrics") if each["isNormal"] is not None]
    assert {(each["successRate"], each["isNormal"]) for each in seen} == {(100, True)}
    seen = [each for each in await buckets(kie, "new/larger") if each["isNormal"] is not None]
    assert {(each["errorRate"], each["isNormal"]) for each in seen} == {(100, False)}


async def test_success_rates_can_be_set(kie: SandboxKie) -> None:
    await change(kie, "new/cut-out", success_rates=[99, None, 40.5])
    newest = [each["successRate"] for each in (await buckets(kie, "new/cut-out"))[-4:]]
    assert newest == [None, 99, None, 40.5]
    response = await kie.http.patch("/sandbox/models/new/cut-out", json={"success_rates": [101]})
    assert response.status_code == 422


async def test_all_four_share_one_allowance_of_an_account() -> None:
    keys = {"one": "key", "two": "other"}
    async with sandbox_kie(api_keys=keys, description_window_s=60) as kie:
        await add_models(kie)
        assert (await kie.http.get("/api/v1/models")).json()["code"] == 200
        for path in ("/new/film/schema", "/new/film/price", "/new/film/success-rate", ""):
            body = (await kie.http.get(f"/api/v1/models{path}")).json()
            assert body["code"] == 429
        kie.http.headers["authorization"] = "Bearer other"
        assert (await kie.http.get("/api/v1/models")).json()["code"] == 200


async def test_what_was_added_and_changed_is_gone_after_a_reset() -> None:
    async with sandbox_kie() as kie:
        await add_models(kie)
        await kie.http.post("/sandbox/reset")
        assert (await kie.http.patch("/sandbox/models/new/film", json={})).status_code == 404
        assert (await kie.create("new/film"))["code"] == 422
