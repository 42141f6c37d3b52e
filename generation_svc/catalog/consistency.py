"""Checks what a JSON Schema cannot: that the parts of a catalog entry agree."""

from collections.abc import Iterator
from typing import Any

from generation_svc.catalog.parse import steps_to
from generation_svc.catalog.rule import keeps
from generation_svc.catalog.shape import fields_of, schema_at
from generation_svc.domain.schema import JsonSchema

_Entry = dict[str, Any]


def contradictions(entry: _Entry) -> Iterator[str]:
    """Yield a sentence for each place where a model's entry disagrees with itself."""
    yield from _name_problems(entry)
    yield from _special_problems(entry)
    yield from _kind_problems(entry)
    for field, schema in entry["input_schema"]["properties"].items():
        yield from _field_problems(field, schema, texts=entry["options"].get(field))
    yield from _kie_problems(entry)
    yield from _example_problems(entry)
    if entry["duration"]["usual_seconds"] > entry["duration"]["longest_seconds"]:
        yield "the usual duration is above the longest"


def _name_problems(entry: _Entry) -> Iterator[str]:
    known = set(entry["input_schema"]["properties"])
    for name in sorted(set(entry["input_schema"]["required"]) - known):
        yield f"required field {name} is not in the input schema"
    for name in sorted(set(entry["options"]) - known):
        yield f"option {name} is not in the input schema"
    for name in sorted(known & set(entry.get("unsupported_fields", {}))):
        yield f"{name} is both a field and unsupported"


def _special_problems(entry: _Entry) -> Iterator[str]:
    """Yield what is wrong with the media and references: their places and their names at KIE."""
    schema = entry["input_schema"]
    for each in (*entry.get("media_inputs", ()), *entry.get("reference_inputs", ())):
        *holder, field = steps_to(each["name"])
        siblings = fields_of(schema_at(schema, holder))
        if not _holds_text(siblings.get(str(field), {}), is_media="kind" in each):
            yield f"{each['name']} is not text in the input schema"
        if each["kie_field"] in siblings.keys() - {field}:
            yield f"{each['name']} has the name {each['kie_field']} at KIE, another field's name"


def _holds_text(rule: JsonSchema, *, is_media: bool) -> bool:
    is_list = is_media and rule.get("type") == "array"
    return (rule["items"] if is_list else rule).get("type") == "string"


def _kind_problems(entry: _Entry) -> Iterator[str]:
    """Yield where a kind such as `image-to-video` is not what goes in and what comes out."""
    taken, _, made = entry["kind"].partition("-to-")
    kinds = {each["kind"] for each in entry.get("media_inputs", ())}
    if taken == "text" and _needs_media(entry):
        yield f"kind {entry['kind']} takes no media, but some is required"
    elif taken in ("image", "video", "audio") and taken not in kinds:
        yield f"kind {entry['kind']} needs media of the kind {taken}"
    elif taken in ("edit", "media") and not kinds:
        yield f"kind {entry['kind']} needs media"
    if made and made not in entry["result_kinds"]:
        yield f"kind {entry['kind']} makes {made}, which the result kinds lack"


def _needs_media(entry: _Entry) -> bool:
    names = {each["name"] for each in entry.get("media_inputs", ())}
    return not names.isdisjoint(entry["input_schema"]["required"])


def _field_problems(field: str, schema: _Entry, *, texts: _Entry | None) -> Iterator[str]:
    if texts is None:
        yield f"field {field} has no label"
        return
    if set(texts.get("choices", {})) != set(schema.get("enum", ())):
        yield f"the choices of {field} are not the values of its enum"
    if "default" in schema and not keeps(schema, schema["default"]):
        yield f"the default of {field} breaks its own schema"
    if texts.get("is_offered") and not {"default", "enum"} <= set(schema):
        yield f"offered option {field} needs a default and an enum"


def _kie_problems(entry: _Entry) -> Iterator[str]:
    properties, required = entry["input_schema"]["properties"], entry["input_schema"]["required"]
    for field in entry["kie"]["required"]:
        if field not in required and "default" not in properties.get(field, {}):
            yield f"KIE needs {field}, which is neither required nor has a default"


def _example_problems(entry: _Entry) -> Iterator[str]:
    schema = entry["input_schema"]["properties"].get("prompt")
    if bool(entry["prompt_examples"]) != (schema is not None):
        yield "prompt examples belong to a prompt, and a prompt has some"
        return
    for number, example in enumerate(entry["prompt_examples"], start=1):
        if not all(keeps(schema, text) for text in example.values()):
            yield f"prompt example {number} breaks the schema of prompt"
