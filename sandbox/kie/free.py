"""Making what the four free models make: pictures, or what the settings have them make."""

import secrets
from collections.abc import Mapping
from typing import Any

from PIL import Image

from sandbox.kie.clip import SONG_SECONDS, song, video
from sandbox.kie.made import Json, Made, Result, files, picture_file
from sandbox.kie.model import MODELS
from sandbox.kie.picture import paint, repaint
from sandbox.kie.settings import KieSettings
from sandbox.kie.task import Task

DEFAULT_STRENGTH = 0.8
COVER_SIZE = (256, 256)


def made_freely(task: Task, source: bytes | None, settings: KieSettings) -> Result:
    """Return what the task asked for; raises UnreadablePictureError."""
    prompt, seeds = str(task.fields.get("prompt", "")), _seeds(task)
    if settings.result_kind == "picture":
        return files(*_draw(task, source, seeds=seeds))
    if settings.result_kind == "video":
        padding = settings.video_padding_mb << 20
        return files(*(video(prompt, seed=seed, padding=padding) for seed in seeds))
    sung = [song(prompt, seed=seed) for seed in seeds]
    if settings.result_kind == "song":
        return Result(told={"data": [_track(prompt, *each) for each in enumerate(sung)]})
    return files(*sung)


def _track(prompt: str, number: int, audio: Made) -> Json:
    """Return what is said of a song; it has a cover of its own."""
    return {
        "id": secrets.token_hex(16),
        "audio_url": audio,
        "image_url": picture_file(paint(prompt, size=COVER_SIZE, seed=number), "jpeg"),
        "title": prompt[:80].title(),
        "duration": float(SONG_SECONDS),
    }


def _seeds(task: Task) -> list[int]:
    """Return a seed for each result: the same again for the same seed, else others."""
    model = MODELS[task.model]
    first = model.known(task.fields).get("seed", secrets.randbits(31))
    return [first + number for number in range(model.count_of(task.fields))]


def _draw(task: Task, source: bytes | None, *, seeds: list[int]) -> list[Made]:
    model = MODELS[task.model]
    file_format = str(model.known(task.fields).get("output_format", "png"))
    fields = model.known(task.fields) | {"size": model.size_of(task.fields)}
    return [picture_file(_draw_one(fields, source, seed=seed), file_format) for seed in seeds]


def _draw_one(fields: Mapping[str, Any], source: bytes | None, *, seed: int) -> Image.Image:
    prompt, size = fields.get("prompt", ""), fields["size"]
    if source is None:
        return paint(prompt, size=size, seed=seed)
    strength = fields.get("strength", DEFAULT_STRENGTH)
    return repaint(source, prompt, size=size, strength=strength, seed=seed)
