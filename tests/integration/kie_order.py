"""Fields that a model of the sandbox KIE accepts: the required ones and what rules ask for."""

import json
from collections.abc import Awaitable, Callable
from functools import cache
from io import BytesIO
from typing import Any

from PIL import Image

from sandbox.kie.entry import Entry, media_of
from sandbox.kie.film import Film, shot
from sandbox.kie.sound import encoded, music
from tests.integration.sandbox_kie import Json, Receiver, SandboxKie

SONG_S = 12.0
NAME = "Speaker 1"
"""What a part of a form is called, by which another part names it."""
Ordered = Callable[[Entry, Json], Awaitable[str]]


@cache
def sample(kind: str) -> tuple[bytes, str]:
    """Return a small file of a kind, and its name."""
    if kind == "image":
        out = BytesIO()
        Image.new("RGB", (640, 480), "teal").save(out, "JPEG")
        return out.getvalue(), "teal.jpg"
    if kind == "audio":
        return encoded(music(seconds=SONG_S, seed=1), "mp3"), "song.mp3"
    film = Film(prompt="given", size=(320, 240), seconds=3, seed=1, sound=music(seconds=3, seed=1))
    return shot(film), "film.mp4"


class Orders:
    """Writes orders for one sandbox; earlier tasks that a model needs are made as well."""

    def __init__(self, kie: SandboxKie, entries: dict[str, Entry], receiver: Receiver) -> None:
        self._kie = kie
        self._receiver = receiver
        self._entries = entries
        self._uploads: dict[str, str] = {}
        self._earlier: dict[str, Json] = {}

    async def order(self, entry: Entry) -> Json:
        """Return fields with which the model makes something."""
        fields: Json = {}
        for name in _wanted(entry):
            fields[name] = await self._value(entry, name, entry.fields[name])
        for rule in (check["difference"] for check in entry.checks if "difference" in check):
            if rule["to"] in fields:
                fields[rule["to"]] = fields[rule["from"]] + rule.get("minimum", 0)
        while missing := _missing(entry, fields):
            fields[missing] = await self._value(entry, missing, entry.fields[missing])
        return fields

    async def made(self, model: str) -> Json:
        """Return the record of a task of the model, made once."""
        if model not in self._earlier:
            fields = await self.order(self._entries[model])
            self._earlier[model] = await self.done(model, fields)
        assert self._earlier[model]["state"] == "success", self._earlier[model]
        return self._earlier[model]

    async def sent(self, model: str, fields: Json) -> Json:
        """Return what createTask answers; a callback is asked for where it has to be."""
        to = self._receiver if self._entries[model].requires_callback else None
        return await self._kie.ordered(model, fields, to=to)

    async def done(self, model: str, fields: Json) -> Json:
        """Return the record of a task once it has ended."""
        body = await self.sent(model, fields)
        assert body["code"] == 200, (model, fields, body)
        return await self._kie.ended(body["data"]["taskId"])

    async def _value(self, entry: Entry, name: str, schema: Json) -> Any:
        if reference := schema.get("x-ref"):
            return await self._reference(entry, reference)
        if media := media_of(name, schema):
            link = await self._upload(media["kind"])
            return [link] * schema.get("minItems", 1) if schema["type"] == "array" else link
        if "default" in schema or "enum" in schema:
            return schema.get("default", schema.get("enum", [None])[0])
        if name.endswith("_id"):
            return NAME
        return await self._plain(entry, schema)

    async def _plain(self, entry: Entry, schema: Json) -> Any:
        match schema.get("type"):
            case "array":
                count = schema.get("minItems", 1)
                return [await self._value(entry, "", schema["items"]) for _ in range(count)]
            case "object":
                names = schema.get("required", ())
                properties = schema["properties"]
                return {each: await self._value(entry, each, properties[each]) for each in names}
            case "integer" | "number":
                least = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
                return max(least, min(20, schema.get("maximum", 20)))
            case "boolean":
                return False
        if "pattern" in schema:
            return NAME
        return "A red fox in the snow at dawn"[: schema.get("maxLength", 99)]

    async def _reference(self, entry: Entry, reference: Json) -> str:
        record = await self.made(reference["of"][0])
        if reference["kind"] == "task":
            return str(record["taskId"])
        told = json.loads(record["resultJson"])
        songs = told.get("data") or told.get("origin_data")
        return str(songs[0]["id"]) if songs else str(told["resultObject"]["personaId"])

    async def _upload(self, kind: str) -> str:
        if kind not in self._uploads:
            content, name = sample(kind)
            self._uploads[kind] = await self._kie.upload(content, name=name)
        return self._uploads[kind]


def _wanted(entry: Entry) -> list[str]:
    """Return the required fields, those of the first form of input, and one of any."""
    forms = [*entry.input.get("oneOf", ())[:1], *entry.input.get("anyOf", ())[:1]]
    named = [name for form in forms for name in form.get("required", ())]
    return [*dict.fromkeys([*entry.input.get("required", ()), *named])]


def _missing(entry: Entry, fields: Json) -> str | None:
    """Return a field that a rule asks for, or one of those of which a rule asks for any."""
    for error in entry.checker.iter_errors(fields):
        if error.validator == "required" and not error.absolute_path:
            wanted = list(map(str, error.validator_value or ()))
            return next(each for each in wanted if each not in fields)
        if error.validator == "anyOf":
            return str(error.validator_value[-1]["required"][0])
    return None
