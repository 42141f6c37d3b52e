"""Checks what a JSON Schema cannot: that the parts of a catalog entry agree."""

from collections.abc import Iterator
from typing import Any

from generation_svc.catalog.parse import option_paths, steps_to
from generation_svc.catalog.rule import keeps
from generation_svc.catalog.shape import fields_of, schema_at
from generation_svc.domain.schema import JsonSchema

_Entry = dict[str, Any]


def contradictions(entry: _Entry) -> Iterator[str]:
    """Yield a sentence for each place where a model's entry disagrees with itself."""
    yield from _name_problems(entry)
    yield from _special_problems(entry)
    yield from _purpose_problems(entry)
    for field, schema in entry["input_schema"]["properties"].items():
        yield from _field_problems(field, schema, texts=entry["options"].get(field, {}))
    yield from _rule_problems(entry)
    yield from _offer_problems(entry)
    yield from _operator_problems(entry)
    yield from _example_problems(entry)
    usual = entry["duration"].get("usual_seconds", 0)
    if usual > entry["duration"]["longest_seconds"]:
        yield "the usual duration is above the longest"


def _name_problems(entry: _Entry) -> Iterator[str]:
    known = set(entry["input_schema"]["properties"])
    for name in sorted(set(entry["input_schema"]["required"]) - known):
        yield f"required field {name} is not in the input schema"
    paths = set(option_paths(entry["input_schema"]))
    for name in sorted(set(entry["options"]) - paths):
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


def _holds_text(rule: JsonSchema, *, is_media: bool) -> bool:
    is_list = is_media and rule.get("type") == "array"
    return (rule["items"] if is_list else rule).get("type") == "string"


_TAKES = {
    "image": "image-to-image image-edit image-upscale background-removal image-layers"
    " image-analysis image-to-video reference-to-image",
    "video": "video-edit motion-control",
    "audio": "speech-to-text audio-isolation",
}
"""The kinds of media, each with the purposes that cannot do without."""
_MAKES = {
    "image": "text-to-image reference-to-image image-to-image image-edit image-upscale"
    " background-removal image-layers music-cover",
    "video": "text-to-video image-to-video reference-to-video video-edit video-extend"
    " video-upscale motion-control lip-sync music-video",
    "audio": "text-to-speech sound-effects text-to-music music-edit music-extend"
    " audio-separation audio-isolation audio-conversion",
}
"""The kinds of media, each with the purposes that make it."""


def _purpose_problems(entry: _Entry) -> Iterator[str]:
    """Yield where a purpose such as `image-to-video` is not what goes in and what comes out."""
    purpose, taken = entry["purpose"], {each["kind"] for each in entry.get("media_inputs", ())}
    if purpose.startswith("text-to-") and _needs_media(entry):
        yield f"purpose {purpose} takes no media, but some is required"
    has_jobs = bool(entry.get("reference_inputs"))
    for kind, purposes in _TAKES.items():
        if purpose in purposes.split() and kind not in taken and not has_jobs:
            yield f"purpose {purpose} needs media of the kind {kind}"
    for kind, purposes in _MAKES.items():
        if purpose in purposes.split() and kind not in entry["result"]["kinds"]:
            yield f"purpose {purpose} makes {kind}, which the result kinds lack"


def _needs_media(entry: _Entry) -> bool:
    names = {each["name"] for each in entry.get("media_inputs", ())}
    return not names.isdisjoint(entry["input_schema"]["required"])


def _field_problems(field: str, schema: _Entry, *, texts: _Entry) -> Iterator[str]:
    if "default" in schema and not keeps(schema, schema["default"]):
        yield f"the default of {field} breaks its own schema"
    for value in schema.get("examples", ()):
        if not keeps(schema, value):
            yield f"the example {value!r} of {field} breaks its own schema"
    if texts.get("is_offered") and not {"default", "enum"} <= set(schema):
        yield f"offered option {field} needs a default and an enum"


def _rule_problems(entry: _Entry) -> Iterator[str]:
    """Yield the fields that rules and checks speak of and that there are not."""
    schema = entry["input_schema"]
    for name in sorted(_spoken_of(schema) - set(schema["properties"])):
        yield f"a rule speaks of {name}, which is not in the input schema"
    for check in entry.get("checks", ()):
        for path in _checked_paths(check):
            if not schema_at(schema, steps_to(path)):
                yield f"a check speaks of {path}, which is not in the input schema"


def _spoken_of(rules: Any) -> set[str]:
    """Return the fields that conditions and rules name, in all branches."""
    found: set[str] = set()
    for word in ("allOf", "oneOf", "anyOf"):
        for rule in rules.get(word, ()):
            found |= _spoken_of(rule) | {*rule.get("required", ()), *rule.get("properties", {})}
    for word in ("if", "then", "else", "not"):
        rule = rules.get(word, {})
        found |= {*rule.get("required", ()), *rule.get("properties", {})}
        found |= _spoken_of(rule) if rule else set()
    return found


def _checked_paths(check: _Entry) -> Iterator[str]:
    match check:
        case {"difference": rule}:
            within = f"{rule['in']}[]." if "in" in rule else ""
            yield from (f"{within}{rule['from']}", f"{within}{rule['to']}")
        case {"item": rule}:
            yield from (rule["each"], rule["of"])
        case {"same_job": rule}:
            yield from (rule["each"], rule["as"])


def _offer_problems(entry: _Entry) -> Iterator[str]:
    properties, required = entry["input_schema"]["properties"], entry["input_schema"]["required"]
    for offer in entry["offers"]:
        for field in offer["required"]:
            if field not in required and "default" not in properties.get(field, {}):
                yield f"KIE needs {field}, which is neither required nor has a default"
        yield from _rename_problems(entry, offer)


def _rename_problems(entry: _Entry, offer: _Entry) -> Iterator[str]:
    for path in (*offer["fields"], *offer.get("lists", ())):
        if not schema_at(entry["input_schema"], steps_to(path)):
            yield f"{path} has a name at KIE, but is not in the input schema"
    for path, name in offer["fields"].items():
        *holder, field = steps_to(path)
        within = path.rpartition(".")[0]
        siblings = fields_of(schema_at(entry["input_schema"], holder)).keys() - {field}
        sent = [
            offer["fields"].get(f"{within}.{each}" if within else each, each) for each in siblings
        ]
        if name in sent:
            yield f"{path} has the name {name} at KIE, another field's name"


def _operator_problems(entry: _Entry) -> Iterator[str]:
    for field, value in entry.get("operator_fields", {}).items():
        schema = entry["input_schema"]["properties"].get(field)
        if schema is None:
            yield f"operator field {field} is not in the input schema"
        elif value is not None and not keeps(schema, value):
            yield f"what is sent for the operator field {field} breaks its schema"


def _example_problems(entry: _Entry) -> Iterator[str]:
    schema = entry["input_schema"]["properties"].get("prompt")
    if bool(entry["prompt_examples"]) != (schema is not None):
        yield "prompt examples belong to a prompt, and a prompt has some"
        return
    for number, example in enumerate(entry["prompt_examples"], start=1):
        if not all(keeps(schema, text) for text in example.values()):
            yield f"prompt example {number} breaks the schema of prompt"
