"""Bytes in a media store, for tests that have few of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from generation_svc.domain.port.media import ByteStore


async def put(store: ByteStore, key: str, data: bytes) -> None:
    """Keep bytes as the service does: from a file."""
    with holding(data) as path:
        await store.put_file(key, path)


async def read(store: ByteStore, key: str) -> bytes:
    """Give all the bytes."""
    return b"".join([piece async for piece in store.stream(key)])


@contextmanager
def holding(data: bytes) -> Iterator[Path]:
    """Hold bytes in a file while the block runs."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        yield path
