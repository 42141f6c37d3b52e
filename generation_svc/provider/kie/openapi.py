"""Reads the inputs of a model out of the OpenAPI 3.1 document that KIE gives of it.

Keys of `$ref` may hold `%20` and trailing blanks (kie-api.md §9). What is read is plain: references
are resolved, and what is only "this or null" is this. Unproved: no document of the real KIE has
been read with it yet.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

MAX_DEPTH = 20
"""How deep references lead; one that leads to itself never ends."""
_Json = dict[str, Any]


class Unreadable(ValueError):
    """A document says nothing that could be mapped; the text names the place."""


def input_schema_of(openapi: object) -> _Json:
    """Return the schema of `input` in the request of createTask. Raises Unreadable."""
    if not isinstance(openapi, dict):
        raise Unreadable("openapi: is null, so KIE has not described it yet")
    for schema in _bodies(openapi):
        body = plain(schema, within=openapi)
        found = body.get("properties", {}).get("input")
        if isinstance(found, dict):
            return found
    raise Unreadable("paths: no request has an `input`")


def plain(schema: object, *, within: Mapping[str, Any], depth: int = 0) -> _Json:
    """Return a schema with its references resolved. Raises Unreadable."""
    if depth > MAX_DEPTH:
        raise Unreadable("$ref: leads in a circle")
    if not isinstance(schema, dict):
        return {}
    if "$ref" in schema:
        rest = {name: value for name, value in schema.items() if name != "$ref"}
        return plain({**_at(str(schema["$ref"]), within), **rest}, within=within, depth=depth + 1)
    made = {name: _plain_member(name, each, within, depth) for name, each in schema.items()}
    return _without_null(_with_all(made))


def _plain_member(name: str, value: Any, within: Mapping[str, Any], depth: int) -> Any:
    if name == "properties" and isinstance(value, dict):
        return {str(k): plain(v, within=within, depth=depth + 1) for k, v in value.items()}
    if name in ("allOf", "oneOf", "anyOf") and isinstance(value, list):
        return [plain(each, within=within, depth=depth + 1) for each in value]
    if name == "items":
        return plain(value, within=within, depth=depth + 1)
    return value


def _bodies(openapi: _Json) -> Iterator[object]:
    for path in _values(openapi.get("paths")):
        post = path.get("post") if isinstance(path, dict) else None
        body = post.get("requestBody") if isinstance(post, dict) else None
        content = plain(body, within=openapi).get("content")
        for media in _values(content):
            if isinstance(media, dict):
                yield media.get("schema")


def _values(found: object) -> Iterator[Any]:
    yield from found.values() if isinstance(found, dict) else ()


def _at(reference: str, within: Mapping[str, Any]) -> _Json:
    """Return what a reference leads to, however its keys are spelled."""
    place: Any = within
    for step in reference.removeprefix("#").strip("/").split("/"):
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        place = _member(place, name)
        if place is None:
            raise Unreadable(f"$ref: {reference!r} leads nowhere")
    if not isinstance(place, dict):
        raise Unreadable(f"$ref: {reference!r} leads to no schema")
    return place


def _member(place: Any, name: str) -> Any:
    if not isinstance(place, dict):
        return None
    if name in place:
        return place[name]
    wanted = unquote(name).strip()
    alike = (key for key in place if unquote(str(key)).strip() == wanted)
    return place.get(next(alike, None))


def _with_all(schema: _Json) -> _Json:
    """Return a schema with what its `allOf` adds, where that is fields."""
    made = {name: value for name, value in schema.items() if name != "allOf"}
    for part in schema.get("allOf", ()):
        properties = {**part.get("properties", {}), **made.get("properties", {})}
        required = [*made.get("required", ()), *part.get("required", ())]
        made = {**part, **made}
        if properties:
            made["properties"] = properties
        if required:
            made["required"] = list(dict.fromkeys(required))
    return made


def _without_null(schema: _Json) -> _Json:
    """Return a schema without "or null": a field that is null is left out."""
    if isinstance(schema.get("type"), list):
        kinds = [kind for kind in schema["type"] if kind != "null"]
        schema = {**schema, "type": kinds[0] if len(kinds) == 1 else kinds}
    for word in ("oneOf", "anyOf"):
        branches = schema.get(word)
        if isinstance(branches, list):
            real = [each for each in branches if each.get("type") != "null"]
            if len(real) == 1:
                rest = {name: value for name, value in schema.items() if name != word}
                return {**real[0], **rest}
            if real and all("const" in each for each in real):
                rest = {name: value for name, value in schema.items() if name != word}
                return {**rest, "enum": [each["const"] for each in real]}
    return schema
