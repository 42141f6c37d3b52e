"""Turns the fields of KIE's own descriptions into fields of a document.

A field that cannot be mapped is named with the reason, and left out where it is optional; without a
required one there is no document. Nothing is guessed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from generation_svc.provider.kie.openapi import Unreadable

_Json = dict[str, Any]
_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("image_url", "input_image", "image_input", "input_image_url"), "image"),
    **dict.fromkeys(("image_urls", "input_urls", "files_url", "input_images"), "images"),
    "video_url": "video",
    "video_urls": "videos",
    "audio_url": "audio",
    "audio_urls": "audios",
    "first_frame_url": "first_frame",
    **dict.fromkeys(("last_frame_url", "tail_image", "tail_image_url"), "last_frame"),
    "mask_url": "mask",
    "task_id": "task",
}
"""What fields are called here, by KIE's names in snake case."""
_ROLES: Mapping[str, str] = {
    "first_frame": "first_frame",
    "last_frame": "last_frame",
    "mask": "mask",
}
STRICT: Mapping[str, bool] = {"nsfw_checker": True, "enable_safety_checker": True}
"""Fields that are the operator's, each with the strict value."""
_MEDIA_NAME = re.compile(r"(^|_)(urls?|images?|videos?|audios?|frame|mask)$")
_KINDS = ("video", "audio", "image")
_TYPES = re.compile(r"\b(?:image|video|audio)/[a-z0-9](?:[a-z0-9.+-]*[a-z0-9])?")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*MB", re.IGNORECASE)
_NUMBER_WORDS = ("minimum", "maximum", "multipleOf", "exclusiveMinimum", "default", "enum")
_TEXT_WORDS = ("minLength", "maxLength", "default", "enum")
_LEAST = {
    "image": (["image/jpeg", "image/png"], 10_000_000),
    "video": (["video/mp4"], 10_000_000),
    "audio": (["audio/mpeg"], 10_000_000),
}
"""What every model of a kind takes: used where KIE does not say, and told for review."""


@dataclass(slots=True)
class DescribedFields:
    """What was mapped so far, and what was not."""

    properties: _Json = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """KIE's names, where they differ."""
    media: list[_Json] = field(default_factory=list)
    references: list[_Json] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    """What KIE calls a field, or its name as words."""
    unsupported: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def snake(name: str) -> str:
    """Return a name in snake case."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()


def our_name(name: str) -> str:
    """Return what a field of KIE's is called here."""
    return _NAMES.get(snake(name), snake(name))


def map_field(name: str, rule: _Json, fields: DescribedFields) -> str | None:
    """Map a field and return what it is called here; None if it is left out, and why is told."""
    ours = our_name(name)
    if rule.get("deprecated"):
        fields.unsupported[ours] = f"KIE is about to remove {ours}; leave it out."
        return None
    try:
        is_media = _is_media(name, rule)
        fields.properties[ours] = _media_rule(rule) if is_media else mapped_rule(rule, at=name)
        if is_media:
            fields.media.append(_media_input(ours, rule, fields))
    except Unreadable as error:
        fields.properties.pop(ours, None)
        fields.problems.append(str(error))
        return None
    if ours == "task":
        fields.references.append({"name": "task", "part": "task"})
    if ours != name:
        fields.names[ours] = name
    fields.labels[ours] = _label(ours, rule)
    return ours


def mapped_rule(rule: _Json, *, at: str) -> _Json:
    """Return the rule of a field that is no media. Raises Unreadable."""
    match rule.get("type") or _type_of_values(rule):
        case "string":
            return _text_rule(rule, at=at)
        case "integer" | "number" as kind:
            return {"type": kind, **{word: rule[word] for word in _NUMBER_WORDS if word in rule}}
        case "boolean":
            return {
                "type": "boolean",
                **({"default": rule["default"]} if "default" in rule else {}),
            }
        case "array":
            return _list_rule(rule, at=at)
        case "object" if isinstance(rule.get("properties"), dict):
            return _object_rule(rule, at=at)
        case kind:
            raise Unreadable(f"{at}: a field of the type {kind!r} cannot be mapped")


def _type_of_values(rule: _Json) -> str | None:
    values = rule.get("enum") or ([rule["const"]] if "const" in rule else [])
    return "string" if values and all(isinstance(each, str) for each in values) else None


def _text_rule(rule: _Json, *, at: str) -> _Json:
    made = {"type": "string", **{word: rule[word] for word in _TEXT_WORDS if word in rule}}
    if "const" in rule:
        made["enum"] = [rule["const"]]
    if made.get("default") == "":
        del made["default"]
    if "enum" not in made:
        made["minLength"] = max(1, int(made.get("minLength", 1)))
    if "pattern" in rule:
        examples = rule.get("examples") or ([rule["example"]] if "example" in rule else [])
        if not examples:
            raise Unreadable(f"{at}: has a pattern and no example of it")
        made |= {"pattern": rule["pattern"], "examples": examples}
    return made


def _list_rule(rule: _Json, *, at: str) -> _Json:
    if not isinstance(rule.get("maxItems"), int):
        raise Unreadable(f"{at}: is a list of which KIE does not say how long it may be")
    bounds: _Json = {word: rule[word] for word in ("minItems", "uniqueItems") if word in rule}
    items = mapped_rule(rule.get("items", {}), at=f"{at}[]")
    return {"type": "array", "maxItems": rule["maxItems"], **bounds, "items": items}


def _object_rule(rule: _Json, *, at: str) -> _Json:
    fields = {}
    for name, inner in rule["properties"].items():
        if snake(name) != name or _is_media(name, inner):
            raise Unreadable(f"{at}.{name}: media and other spellings inside of an object")
        fields[name] = mapped_rule(inner, at=f"{at}.{name}")
    required = [name for name in rule.get("required", ()) if name in fields]
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": fields,
    }


def _is_media(name: str, rule: _Json) -> bool:
    inner = rule.get("items", {}) if rule.get("type") == "array" else rule
    is_text = inner.get("type") == "string" and "enum" not in inner
    is_named = bool(_MEDIA_NAME.search(snake(name)))
    return is_text and (is_named or inner.get("format") in ("uri", "url"))


def _media_rule(rule: _Json) -> _Json:
    text: _Json = {"type": "string", "minLength": 1}
    if rule.get("type") != "array":
        return text
    if not isinstance(rule.get("maxItems"), int):
        raise Unreadable("a list of media of which KIE does not say how long it may be")
    least = {"minItems": rule["minItems"]} if rule.get("minItems") else {}
    return {"type": "array", "maxItems": rule["maxItems"], **least, "items": text}


def _media_input(ours: str, rule: _Json, fields: DescribedFields) -> _Json:
    said = f"{rule.get('description', '')} {rule.get('items', {}).get('description', '')}"
    types, size = list(dict.fromkeys(_TYPES.findall(said))), _SIZE.search(said)
    kind = _kind_of(ours, said, types=types)
    least_types, least_bytes = _LEAST[kind]
    if not types or not size:
        fields.problems.append(
            f"{ours}: for review: KIE does not say which types or sizes it takes"
        )
    return {
        "name": ours,
        "kind": kind,
        "role": _ROLES.get(ours, "source"),
        "mime_types": types or least_types,
        "max_bytes": int(float(size[1]) * 1_000_000) if size else least_bytes,
    }


def _kind_of(ours: str, said: str, *, types: list[str]) -> str:
    if ours in ("first_frame", "last_frame", "mask"):
        return "image"
    for text in (ours, *types, said.lower()):
        found = [kind for kind in _KINDS if kind in text]
        if len(found) == 1:
            return found[0]
    raise Unreadable(f"{ours}: is an address, and KIE does not say of what")


def _label(ours: str, rule: _Json) -> str:
    """Return what KIE calls a field in one line, without underscores, which would be a raw name."""
    text = str(rule.get("title") or ours).splitlines()[0]
    return text.replace("_", " ").strip()[:80].capitalize() or ours.replace("_", " ")
