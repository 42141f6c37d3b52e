"""The photo or document of a call: uploaded, downloaded from a link, or known by its id."""

import re
from pathlib import PurePosixPath
from typing import Literal, TypeAlias
from urllib.parse import unquote, urlsplit

import httpx2

from sandbox.telegram.call import Call
from sandbox.telegram.error import ApiError, bad_request
from sandbox.telegram.file import media_to_api, wrong_file
from sandbox.telegram.limit import FILE_LINK_BYTES, PHOTO_LINK_BYTES
from sandbox.telegram.model import Json
from sandbox.telegram.param import Params, Upload

MediaKind: TypeAlias = Literal["photo", "document"]
LINK_TYPES = {
    "photo": re.compile(r"image/.+"),
    "document": re.compile(r"application/(?:pdf|zip)|image/gif"),
}
"""What a link may serve; documents by link are PDF, ZIP and GIF only (Bot API, Sending files)."""

LINK_BYTES = {"photo": PHOTO_LINK_BYTES, "document": FILE_LINK_BYTES}


async def read_media(call: Call, kind: MediaKind) -> Json:
    """Return the `photo` or `document` field that a send method's own parameter names."""
    upload = call.params.files.get(kind)
    source = call.params.text(kind)
    if upload is None and not source:
        raise bad_request(f"there is no {kind} in the request")
    return await _media(call, kind, source=upload or source)


async def read_input_media(call: Call, item: Params) -> tuple[MediaKind, Json]:
    """Return what an `InputMedia` object is, and its field."""
    kind = _kind(item.text("type"))
    source = item.text("media")
    if not source or (source.startswith("attach://") and not _attached(item, source)):
        raise bad_request("can't parse InputMedia: media not found")
    return kind, await _media(call, kind, source=source)


def _kind(name: str) -> MediaKind:
    if name == "photo":
        return "photo"
    if name == "document":
        return "document"
    raise bad_request(f'can\'t parse InputMedia: type "{name}" is unsupported')


def _attached(params: Params, source: str) -> Upload | None:
    """Return the upload that an `attach://<name>` means."""
    is_reference = source.startswith("attach://")
    return params.files.get(source.removeprefix("attach://")) if is_reference else None


async def _media(call: Call, kind: MediaKind, *, source: str | Upload) -> Json:
    if isinstance(source, str):
        source = _attached(call.params, source) or source
    if isinstance(source, str):
        if "." not in source:
            return _known(call, kind, file_id=source)
        source = await _downloaded(call, kind, url=source)
    files = call.server.files
    stored = files.add_photo(source.data) if kind == "photo" else files.add_document(source)
    return _shown(call, await stored)


def _shown(call: Call, ids: list[str]) -> Json:
    return media_to_api([call.server.files.files[one] for one in ids], bot_id=call.bot.id)


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
