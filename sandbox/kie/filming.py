"""Making the videos of every model that makes videos."""

import re

from PIL import Image

from sandbox.kie import sound
from sandbox.kie.commission import LONGEST_S, Commission, flag
from sandbox.kie.film import Film, encoded, frames_of, retaken, shot
from sandbox.kie.made import Result, files, picture_file, video_file
from sandbox.kie.measure import VIDEO_SIDES, size_for
from sandbox.kie.picture import opened
from sandbox.kie.probe import Size
from sandbox.kie.sound import Pcm

USUAL = (16, 9)
LARGEST_SIDE = 1280
GROWTH = {"1080": 2.0, "4k": 3.0}
"""How much larger the models make a video whose names say what they raise it to."""
_SWITCHES = ("sound", "audio", "generate_audio", "generate_audio_switch")
_SOUNDING = re.compile("veo|grok|sora|omni|wan/2-[567]|wan/3|happyhorse|minimax-h3|music")
"""The models that make sound without being asked to."""


def filmed(asked: Commission) -> Result:
    """Return the video that a task asked for, and its last frame where that is wanted."""
    content = _content(asked)
    told = files(video_file(content, _container(asked)))
    if asked.fields.get("return_last_frame"):
        last = frames_of(content, seconds=LONGEST_S)[-1]
        told.told["lastFrameUrl"] = picture_file(last, "png")
    return told


def _content(asked: Commission) -> bytes:
    videos = asked.of_kind("video")
    if asked.entry.purpose == "video-upscale" and videos:
        return _enlarged(asked, videos[0].content, size=videos[0].probe.size or USUAL)
    if videos:
        source = frames_of(videos[0].content, seconds=asked.seconds)
        return retaken(_film(asked, seconds=len(source) / 10), source)
    return shot(_film(asked, seconds=asked.seconds))


def _film(asked: Commission, *, seconds: float) -> Film:
    return Film(
        prompt=asked.words,
        size=size_for(asked.fields, sides=VIDEO_SIDES, like=asked.like, usual=USUAL),
        seconds=seconds,
        seed=asked.seed,
        scenes=_scenes(asked),
        sound=_sound(asked, seconds=seconds),
        container=_container(asked),
    )


def _container(asked: Commission) -> str:
    return "mov" if asked.text("output_format") == "mov" else "mp4"


def _scenes(asked: Commission) -> list[Image.Image]:
    return [opened(each.content) for each in asked.of_kind("image")]


def _sound(asked: Commission, *, seconds: float) -> Pcm | None:
    """Return the sound that was given, or some of its own where the model makes sound."""
    if heard := next((each for each in asked.given if each.probe.has_sound), None):
        return sound.decoded(heard.content, seconds=seconds) or None
    wanted = flag(asked.fields, *_SWITCHES)
    is_wanted = bool(_SOUNDING.search(asked.entry.model)) if wanted is None else wanted is True
    return sound.music(seconds=seconds, seed=asked.seed) if is_wanted else None


def _enlarged(asked: Commission, content: bytes, *, size: Size) -> bytes:
    """Return the video with more pixels, as it is otherwise."""
    factor = next((much for name, much in GROWTH.items() if name in asked.entry.model), None)
    factor = factor or float(asked.count("upscale_factor") if asked.fields else 2)
    scale = max(1.1, min(factor, LARGEST_SIDE / max(size)))
    larger = (round(size[0] * scale / 2) * 2, round(size[1] * scale / 2) * 2)
    frames = (each.resize(larger) for each in frames_of(content, seconds=LONGEST_S))
    heard = sound.decoded(content, seconds=LONGEST_S) or None
    return encoded(frames, size=larger, sound=heard)
