"""Examines uploads of every kind, and leaves in their files what of them is kept.

The first bytes say where to look: a picture is read whole, which its size allows; a clip of any
size is read in pieces.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from generation_svc.media.examination import heif, old_picture
from generation_svc.media.examination.examine import Picture, examine_upload
from generation_svc.media.examination.layout import Fault, Refused
from generation_svc.media.examination.remux import rewrite
from generation_svc.media.examination.result import Found
from generation_svc.media.examination.sniff import HEAD_BYTES, upload_format

_NAMES = {"image": "images", "video": "videos", "audio": "sound"}


def examine_file(path: Path, *, max_bytes: Mapping[str, int]) -> Found:
    """Say what an upload is; `max_bytes` are those of each kind that is taken. Raises Refused."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    known = upload_format(head)
    if known is not None:
        clip = rewrite(path, known)
        found = Found(clip.mime_type, clip.width, clip.height, clip.duration_ms)
    else:
        found = _picture(path, head=head, most=max_bytes.get("image", 0))
    _check(found.mime_type.partition("/")[0], path.stat().st_size, max_bytes=max_bytes)
    return found


def _picture(path: Path, *, head: bytes, most: int) -> Found:
    _check_size("image", path.stat().st_size, most=most)
    data = path.read_bytes()
    picture = examine_upload(_readable(data, head=head))
    _replace(path, picture)
    return Found(picture.mime_type, picture.width, picture.height)


def _readable(data: bytes, *, head: bytes) -> bytes:
    """Return a picture as every model reads it."""
    if heif.is_heif(head):
        return heif.convert(data)
    return old_picture.convert(data) if old_picture.is_old(head) else data


def _check(kind: str, size: int, *, max_bytes: Mapping[str, int]) -> None:
    if kind not in max_bytes:
        raise Refused(Fault.UNKNOWN, f"No model accepts {_NAMES.get(kind, 'such files')}.")
    _check_size(kind, size, most=max_bytes[kind])


def _check_size(kind: str, size: int, *, most: int) -> None:
    if size > most:
        text = f"The file is larger than {most // 10**6} MB, the most for {_NAMES[kind]}."
        raise Refused(Fault.LIMIT, text)


def _replace(path: Path, picture: Picture) -> None:
    """Put other bytes in the place of a file, at once: who comes after this process finds one."""
    beside = path.with_suffix(".new")
    beside.write_bytes(picture.data)
    beside.replace(path)
