"""The parameters of a call, from the query, a form, JSON or multipart."""

import json
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request

from sandbox.telegram.error import bad_request, too_large
from sandbox.telegram.limit import REQUEST_BYTES, UPLOAD_BYTES
from sandbox.telegram.model import Json

TRUE = {"true", "yes", "1"}


@dataclass(frozen=True)
class Upload:
    """A file that came with a call."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Params:
    """The parameters of one call, with Telegram's lenient reading of each type."""

    values: Json
    files: dict[str, Upload] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return a string, empty if it is missing."""
        value = self.values.get(name)
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, (dict, list)):
            return json.dumps(value)
        return "" if value is None else str(value)

    def required(self, name: str) -> str:
        """Return a string that the method cannot do without."""
        if not (value := self.text(name)):
            raise bad_request(f'parameter "{name}" is required')
        return value

    def integer(self, name: str, default: int = 0) -> int:
        """Return an integer, or the default if there is none."""
        try:
            return int(self.text(name))
        except ValueError:
            return default

    def flag(self, name: str) -> bool:
        """Return a boolean, false if it is missing."""
        return self.text(name).lower() in TRUE

    def parsed(self, name: str, *, what: str) -> Any:
        """Return a JSON value, None if it is missing; raise a 400 that says what it should be."""
        value = self.values.get(name)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value) if value else None
        except ValueError as error:
            raise bad_request(f"can't parse {what} JSON object") from error

    def objects(self, name: str) -> list[Any]:
        """Return a JSON array, empty if it is missing."""
        value = self.parsed(name, what=name)
        if value is not None and not isinstance(value, list):
            raise bad_request(f'expected an Array as "{name}"')
        return value or []

    def nested(self, values: Json) -> "Params":
        """Return the parameters of an object inside the call, such as one `InputMedia`."""
        return Params(values, self.files)


async def read_params(request: Request) -> Params:
    """Read the parameters wherever the caller put them."""
    if int(request.headers.get("content-length", "0")) > REQUEST_BYTES:
        await _drain(request)
        raise too_large()
    query: Json = dict(request.query_params)
    if request.headers.get("content-type", "").startswith("application/json"):
        return Params(query | await _json_object(request))
    return await _form(request, query)


async def _drain(request: Request) -> None:
    """Read the body away, so that the caller is there to hear the answer."""
    async for _ in request.stream():
        pass


async def _json_object(request: Request) -> Json:
    body = await request.body()
    try:
        value = json.loads(body or b"{}")
    except ValueError as error:
        raise bad_request("can't parse JSON object") from error
    if not isinstance(value, dict):
        raise bad_request("JSON object expected")
    return value


async def _form(request: Request, query: Json) -> Params:
    values, files = query, {}
    async with request.form(max_part_size=UPLOAD_BYTES) as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                files[name] = Upload(value.filename or name, await value.read())
            else:
                values[name] = value
    if any(len(file.data) > UPLOAD_BYTES for file in files.values()):
        raise too_large()
    return Params(values, files)
