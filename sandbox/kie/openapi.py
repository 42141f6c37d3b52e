"""A model as a complete OpenAPI 3.1 document, as KIE serves it (kie-api.md §9).

With KIE's quirks: the input is a component whose name has blanks, also at its end, which the
reference writes as `%20`; forms of input of which one must hold are branches that repeat every
field; what addresses must lead to stands in descriptions.
"""

from typing import Any
from urllib.parse import quote

from sandbox.kie.entry import Entry, Json

ERRORS = {
    401: "Unauthorized - Authentication credentials are missing or invalid",
    402: "Insufficient Credits - Account does not have enough credits",
    404: "Not Found - The requested resource or endpoint does not exist",
    422: "Validation Error - The request parameters failed validation checks",
    429: "Rate Limited - Request limit has been exceeded for this resource",
    455: "Service Unavailable - System is undergoing maintenance",
    500: "Server Error - An unexpected error occurred",
    501: "Generation Failed - Content generation task failed",
    505: "Feature Disabled - The requested feature is currently disabled",
}
_OURS = ("$schema", "oneOf", "additionalProperties")


def document_of(entry: Entry, *, server: str) -> Json:
    """Return the document of one model."""
    name = f"{entry.title or entry.model} Input "
    return {
        "openapi": "3.1.0",
        "info": {
            "title": entry.title or entry.model,
            "description": entry.description,
            "version": "1.0.0",
        },
        "servers": [{"url": server}],
        "paths": {"/api/v1/jobs/createTask": {"post": _operation(entry, name)}},
        "components": {
            "schemas": {name: _input(entry.input)},
            "securitySchemes": {"BearerAuth": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"BearerAuth": []}],
    }


def _operation(entry: Entry, name: str) -> Json:
    reference = f"#/components/schemas/{quote(name)}"
    order = {
        "type": "object",
        "required": ["model", "input"],
        "properties": {
            "model": {"type": "string", "enum": [entry.model], "default": entry.model},
            "callBackUrl": {"type": "string", "format": "uri"},
            "input": {"$ref": reference},
        },
    }
    return {
        "operationId": entry.model.replace("/", "-"),
        "summary": entry.title or entry.model,
        "requestBody": {"required": True, "content": _json(order)},
        "responses": {"200": _answer("Request successful", _ENVELOPE)},
        "callbacks": {"onComplete": {"{$request.body#/callBackUrl}": {"post": _callback()}}},
    }


_ENVELOPE: Json = {
    "type": "object",
    "properties": {
        "code": {
            "type": "integer",
            "enum": [200, *ERRORS],
            "description": "\n".join(f"- **{code}**: {text}" for code, text in ERRORS.items()),
        },
        "msg": {"type": "string"},
        "data": {
            "type": "object",
            "properties": {"taskId": {"type": "string"}, "recordId": {"type": "string"}},
        },
    },
}


def _callback() -> Json:
    names = ("taskId", "model", "state", "param", "resultJson", "failCode", "failMsg")
    data = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
    told = {
        "type": "object",
        "properties": {"code": {"type": "integer"}, "msg": {"type": "string"}, "data": data},
    }
    return {
        "requestBody": {"content": _json(told)},
        "responses": {"200": {"description": "Callback received"}},
    }


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _answer(text: str, schema: Json) -> Json:
    return {"description": text, "content": _json(schema)}


def _input(schema: Json) -> Json:
    whole: Json = _shown(schema)
    if "oneOf" not in schema:
        return whole
    return {"oneOf": [_branch(whole, each) for each in schema["oneOf"]]}


def _branch(whole: Json, form: Json) -> Json:
    """Return the whole input with what one form requires, limits and leaves out."""
    changes = form.get("properties", {})
    fields = {
        name: {**each, **changes.get(name, {})}
        for name, each in whole["properties"].items()
        if changes.get(name) is not False
    }
    wanted = [*dict.fromkeys([*whole.get("required", ()), *form.get("required", ())])]
    required = [name for name in wanted if name in fields]
    return {**whole, "properties": fields, "required": required}


def _shown(schema: Any) -> Any:
    """Return a schema without keywords of ours; what they say becomes a description."""
    if isinstance(schema, list):
        return [_shown(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    shown = {key: _shown(each) for key, each in schema.items() if _is_kies(key)}
    if media := schema.get("x-media"):
        shown.setdefault("description", _media_text(media))
        shown.get("items", shown)["format"] = "uri"
    if reference := schema.get("x-ref"):
        shown.setdefault("description", _reference_text(reference))
    return shown


def _is_kies(key: str) -> bool:
    return key not in _OURS and not key.startswith("x-")


def _media_text(media: Json) -> str:
    said = [f"The {media['kind']} as a file URL after upload, not file content"]
    if media.get("types"):
        said.append(f"Accepted types: {', '.join(media['types'])}")
    if media.get("max_bytes"):
        said.append(f"Max size: {media['max_bytes'] / 1e6:.1f}MB")
    if media.get("max_seconds"):
        said.append(f"Max duration: {media['max_seconds']}s")
    return "; ".join(said)


def _reference_text(reference: Json) -> str:
    what = {"task": "The taskId of an earlier task", "audio": "The id of one of its songs"}
    said = what.get(reference["kind"], f"The id of a {reference['kind']} made earlier")
    return f"{said}; models: {', '.join(reference['of'])}" if reference["of"] else said
