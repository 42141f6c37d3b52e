"""The process that examines media: `python -m generation_svc.media.examination LIMITS`.

It reads an order a line and answers each with a line, both in JSON. It imports Pillow, PyAV where
there is a clip, and nothing of the service; it knows no secret, and bounds itself: whatever a file
does to it, the service only sees that it has ended.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import time
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

Order = dict[str, Any]
_FILE_BYTES = 64 * 2**20
"""How much more than what it reads a process may write: a picture that is stored otherwise."""
_BYTES_PER_SECOND = 32 * 2**20
"""How fast a file is read at least: a large one may take longer."""
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Answer orders until there are no more."""
    limits = json.loads(sys.argv[1])
    _end_with(limits["parent"])
    _bound(memory_bytes=limits["memory_bytes"])
    os.nice(limits["nice"])
    for line in sys.stdin:
        order = json.loads(line)
        _allow(order, cpu_seconds=limits["cpu_seconds"])
        sys.stdout.write(json.dumps(_answer(order)) + "\n")
        sys.stdout.flush()


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


def _end_with(parent: int) -> None:
    """Have the kernel end this process with the service; elsewhere the end of its orders does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's; the service says when to end
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit(1)


def _bound(*, memory_bytes: int) -> None:
    for kind, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        _set_limit(kind, most)


def _allow(order: Order, *, cpu_seconds: int) -> None:
    """Let an order write what is written anew of its file, and take the time for that."""
    seconds = cpu_seconds + order["size_bytes"] // _BYTES_PER_SECOND
    _set_limit(resource.RLIMIT_FSIZE, order["size_bytes"] + _FILE_BYTES)
    _set_limit(resource.RLIMIT_CPU, int(time.process_time()) + 1 + _slow_seconds(order, seconds))


def _slow_seconds(order: Order, seconds: int) -> int:
    """Return the time for an order: what is written as another type takes as long as it takes."""
    with Path(order["path"]).open("rb") as file:
        head = file.read(HEAD_BYTES)
    is_changed = order["task"] == "upload" and (is_heif(head) or is_old(head))
    return max(seconds, CPU_SECONDS) if is_changed else seconds


def _set_limit(kind: int, most: int) -> None:
    """Set a limit that the kernel holds this process to; it ends one that takes more."""
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (min(most, hard) if hard != resource.RLIM_INFINITY else most, hard))


if __name__ == "__main__":
    main()
