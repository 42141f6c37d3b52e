"""Every documented model of the sandbox KIE makes a result of its kind."""

import json
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from typing import Any

import av
import pytest_asyncio
from PIL import Image

from sandbox.kie.catalog import Catalog
from sandbox.kie.entry import Entry
from tests.integration.kie_order import Orders
from tests.integration.sandbox_kie import Json, Receiver, SandboxKie, callback_receiver, sandbox_kie

MODELS = 170
"""The least number of models that the documents describe."""


@pytest_asyncio.fixture(scope="module")
async def kie() -> AsyncIterator[SandboxKie]:
    async with sandbox_kie(credits=1e6, max_concurrent=1000) as running:
        yield running


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with callback_receiver() as running:
        yield running


async def test_every_model_makes_what_it_is_documented_to_make(
    kie: SandboxKie, receiver: Receiver
) -> None:
    entries = {entry.model: entry for entry in Catalog(None).entries()}
    assert len(entries) >= MODELS
    orders = Orders(kie, entries, receiver)
    problems = [each for entry in entries.values() if (each := await _problem(kie, orders, entry))]
    assert problems == []


async def _problem(kie: SandboxKie, orders: Orders, entry: Entry) -> str | None:
    fields = await orders.order(entry)
    body = await orders.sent(entry.model, fields)
    if body["code"] != 200:
        return f"{entry.model} refuses {fields}: {body['msg']}"
    record = await kie.ended(body["data"]["taskId"])
    if record["state"] != "success":
        return f"{entry.model} fails with {fields}: {record['failMsg']}"
    told = json.loads(record["resultJson"])
    kinds = [await _kind(kie, link) for link in strings_in(told) if link.startswith(kie.url)]
    return None if _is_right(entry, told, kinds) else f"{entry.model} makes {kinds} in {told}"


def _is_right(entry: Entry, told: Json, kinds: list[str]) -> bool:
    match entry.shape:
        case "songs":
            has_covers = entry.purpose != "sound-effects"
            kinds_of_songs = {"audio", "image"} if has_covers else {"audio"}
            return len(told["data"]) == 2 and {*kinds} == kinds_of_songs
        case "stems":
            return kinds.count("audio") == 2 * len(told["origin_data"]) >= 2
        case "lyrics":
            return bool(told["resultObject"]["lyricsData"][0]["text"])
        case "object":
            return bool(told["resultObject"])
    return bool(kinds) and {*kinds} == {entry.kind} and len(told["resultUrls"]) == len(kinds)


def strings_in(told: Any) -> Iterator[str]:
    if isinstance(told, str):
        yield told
    values = told.values() if isinstance(told, dict) else told if isinstance(told, list) else ()
    for each in values:
        yield from strings_in(each)


async def _kind(kie: SandboxKie, link: str) -> str:
    """Return what a link leads to, by decoding it."""
    content = (await kie.http.get(link)).content
    try:
        with Image.open(BytesIO(content)) as image:
            image.load()
            return "image"
    except OSError:
        return _kind_of_clip(content)


def _kind_of_clip(content: bytes) -> str:
    with av.open(BytesIO(content), "r") as container:
        stream = (container.streams.video or container.streams.audio)[0]
        assert sum(1 for _ in container.decode(stream)) > 1
        return str(stream.type)
