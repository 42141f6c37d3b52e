"""Models that nobody has heard of, in KIE's words, one for each shape of result."""

from typing import Any

from sandbox.kie.entry import Entry
from tests.integration.sandbox_kie import Json, SandboxKie

TEXT: Json = {"type": "string", "minLength": 1, "maxLength": 100}
RATIO: Json = {"type": "string", "enum": ["16:9", "1:1", "9:16"], "default": "16:9"}
DURATION: Json = {"type": "string", "enum": ["5", "10"], "default": "5"}
FLAT: Json = {"parts": [{"rates": [{"credits": "12"}]}]}
PER_SECOND: Json = {
    "parts": [
        {
            "rates": [{"when": {"sound": True}, "credits": "3"}, {"credits": "2"}],
            "times": [{"field": "duration"}],
            "unit": "second",
        }
    ]
}


def address(kind: str, **limits: Any) -> Json:
    return {"type": "string", "x-media": {"kind": kind, **limits}}


def addresses(kind: str, *, most: int, **limits: Any) -> Json:
    items = {"type": "string", "minLength": 1}
    return {
        "type": "array",
        "items": items,
        "maxItems": most,
        "x-media": {"kind": kind, **limits},
    }


def earlier(kind: str, *models: str) -> Json:
    return {"type": "string", "minLength": 1, "x-ref": {"kind": kind, "of": [*models]}}


def schema(*required: str, **fields: Json) -> Json:
    return {"type": "object", "required": [*required], "properties": fields}


def entry(model: str, *, purpose: str, kind: str, **more: Any) -> Json:
    told = {"model": model, "purpose": purpose, "kind": kind, "price": FLAT, "title": "New", **more}
    return Entry.model_validate(told).model_dump()


ENTRIES = (
    entry(
        "new/film",
        purpose="text-to-video",
        kind="video",
        price=PER_SECOND,
        input=schema(
            "prompt",
            prompt=TEXT,
            aspect_ratio=RATIO,
            duration=DURATION,
            sound={"type": "boolean", "default": False},
            first_frame_url=address("image"),
            last_frame_url=address("image"),
            seed={"type": "integer", "minimum": 1},
        ),
    ),
    entry(
        "new/retake",
        purpose="video-edit",
        kind="video",
        price={"parts": [{"rates": [{"credits": "4"}], "times": [{"seconds_of": "video_url"}]}]},
        input=schema(
            "prompt", "video_url", prompt=TEXT, video_url=address("video", max_seconds=10)
        ),
    ),
    entry(
        "new/picture",
        purpose="image-edit",
        kind="image",
        input=schema(
            "prompt",
            "image_urls",
            prompt=TEXT,
            image_urls=addresses("image", most=2, types=["image/png"], max_bytes=100_000),
            mask_url=address("image"),
            aspect_ratio={"type": "string", "enum": ["auto", "3:1"]},
            num_images={"type": "string", "enum": ["1", "3"]},
            output_format={"type": "string", "enum": ["png", "jpg"], "default": "jpg"},
        ),
    ),
    entry(
        "new/larger",
        purpose="image-upscale",
        kind="image",
        input=schema("image", image=address("image"), upscale_factor={"type": "string"}),
    ),
    entry(
        "new/cut-out",
        purpose="background-removal",
        kind="image",
        input=schema("image", image=address("image")),
    ),
    entry(
        "new/layers",
        purpose="image-layers",
        kind="image",
        price={"parts": [{"rates": [{"credits": "2"}], "times": [{"at_most": 20}]}]},
        input=schema("image_url", image_url=address("image")),
    ),
    entry(
        "new/speech",
        purpose="text-to-speech",
        kind="audio",
        price={
            "parts": [{"rates": [{"credits": "6"}], "times": [{"characters": "text", "per": 1000}]}]
        },
        input=schema("text", text={"type": "string", "maxLength": 5000}),
    ),
    entry(
        "new/songs",
        purpose="text-to-music",
        kind="audio",
        shape="songs",
        input=schema("title", title=TEXT, lyrics=TEXT),
    ),
    entry(
        "new/stems",
        purpose="audio-separation",
        kind="audio",
        shape="stems",
        input=schema(
            "task_id",
            "audio_id",
            task_id=earlier("task", "new/songs"),
            audio_id=earlier("audio", "new/songs"),
            type={"type": "string"},
        ),
    ),
    entry(
        "new/lyrics",
        purpose="lyrics",
        kind="text",
        shape="lyrics",
        input=schema("prompt", prompt=TEXT),
    ),
    entry(
        "ai-music-api/generate-persona",
        purpose="voice",
        kind="object",
        shape="object",
        input=schema(
            "task_id",
            "audio_id",
            "name",
            task_id=earlier("task", "new/songs"),
            audio_id=earlier("audio", "new/songs"),
            name=TEXT,
        ),
    ),
    entry(
        "new/persona-song",
        purpose="text-to-music",
        kind="audio",
        shape="songs",
        input=schema("persona_id", persona_id=earlier("persona")),
    ),
    entry(
        "ai-music-api/generate-midi-from-audio",
        purpose="audio-to-midi",
        kind="object",
        shape="object",
        input=schema("task_id", task_id=earlier("task", "new/stems")),
    ),
    entry(
        "ai-music-api/timeStamped-lyrics",
        purpose="lyrics",
        kind="object",
        shape="object",
        input=schema("audio_id", audio_id=earlier("audio")),
    ),
)


async def add_models(kie: SandboxKie) -> None:
    """Let the sandbox have all of them."""
    for each in ENTRIES:
        response = await kie.http.post("/sandbox/models", json=each)
        assert response.status_code == 200, response.text
