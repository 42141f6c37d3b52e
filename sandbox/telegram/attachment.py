"""The media of a call: uploaded, downloaded from a link, or known by its id."""

import asyncio
import re
from pathlib import PurePosixPath
from typing import Literal, TypeAlias, get_args
from urllib.parse import unquote, urlsplit

import httpx2

from sandbox.telegram.call import Call
from sandbox.telegram.error import ApiError, bad_request
from sandbox.telegram.file import wrong_file
from sandbox.telegram.limit import FILE_LINK_BYTES, PHOTO_LINK_BYTES
from sandbox.telegram.model import Json
from sandbox.telegram.param import Params, Upload
from sandbox.telegram.picture import Picture, sent_thumbnail

MediaKind: TypeAlias = Literal["photo", "document", "video", "audio"]
MEDIA_KINDS: tuple[MediaKind, ...] = get_args(MediaKind)
LINK_TYPES = {
    "photo": re.compile(r"image/.+"),
    "document": re.compile(r"application/(?:pdf|zip)|image/gif"),
    "video": re.compile(r"video/.+"),
    "audio": re.compile(r"audio/.+"),
}
"""What a link may serve; documents by link are PDF, ZIP and GIF only (Bot API, Sending files)."""

LINK_BYTES = dict.fromkeys(MEDIA_KINDS, FILE_LINK_BYTES) | {"photo": PHOTO_LINK_BYTES}
MP4 = re.compile(rb"....ftyp", re.DOTALL)
SONG = re.compile(rb"ID3|\xff[\xe0-\xff]|....ftypM4A", re.DOTALL)
"""How what Telegram plays begins; anything else that is sent as such becomes a document."""


async def read_media(call: Call, kind: MediaKind) -> Json:
    """Return the field of a message that a send method's own parameter, such as `photo`, names."""
    upload = call.params.files.get(kind)
    source = call.params.text(kind)
    if upload is None and not source:
        raise bad_request(f"there is no {kind} in the request")
    return await _media(call, kind, source=upload or source, item=call.params)


async def read_input_media(call: Call, item: Params) -> tuple[MediaKind, Json]:
    """Return what an `InputMedia` object is, and its field."""
    kind = _kind(item.text("type"))
    source = item.text("media")
    if not source or (source.startswith("attach://") and not _attached(item, source)):
        raise bad_request("can't parse InputMedia: media not found")
    return kind, await _media(call, kind, source=source, item=item)


def _kind(name: str) -> MediaKind:
    kind = next((kind for kind in MEDIA_KINDS if kind == name), None)
    if kind is None:
        raise bad_request(f'can\'t parse InputMedia: type "{name}" is unsupported')
    return kind


def _attached(params: Params, source: str) -> Upload | None:
    """Return the upload that an `attach://<name>` means."""
    is_reference = source.startswith("attach://")
    return params.files.get(source.removeprefix("attach://")) if is_reference else None


async def _media(call: Call, kind: MediaKind, *, source: str | Upload, item: Params) -> Json:
    if isinstance(source, str):
        source = _attached(call.params, source) or source
    if isinstance(source, str):
        if "." not in source:
            return _known(call, kind, file_id=source)
        source = await _downloaded(call, kind, url=source)
    if kind == "photo":
        return _shown(call, await call.server.files.add_photo(source.data))
    return _shown(call, await _kept(call, kind, upload=source, item=item))


async def _kept(call: Call, kind: MediaKind, *, upload: Upload, item: Params) -> list[str]:
    files, preview = call.server.files, await _preview(item)
    if kind == "video" and MP4.match(upload.data):
        about: Json = {name: item.integer(name) for name in ("width", "height", "duration")}
        ids = files.add_playable("Video", upload, about=about, preview=preview)
        files.files[ids[0]].cover = await _cover(call, item)
        return ids
    if kind == "audio" and SONG.match(upload.data):
        named = {name: item.text(name) for name in ("performer", "title") if item.text(name)}
        song: Json = {"duration": item.integer("duration"), **named}
        return files.add_playable("Audio", upload, about=song, preview=preview)
    return await files.add_document(upload, preview=preview)


async def _preview(item: Params) -> Picture | None:
    """Return the preview that came along; one that is no upload or too large is ignored."""
    sent = item.files.get("thumbnail") or _attached(item, item.text("thumbnail"))
    return await asyncio.to_thread(sent_thumbnail, sent.data) if sent else None


async def _cover(call: Call, item: Params) -> list[str]:
    sent = item.files.get("cover") or _attached(item, item.text("cover"))
    return await call.server.files.add_photo(sent.data) if sent else []


def _shown(call: Call, ids: list[str]) -> Json:
    return call.server.files.shown(ids, bot_id=call.bot.id)


def _known(call: Call, kind: MediaKind, *, file_id: str) -> Json:
    file = call.server.files.for_bot(call.bot.id, file_id=file_id)
    if file is None:
        raise wrong_file()
    if file.kind.lower() != kind:
        raise bad_request(f"can't use file of type {file.kind} as {kind.capitalize()}")
    return _shown(call, file.siblings)


async def _downloaded(call: Call, kind: MediaKind, *, url: str) -> Upload:
    url = url if "://" in url else f"http://{url}"
    if urlsplit(url).scheme not in ("http", "https"):
        raise bad_request("invalid file HTTP URL specified: Unsupported URL protocol")
    try:
        data, mime_type = await _fetched(call, url=url, limit=LINK_BYTES[kind])
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise _unreachable() from error
    if not data or not LINK_TYPES[kind].fullmatch(mime_type):
        raise bad_request("wrong type of the web page content")
    return Upload(unquote(PurePosixPath(urlsplit(url).path).name) or "file", data)


async def _fetched(call: Call, *, url: str, limit: int) -> tuple[bytes, str]:
    timeout = call.server.settings.link_timeout_s
    data = bytearray()
    async with call.server.client.stream("GET", url, timeout=timeout) as response:
        response.raise_for_status()
        async for chunk in response.aiter_bytes():
            data += chunk
            if len(data) > limit:
                raise _unreachable()
    return bytes(data), response.headers.get("content-type", "").partition(";")[0].strip()


def _unreachable() -> ApiError:
    return bad_request("failed to get HTTP URL content")
