import os
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from obstore.store import S3Store

from generation_svc.domain.error import MediaNotFound, Unavailable
from generation_svc.media.store import LIST_PIECE, PIECE_BYTES, ObjectMediaStore, open_media
from tests.media import holding, put, read
from tests.small_disk import no_file_beyond

DATA = bytes(range(256)) * 2500


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "a folder" / "media"


@pytest.fixture
def store(folder: Path) -> ObjectMediaStore:
    return open_media(str(folder))


async def streamed(store: ObjectMediaStore, key: str) -> list[bytes]:
    return [piece async for piece in store.stream(key)]


async def test_bytes_come_back(store: ObjectMediaStore) -> None:
    await put(store, "result/1", DATA)
    assert await read(store, "result/1") == DATA


async def test_stream_gives_bounded_pieces(store: ObjectMediaStore) -> None:
    await put(store, "result/1", DATA)
    pieces = await streamed(store, "result/1")
    assert b"".join(pieces) == DATA
    assert max(map(len, pieces)) <= PIECE_BYTES
    assert all(type(piece) is bytes for piece in pieces)


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 1), (600_000, None), (600_000, 300), (0, len(DATA)), (7, 0)]
)
async def test_a_part_is_read_alone(
    store: ObjectMediaStore, *, offset: int, length: int | None
) -> None:
    await put(store, "result/1", DATA)
    end = len(DATA) if length is None else offset + length
    part = [piece async for piece in store.stream("result/1", offset=offset, length=length)]
    assert b"".join(part) == DATA[offset:end]
    assert all(len(piece) <= PIECE_BYTES for piece in part)


async def test_a_part_of_what_is_missing_is_missing(store: ObjectMediaStore) -> None:
    with pytest.raises(MediaNotFound):
        await anext(store.stream("result/1", offset=5, length=10))


async def test_no_bytes_are_a_stream_of_nothing(store: ObjectMediaStore) -> None:
    await put(store, "result/1", b"")
    assert b"".join(await streamed(store, "result/1")) == b""
    assert await read(store, "result/1") == b""


async def test_same_key_replaces(store: ObjectMediaStore) -> None:
    await put(store, "result/1", DATA)
    await put(store, "result/1", b"new")
    assert await read(store, "result/1") == b"new"


async def test_reader_keeps_the_bytes_it_began_with(store: ObjectMediaStore) -> None:
    await put(store, "result/1", DATA)
    stream = store.stream("result/1")
    first = await anext(stream)
    await put(store, "result/1", b"new")
    assert first + b"".join([piece async for piece in stream]) == DATA


async def test_large_file_leaves_nothing_else_behind(store: ObjectMediaStore, folder: Path) -> None:
    await put(store, "result/1", bytes(6 * 2**20))
    assert [path.name for path in (folder / "result").iterdir()] == ["1"]


async def test_missing_key_is_said(store: ObjectMediaStore) -> None:
    with pytest.raises(MediaNotFound):
        await read(store, "result/1")
    with pytest.raises(MediaNotFound):
        await streamed(store, "result/1")


async def test_deleted_bytes_are_gone_and_may_be_deleted_again(store: ObjectMediaStore) -> None:
    await put(store, "result/1", DATA)
    await store.delete("result/1")
    await store.delete("result/1")
    with pytest.raises(MediaNotFound):
        await read(store, "result/1")


@pytest.mark.parametrize("key", ["../outside", "a/../../outside", "a//b"])
async def test_key_never_leaves_the_folder(store: ObjectMediaStore, key: str) -> None:
    with pytest.raises(ValueError, match="parse path"):
        await put(store, key, DATA)


async def test_store_that_cannot_write_is_away(store: ObjectMediaStore, folder: Path) -> None:
    (folder / "result").write_bytes(b"a file where a folder should be")
    with pytest.raises(Unavailable):
        await put(store, "result/1", DATA)


async def test_a_full_disk_is_away_for_a_moment_and_leaves_nothing_half_written(
    store: ObjectMediaStore, folder: Path
) -> None:
    await put(store, "result/1", b"old")
    with (
        holding(DATA) as path,
        no_file_beyond(len(DATA) // 2),
        pytest.raises(Unavailable),
    ):
        await store.put_file("result/1", path)
    assert await read(store, "result/1") == b"old"
    assert [path.name for path in (folder / "result").iterdir()] == ["1"]
    assert list((folder / "unfinished").iterdir()) == []

    await put(store, "result/1", DATA)
    assert await read(store, "result/1") == DATA


async def test_file_url_is_a_folder(folder: Path) -> None:
    store = open_media(folder.as_uri())
    await put(store, "result/1", DATA)
    assert (folder / "result" / "1").read_bytes() == DATA


async def test_nothing_said_is_the_default_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await put(open_media(), "result/1", DATA)
    assert (tmp_path / ".atelier" / "media" / "result" / "1").read_bytes() == DATA


def test_bucket_is_opened_without_asking_it() -> None:
    bucket = open_media("s3://bucket/prefix").backend
    assert isinstance(bucket, S3Store)
    assert (bucket.config["bucket"], bucket.prefix) == ("bucket", "prefix")


@pytest.mark.parametrize("url", ["ftp://host/path", "s3://", "/dev/null/media"])
def test_bad_url_is_said_in_one_line(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(it must be a folder|media cannot be kept)[^\n]*$"):
        open_media(url)


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


async def test_a_large_file_is_never_in_memory(store: ObjectMediaStore, folder: Path) -> None:
    size = 64 * 2**20
    with holding(b"") as path:
        os.truncate(path, size)
        tracemalloc.start()
        try:
            await store.put_file("result/1", path)
            count = 0
            async for piece in store.stream("result/1"):
                count += len(piece)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert count == size
    assert peak < 4 * 2**20


async def test_what_is_being_written_is_listed_apart(store: ObjectMediaStore, folder: Path) -> None:
    """A process that was killed over a file leaves it there."""
    (folder / "unfinished").mkdir(parents=True)
    (folder / "unfinished" / "left").write_bytes(b"half of it")
    listed = [each.key async for piece in store.list("unfinished/") for each in piece]
    assert listed == ["unfinished/left"]
    await store.delete("unfinished/left")
    assert [piece async for piece in store.list("unfinished/")] == []
