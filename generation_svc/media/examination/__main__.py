"""The process that examines pictures: `python -m generation_svc.media.examination LIMITS`.

It reads an order a line and answers each with a line, both in JSON. It imports Pillow and nothing
of the service, knows no secret, and bounds itself: whatever a picture does to it, the service only
sees that it has ended.
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
from hashlib import sha256
from pathlib import Path
from typing import Any

from generation_svc.media.examination.examine import (
    Picture,
    clean_upload,
    examine_result,
    examine_upload,
)
from generation_svc.media.examination.layout import Fault, Refused

_TASKS: dict[str, Callable[[bytes], Picture]] = {
    "upload": examine_upload,
    "result": examine_result,
    "clean": clean_upload,
}
_FILE_BYTES = 64 * 2**20
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Answer orders until there are no more."""
    limits = json.loads(sys.argv[1])
    _end_with(limits["parent"])
    _bound(memory_bytes=limits["memory_bytes"])
    os.nice(limits["nice"])
    for line in sys.stdin:
        _allow_seconds(limits["cpu_seconds"])
        sys.stdout.write(json.dumps(_answer(json.loads(line))) + "\n")
        sys.stdout.flush()


def _answer(order: dict[str, Any]) -> dict[str, Any]:
    source = Path(order["path"])
    try:
        data = source.read_bytes()
        picture = _TASKS[order["task"]](data)
        if order["is_rewritten"]:
            _replace(source, picture.data)
    except Refused as error:
        return {"fault": error.fault, "text": error.text}
    except MemoryError:
        return {"fault": Fault.LIMIT, "text": "The picture needs too much memory to be read."}
    except OSError as error:  # the disk's, not the picture's
        return {"problem": f"{type(error).__name__}: {error.strerror}"}
    return {
        "mime_type": picture.mime_type,
        "width": picture.width,
        "height": picture.height,
        "size_bytes": len(picture.data),
        "sha256": sha256(picture.data).hexdigest(),
    }


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
        (resource.RLIMIT_FSIZE, _FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        is_bounded = hard != resource.RLIM_INFINITY
        resource.setrlimit(kind, (min(most, hard) if is_bounded else most, hard))


def _allow_seconds(seconds: int) -> None:
    """Let the next order use so much of a processor; the kernel ends a process that uses more."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 1 + seconds, hard))


if __name__ == "__main__":
    main()
