"""The process that examines media: `python -m generation_svc.media.examination LIMITS`.

It imports Pillow, PyAV where there is a clip, and nothing of the service; it knows no secret, and
bounds itself (`runtime.child`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from generation_svc.media.examination import upload
from generation_svc.media.examination.examine import Picture, clean_upload
from generation_svc.media.examination.heif import CPU_SECONDS, is_heif
from generation_svc.media.examination.layout import Fault, Refused
from generation_svc.media.examination.old_picture import is_old
from generation_svc.media.examination.poster import poster_of
from generation_svc.media.examination.result import Found, digest_of, examine_file
from generation_svc.media.examination.sniff import HEAD_BYTES
from runtime import child
from runtime.child import Order

_FILE_BYTES = 64 * 2**20
"""How much more than what it reads a process may write: a picture that is stored otherwise."""
_BYTES_PER_SECOND = 32 * 2**20
"""How fast a file is read at least: a large one may take longer."""


def main() -> None:
    """Answer orders until there are no more."""
    limits = child.begin()
    for order in child.orders():
        _allow(order, cpu_seconds=limits["cpu_seconds"])
        child.reply(_answer(order))


def _answer(order: Order) -> dict[str, Any]:
    path = Path(order["path"])
    try:
        found = _TASKS[order["task"]](path, order)
        size, sha256 = path.stat().st_size, digest_of(path)
    except Refused as error:
        return {"fault": error.fault, "text": error.text}
    except MemoryError:
        return {"fault": Fault.LIMIT, "text": "Reading the image needs too much memory."}
    except OSError as error:  # the disk's, not the file's
        return {"problem": f"{type(error).__name__}: {error.strerror}"}
    return {**_fields(path, found), "size_bytes": size, "sha256": sha256}


def _fields(path: Path, found: Found) -> dict[str, Any]:
    """Say what was found, and all of a poster."""
    fields = asdict(found)
    size = fields.pop("poster_size")
    if size is None:
        return fields
    poster = poster_of(path)
    told = {"width": size[0], "height": size[1], "sha256": digest_of(poster)}
    return fields | {"poster": told | {"size_bytes": poster.stat().st_size}}


def _upload(path: Path, order: Order) -> Found:
    return upload.examine_file(path, max_bytes=order["max_bytes"])


def _clean(path: Path, order: Order) -> Found:
    return _rewritten(path, clean_upload)


def _result(path: Path, order: Order) -> Found:
    return examine_file(path, is_media_promised=order["is_media_promised"])


def _file(path: Path, order: Order) -> Found:
    return Found()


_TASKS: dict[str, Callable[[Path, Order], Found]] = {
    "upload": _upload,
    "clean": _clean,
    "result": _result,
    "file": _file,
}
"""What can be asked for; a `file` is counted and nothing of it is read as anything."""


def _rewritten(path: Path, examine: Callable[[bytes], Picture]) -> Found:
    """Examine a picture, and leave in its file what of it is kept."""
    picture = examine(path.read_bytes())
    _replace(path, picture.data)
    return Found(picture.mime_type, picture.width, picture.height)


def _replace(path: Path, data: bytes) -> None:
    """Put other bytes in the place of a file, at once: who comes after this process finds one."""
    beside = path.with_suffix(".new")
    beside.write_bytes(data)
    beside.replace(path)


def _allow(order: Order, *, cpu_seconds: int) -> None:
    """Let an order write what is written anew of its file, and take the time for that."""
    seconds = cpu_seconds + order["size_bytes"] // _BYTES_PER_SECOND
    child.allow(
        cpu_seconds=_slow_seconds(order, seconds), file_bytes=order["size_bytes"] + _FILE_BYTES
    )


def _slow_seconds(order: Order, seconds: int) -> int:
    """Return the time for an order: what is written as another type takes as long as it takes."""
    with Path(order["path"]).open("rb") as file:
        head = file.read(HEAD_BYTES)
    is_changed = order["task"] == "upload" and (is_heif(head) or is_old(head))
    return max(seconds, CPU_SECONDS) if is_changed else seconds


if __name__ == "__main__":
    main()
