"""What a JSON Schema cannot say of a catalog entry: that its parts agree with one another."""

from collections.abc import Iterator
from typing import Any

from generation_svc.catalog.rule import keeps

_Entry = dict[str, Any]


def contradictions(entry: _Entry) -> Iterator[str]:
    """Yield a sentence for each place where a model's entry disagrees with itself."""
    yield from _name_problems(entry)
    yield from _picture_problems(entry)
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


def _picture_problems(entry: _Entry) -> Iterator[str]:
    picture, properties = entry.get("picture"), entry["input_schema"]["properties"]
    if (picture is None) != (entry["kind"] == "text-to-image"):
        yield f"kind {entry['kind']} {'needs a' if picture is None else 'takes no'} picture"
    if picture is not None and properties.get(picture["field"], {}).get("type") != "string":
        yield f"picture field {picture['field']} is no text in the input schema"
    if picture is not None and picture["kie_field"] in set(properties) - {picture["field"]}:
        yield f"picture name {picture['kie_field']} at KIE is another field's name"


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
    schema = entry["input_schema"]["properties"]["prompt"]
    for number, example in enumerate(entry["prompt_examples"], start=1):
        if not all(keeps(schema, text) for text in example.values()):
            yield f"prompt example {number} breaks the schema of prompt"
