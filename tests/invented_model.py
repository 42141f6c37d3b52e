"""A model that nobody has: lists of media, roles, structured inputs, rules, references."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from generation_svc.catalog import load_catalog
from generation_svc.domain.model import Catalog, Model

SHIPPED = Path(__file__).parent.parent / "models" / "KIE_SOURCE_OF_TRUTH.json"
MODEL_ID = "invented/film"
IMAGES = ["image/jpeg", "image/png"]


def text(most: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": most}


def objects(properties: dict[str, Any], *required: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [*required],
        "properties": properties,
        **more,
    }


def media(name: str, role: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "image",
        "role": role,
        "mime_types": IMAGES,
        "max_bytes": 5_000_000,
        **more,
    }


SHOT = objects(
    {
        "prompt": text(200),
        "seconds": {"type": "integer", "minimum": 1, "maximum": 12},
        "image": {"type": "string", "minLength": 1},
    },
    "prompt",
    "seconds",
)
SPEECH = {
    "type": "object",
    "oneOf": [
        objects({"type": {"type": "string", "const": "line"}, "text": text(100)}, "type", "text"),
        objects(
            {
                "type": {"type": "string", "const": "pause"},
                "seconds": {"type": "number", "minimum": 0.5, "maximum": 5, "multipleOf": 0.1},
            },
            "type",
            "seconds",
        ),
    ],
}
FIELDS = {
    "prompt": text(500),
    "shots": {"type": "array", "minItems": 1, "maxItems": 3, "items": SHOT},
    "mode": {"type": "string", "enum": ["std", "pro"], "default": "std"},
    "images": {
        "type": "array",
        "maxItems": 3,
        "uniqueItems": True,
        "items": {"type": "string", "minLength": 1},
    },
    "last_frame": {"type": "string", "minLength": 1},
    "sound": {"type": "string", "minLength": 1},
    "speech": {"type": "array", "maxItems": 4, "items": SPEECH},
    "seconds": {"type": "integer", "minimum": 1, "maximum": 30},
    "extends": {"type": "string", "minLength": 1},
    "song": {"type": "string", "minLength": 1},
}
INNER_FIELDS = (
    *(f"shots[].{name}" for name in ("prompt", "seconds", "image")),
    *(f"speech[].{name}" for name in ("type", "text", "seconds")),
)
LABEL = {"ru": "Поле", "en": "Field"}
RULES = [
    {
        "if": {"properties": {"mode": {"const": "pro"}}, "required": ["mode"]},
        "then": {"properties": {"seconds": {"maximum": 10}}, "required": ["seconds"]},
    },
    {"if": {"required": ["extends"]}, "then": {"properties": {"images": False}}},
]
ENTRY: dict[str, Any] = {
    "id": MODEL_ID,
    "purpose": "image-to-video",
    "result": {"kinds": ["video", "image"], "shape": "urls", "max_bytes": 100_000_000},
    "title": {"ru": "Фильм", "en": "Film"},
    "description": {"ru": "Снимает фильм.", "en": "Makes a film."},
    "hint": {"ru": "Опишите сцену.", "en": "Describe the scene."},
    "prompt_examples": [{"ru": "Море", "en": "The sea"}],
    "duration": {"usual_seconds": 5, "longest_seconds": 600},
    "is_free": True,
    "offers": [
        {
            "provider": "kie",
            "model": MODEL_ID,
            "required": ["mode"],
            "fields": {
                "images": "imageUrls",
                "last_frame": "tailUrls",
                "shots[].image": "image_url",
                "sound": "soundUrl",
                "extends": "taskId",
                "song": "audioId",
            },
            "lists": ["last_frame"],
            "price": {"parts": [{"rates": [{"credits": "1"}], "times": [], "unit": "video"}]},
        }
    ],
    "media_inputs": [
        media("images", "first_frame"),
        media("last_frame", "last_frame"),
        media("shots[].image", "reference"),
        media(
            "sound",
            "voice",
            kind="audio",
            mime_types=["audio/mpeg"],
            max_seconds=30,
        ),
    ],
    "reference_inputs": [
        {"name": "extends", "part": "task", "models": [MODEL_ID]},
        {"name": "song", "part": "audio"},
    ],
    "input_schema": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": [],
        "additionalProperties": False,
        "properties": FIELDS,
        "oneOf": [
            {"required": ["prompt"], "properties": {"shots": False}},
            {"required": ["shots"], "properties": {"prompt": False}},
        ],
        "allOf": RULES,
        "dependentRequired": {"last_frame": ["images"]},
    },
    "options": {
        **{path: {"label": LABEL} for path in (*FIELDS, *INNER_FIELDS)},
        "speech[].type": {
            "label": LABEL,
            "choices": {
                "line": {"ru": "Реплика", "en": "Line"},
                "pause": {"ru": "Пауза", "en": "Pause"},
            },
        },
        "mode": {
            "label": {"ru": "Режим", "en": "Mode"},
            "choices": {value: {"ru": value, "en": value} for value in ("std", "pro")},
        },
    },
}


def invented_catalog(**changes: Any) -> Catalog:
    """Return the free models as shipped, and the invented one, which may be changed, at the end."""
    document = json.loads(SHIPPED.read_text(encoding="utf-8"))
    document["models"] = [each for each in document["models"] if each["is_free"]]
    document["models"].append({**deepcopy(ENTRY), **changes})
    with TemporaryDirectory() as folder:
        path = Path(folder, "catalog.json")
        path.write_text(json.dumps(document), encoding="utf-8")
        return load_catalog(path)


def invented_model() -> Model:
    return invented_catalog().get(MODEL_ID)
