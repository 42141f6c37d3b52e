"""The store in a bucket, against moto's server: reached as an operator sets it, by environment."""

import asyncio
import os
import re
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx2
import pytest
from moto.server import ThreadedMotoServer
from structlog.testing import capture_logs

from generation_svc.domain.error import MediaNotFound, Unavailable
from generation_svc.domain.job import JobState
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.media.store import (
    LIST_PIECE,
    MOST_FILES,
    PIECE_BYTES,
    SMALL_BYTES,
    ObjectMediaStore,
    open_media,
)
from generation_svc.usecase.download_media import download
from tests.e2e.program import until
from tests.lifecycle import CALLER, LINK, SUCCESS, Harness
from tests.media import holding, put, read

DATA = bytes(range(256)) * 2500


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new bucket, and the environment that leads to it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_url)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    name = f"media-{uuid4().hex}"
    assert httpx2.put(f"{s3_url}/{name}").status_code == 200
    return name


@pytest.fixture
def store(bucket: str) -> ObjectMediaStore:
    return open_media(f"s3://{bucket}/results/of today")


def with_store(deps: Dependencies, store: ObjectMediaStore) -> Dependencies:
    return replace(deps, media=replace(deps.media, store=store))


async def test_bytes_come_back_whole_and_in_pieces(store: ObjectMediaStore) -> None:
    await put(store, "result/1", DATA)
    pieces = [piece async for piece in store.stream("result/1")]
    assert await read(store, "result/1") == b"".join(pieces) == DATA
    assert max(map(len, pieces)) <= PIECE_BYTES


async def test_a_part_is_asked_of_the_bucket_alone(store: ObjectMediaStore) -> None:
    await put(store, "result/1", DATA)
    part = [piece async for piece in store.stream("result/1", offset=600_000, length=300)]
    assert b"".join(part) == DATA[600_000:600_300]
    rest = [piece async for piece in store.stream("result/1", offset=639_000)]
    assert b"".join(rest) == DATA[639_000:]


async def test_same_key_replaces(store: ObjectMediaStore) -> None:
    await put(store, "result/1", DATA)
    await put(store, "result/1", b"new")
    assert await read(store, "result/1") == b"new"


async def test_keys_lie_under_the_prefix(store: ObjectMediaStore, bucket: str, s3_url: str) -> None:
    await put(store, "result/1", DATA)
    assert "<Key>results/of today/result/1</Key>" in httpx2.get(f"{s3_url}/{bucket}").text
    with pytest.raises(MediaNotFound):
        await read(open_media(f"s3://{bucket}/elsewhere"), "result/1")


async def test_deleted_bytes_are_gone_and_may_be_deleted_again(store: ObjectMediaStore) -> None:
    await put(store, "result/1", DATA)
    await store.delete("result/1")
    await store.delete("result/1")
    with pytest.raises(MediaNotFound):
        await read(store, "result/1")
    with pytest.raises(MediaNotFound):
        await anext(store.stream("result/1"))


async def assert_away(store: ObjectMediaStore) -> None:
    with pytest.raises(Unavailable):
        await put(store, "result/1", DATA)
    with pytest.raises(Unavailable):
        await read(store, "result/1")
    with pytest.raises(Unavailable):
        await store.delete("result/1")


async def test_a_bucket_that_is_not_there_is_away_and_not_empty(bucket: str) -> None:
    await assert_away(open_media(f"s3://no-{bucket}"))


async def test_a_server_that_does_not_answer_is_away(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    await assert_away(open_media(f"s3://{bucket}"))


async def test_a_job_ends_with_its_picture_in_the_bucket(
    harness: Harness, store: ObjectMediaStore
) -> None:
    deps = with_store(harness.deps, store)
    harness = replace(harness, deps=deps)
    harness.fetcher.links = {LINK: DATA}
    job = await harness.run()
    await harness.callback(SUCCESS)

    await harness.fetch_all()

    job = await harness.job(job)
    assert job.state is JobState.SUCCEEDED
    assert job.result is not None
    (media,) = job.result.media
    found = await download(deps, CALLER, media_id=media.id)
    assert b"".join([piece async for piece in found.pieces]) == DATA


async def test_a_bucket_that_is_away_for_a_while_delays_the_result(
    harness: Harness, bucket: str, s3_url: str
) -> None:
    store = open_media(f"s3://late-{bucket}")
    harness = replace(harness, deps=with_store(harness.deps, store))
    job = await harness.run()
    await harness.callback(SUCCESS)
    await harness.fetch_all()
    assert (await harness.job(job)).state is JobState.RUNNING
    assert "fetch_failed" in await harness.events(job)

    assert httpx2.put(f"{s3_url}/late-{bucket}").status_code == 200
    await harness.later(minutes=6)
    await harness.fetch_all()

    assert (await harness.job(job)).state is JobState.SUCCEEDED


async def test_bytes_that_are_gone_are_named_as_the_caller_knows_them(
    harness: Harness, store: ObjectMediaStore
) -> None:
    deps = with_store(harness.deps, store)
    harness = replace(harness, deps=deps)
    job = await harness.run()
    await harness.callback(SUCCESS)
    await harness.fetch_all()
    result = (await harness.job(job)).result
    assert result is not None
    (row,) = await harness.query("SELECT id, key FROM media")
    await store.delete(row["key"])

    found = await download(deps, CALLER, media_id=result.media[0].id)
    with pytest.raises(MediaNotFound) as told:
        await anext(found.pieces)

    assert told.value.media_id == str(result.media[0].id)
    assert row["key"] not in str(told.value)


async def test_what_is_kept_is_listed_in_pieces_by_prefix(store: ObjectMediaStore) -> None:
    begin = datetime.now(UTC) - timedelta(seconds=5)
    keys = {f"result/{number % 7}/{number}" for number in range(LIST_PIECE + 20)}
    for key in keys:
        await put(store, key, b"x")
    await put(store, "upload/1", b"x")

    pieces = [piece async for piece in store.list("result/")]

    assert {each.key for piece in pieces for each in piece} == keys
    assert max(map(len, pieces)) <= LIST_PIECE
    assert min(each.write_time for piece in pieces for each in piece) >= begin
    assert [piece async for piece in store.list("nothing/")] == []


LARGE = bytes(range(256)) * 4 * 1024 * 8
"""Enough that it is streamed: 8 MiB."""


async def test_a_large_file_is_streamed_into_the_bucket(
    store: ObjectMediaStore, bucket: str, s3_url: str
) -> None:
    with holding(LARGE) as path:
        await store.put_file("result/1", path)
    assert await read(store, "result/1") == LARGE
    assert "<Key>results/of today/result/1</Key>" in httpx2.get(f"{s3_url}/{bucket}").text
    assert "<Upload>" not in httpx2.get(f"{s3_url}/{bucket}?uploads").text


@dataclass
class Bucket:
    """Takes files and throws them away; the first answers may be others, or none at all."""

    statuses: list[int] = field(default_factory=list)
    body: str = ""
    """What it says of a request."""
    waiting: int = 0
    """How many large files it has kept waiting."""
    may_take: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared while it takes no large file."""
    received: list[tuple[str, int]] = field(default_factory=list)
    """The first line and the bytes of each request."""

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(re.search(r"content-length: (\d+)", head)[1])  # type: ignore[index]
        status, left = self.statuses.pop(0) if self.statuses else 200, length
        if length > SMALL_BYTES:
            self.waiting += 1
            await self.may_take.wait()
        while left and status:
            left -= len(await reader.read(min(left, 2**16)))
        self.received.append((head.splitlines()[0], length - left))
        if status:
            head = f"HTTP/1.1 {status} X\r\netag: x\r\ncontent-length: {len(self.body)}"
            writer.write(f"{head}\r\n\r\n{self.body}".encode())
        writer.close()


@pytest.fixture
async def own_bucket(monkeypatch: pytest.MonkeyPatch, bucket: str) -> AsyncIterator[Bucket]:
    taking = Bucket()
    taking.may_take.set()
    server = await asyncio.start_server(taking.take, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        yield taking


async def test_a_large_file_is_one_request_and_never_in_memory(own_bucket: Bucket) -> None:
    store, size = open_media("s3://bucket/of ours"), 64 * 2**20
    with holding(b"") as path:
        os.truncate(path, size)
        tracemalloc.start()
        try:
            await store.put_file("result/1", path)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    ((line, received),) = own_bucket.received
    assert line.startswith("put /bucket/of%20ours/result/1?")
    assert received == size
    assert peak < 8 * 2**20


async def test_a_large_file_is_sent_again_where_the_bucket_fails(own_bucket: Bucket) -> None:
    own_bucket.statuses = [500, 0]
    with holding(LARGE) as path:
        await open_media("s3://bucket").put_file("result/1", path)
    assert [received for _, received in own_bucket.received] == [len(LARGE), 0, len(LARGE)]


async def test_a_bucket_that_takes_no_large_file_is_away(own_bucket: Bucket) -> None:
    own_bucket.statuses = [403] * 3
    with holding(LARGE) as path, pytest.raises(Unavailable):
        await open_media("s3://bucket").put_file("result/1", path)


async def test_what_a_bucket_says_is_logged_without_what_the_request_was_signed_with(
    own_bucket: Bucket,
) -> None:
    own_bucket.statuses = [400] * 3
    own_bucket.body = "<Error><Code>ExpiredToken</Code><Token-0>a-session-token</Token-0></Error>"
    with holding(LARGE) as path, capture_logs() as lines, pytest.raises(Unavailable):
        await open_media("s3://bucket").put_file("result/1", path)
    assert [line["reason"] for line in lines] == ["the bucket took no file: HTTP 400 ExpiredToken"]


async def test_a_small_file_does_not_wait_for_large_ones(own_bucket: Bucket) -> None:
    own_bucket.may_take.clear()

    async def are_waiting() -> bool:
        return own_bucket.waiting == MOST_FILES

    store = open_media("s3://bucket")
    with holding(LARGE) as large, holding(b"small") as small:
        films = [asyncio.create_task(store.put_file(f"film/{n}", large)) for n in range(MOST_FILES)]
        await until(are_waiting, within_s=20, what="large files at the bucket")
        await asyncio.wait_for(store.put_file("photo/1", small), 20)
        assert not any(film.done() for film in films)
        own_bucket.may_take.set()
        await asyncio.gather(*films)
