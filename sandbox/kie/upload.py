"""The upload host: a file as a stream, in base64, or by link (kie-api.md §5)."""

import base64
import binascii
import mimetypes
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.kie.fetch import FetchError, fetch
from sandbox.kie.file import File
from sandbox.kie.state import Kie, kie_of
from sandbox.kie.task_runner import TaskRunner

LARGEST_BYTES = 500_000_000
"""The largest file that is taken by link."""
ACCOUNT = 136592
"""The number of the account, which every path of its uploads begins with."""


class UploadError(Exception):
    """An upload is refused, in the words and with the code of the upload host."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message

    def response(self) -> Response:
        """Return the answer to send."""
        body = {"success": False, "code": self.code, "msg": self.message}
        return JSONResponse(body, self.code)


UNAUTHORIZED = UploadError(401, "Authentication failed: Invalid API Key")
INTERNAL = UploadError(500, "Internal server error")
NOT_BASE64 = UploadError(400, "Base64 decoding failed: Invalid Base64 format")


async def stream_upload(request: Request) -> Response:
    """Keep the file of a multipart form."""
    async with request.form() as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise _missing("file")
        fields = {"fileName": file.filename, **{k: v for k, v in form.items() if v}}
        content, mime_type = await file.read(), file.content_type
    return _kept(kie_of(request), content, fields=fields, mime_type=mime_type)


async def base64_upload(request: Request) -> Response:
    """Keep a file that came as base64, with or without the head of a data URL."""
    fields = await _json(request)
    text = str(_required(fields, "base64Data"))
    head, _, data = text.rpartition(",")
    try:
        content = base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise NOT_BASE64 from error
    mime_type = head.removeprefix("data:").partition(";")[0] or None
    return _kept(kie_of(request), content, fields=fields, mime_type=mime_type)


async def url_upload(request: Request) -> Response:
    """Keep a file that is fetched from a link."""
    fields, kie = await _json(request), kie_of(request)
    task_runner: TaskRunner = request.state.task_runner
    url = str(_required(fields, "fileUrl"))
    try:
        content = await fetch(url, files=kie.files, client=task_runner.client, limit=LARGEST_BYTES)
    except FetchError as error:
        raise INTERNAL from error
    return _kept(kie, content, fields=fields, mime_type=None)


async def _json(request: Request) -> dict[str, Any]:
    try:
        fields = await request.json()
    except ValueError as error:
        raise INTERNAL from error
    return fields if isinstance(fields, dict) else {}


def _required(fields: Mapping[str, Any], name: str) -> Any:
    if not fields.get(name):
        raise _missing(name)
    return fields[name]


def _missing(name: str) -> UploadError:
    return UploadError(400, f"Missing required parameter: {name}")


def _kept(
    kie: Kie, content: bytes, *, fields: Mapping[str, Any], mime_type: str | None
) -> Response:
    folder = str(_required(fields, "uploadPath")).strip("/")
    name = str(fields.get("fileName") or secrets.token_hex(8))
    mime_type = mime_type or mimetypes.guess_type(name)[0] or "application/octet-stream"
    path = f"kieai/{ACCOUNT}/{folder}/{name}"
    file = File(content=content, mime_type=mime_type, ttl_s=kie.settings.upload_ttl_s)
    kie.journal.counters.uploads += 1
    return _uploaded(file, path=path, url=kie.files.put(path, file))


def _uploaded(file: File, *, path: str, url: str) -> Response:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    data = {
        "success": True,
        "fileName": path.rpartition("/")[2],
        "filePath": path,
        "downloadUrl": url,
        "fileSize": len(file.content),
        "mimeType": file.mime_type,
        "uploadedAt": now.replace("+00:00", "Z"),
    }
    message = "File uploaded successfully"
    return JSONResponse({"success": True, "code": 200, "msg": message, "data": data})
