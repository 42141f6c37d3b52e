"""A model in KIE's own words: names of fields, what they may hold, what it makes and costs.

The input is a JSON Schema with KIE's names; two keywords of ours say what a schema cannot:

    "x-media": {"kind": "image", "types": ["image/png"], "max_bytes": 10000000, "max_seconds": 60}
    "x-ref": {"kind": "audio", "in": "task_id", "of": ["ai-music-api/generate"]}
"""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Literal, NamedTuple

from jsonschema import Draft202012Validator
from pydantic import BaseModel, ConfigDict

Json = dict[str, Any]
Kind = Literal["image", "video", "audio", "text", "object"]
Shape = Literal["urls", "songs", "lyrics", "stems", "object"]

_KIND_IN_NAME = (
    ("video", re.compile("video|clip")),
    ("audio", re.compile("audio|voice|verify_url|upload_url")),
    ("image", re.compile("image|frame|mask|picture|input_url|files?_url")),
)
"""What an address leads to where only its name tells; the first that matches is right."""


class Rate(BaseModel):
    """What one unit costs while the conditions hold; no condition holds always."""

    model_config = ConfigDict(extra="ignore")

    when: Json = {}
    credits: str


class PricePart(BaseModel):
    """One sum of a price: the first rate that holds, times every quantity."""

    model_config = ConfigDict(extra="ignore")

    rates: list[Rate]
    times: list[Json] = []
    unit: str = "request"


class Price(BaseModel):
    """What a task takes; none is known without parts."""

    model_config = ConfigDict(extra="ignore")

    parts: list[PricePart] = []
    note: str = ""


class Entry(BaseModel):
    """What KIE knows about one model."""

    model_config = ConfigDict(extra="forbid")

    model: str
    title: str = ""
    provider: str = ""
    purpose: str
    """KIE's word for what it does, such as `text-to-video`."""
    description: str = ""
    input: Json
    kind: Kind
    """What it makes."""
    shape: Shape = "urls"
    """Where the record has it."""
    checks: list[Json] = []
    """What a JSON Schema cannot say: `{"difference": {"from", "to", "minimum", "maximum"}}`."""
    price: Price = Price()
    requires_callback: bool = False
    """Whether createTask takes it only with a callBackUrl."""

    @property
    def fields(self) -> Mapping[str, Json]:
        """The fields that it reads, with their schemas."""
        fields: Mapping[str, Json] = self.input.get("properties", {})
        return fields

    @cached_property
    def checker(self) -> Draft202012Validator:
        """What checks fields against the schema; it ignores those that it does not know."""
        return Draft202012Validator(_lenient(self.input))

    def filled(self, given: Mapping[str, Any]) -> Json:
        """Return the fields that it reads, with the documented default where one is missing."""
        defaults = {
            name: each["default"] for name, each in self.fields.items() if "default" in each
        }
        read = {name: given[name] for name in self.fields if given.get(name) is not None}
        return defaults | read


_VALUES = frozenset({"default", "enum", "const", "examples"})
"""The keywords that hold values, not schemas."""


def _lenient(schema: Any) -> Any:
    """Return the schema without what refuses unknown fields, which KIE ignores.

    A field that is not allowed becomes one with a rule: of `false` an error tells no name.
    """
    if schema is False:
        return {"not": {}}
    if isinstance(schema, list):
        return [_lenient(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: each for key, each in schema.items() if key != "additionalProperties"}
    return {key: each if key in _VALUES else _lenient(each) for key, each in kept.items()}


class MediaInput(NamedTuple):
    """An address in the fields, and what it has to lead to."""

    field: str
    """Its path, such as `elements[].image_urls`."""
    url: str
    kind: str
    limits: Json


def media_in(entry: Entry, given: Mapping[str, Any]) -> list[MediaInput]:
    """Return every address that the fields name, in the order of the fields."""
    return [*_inside(entry.input, given, path="")]


def _inside(schema: Json, value: Any, *, path: str) -> Iterator[MediaInput]:
    if isinstance(value, Mapping):
        for key, each in schema.get("properties", {}).items():
            yield from _inside(each, value.get(key), path=f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        items = {**schema.get("items", {}), **_told(schema)}
        inner = f"{path}[]" if "properties" in items else path
        for each in value:
            yield from _inside(items, each, path=inner)
    elif isinstance(value, str) and (media := media_of(path.rpartition(".")[2], schema)):
        yield MediaInput(path, value, media["kind"], media)


def _told(schema: Json) -> Json:
    return {"x-media": schema["x-media"]} if "x-media" in schema else {}


def media_of(name: str, schema: Json) -> Json | None:
    """Return what the addresses in a field lead to, or none for a field of another sort."""
    if "x-media" in schema:
        media: Json = schema["x-media"]
        return media
    if (schema.get("format") or schema.get("items", {}).get("format")) != "uri":
        return None
    kind = next((kind for kind, known in _KIND_IN_NAME if known.search(name)), None)
    return {"kind": kind} if kind else None
