"""Short videos that a phone plays: H.264 and, where wanted, AAC in an MP4 or MOV."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from itertools import islice
from tempfile import NamedTemporaryFile

import av
from PIL import Image, ImageOps

from sandbox.kie.picture import paint, tinted, write
from sandbox.kie.probe import Size
from sandbox.kie.sound import Pcm, frame_of

FRAMES_PER_SECOND = 10
LONGEST_S = 3.0
QUICK = {"preset": "ultrafast", "profile": "baseline", "crf": "30", "threads": "1"}
"""A profile that every phone plays, made in little time."""
CAPTION_HEIGHT = 0.3
"""The part of the picture that the prompt takes."""


@dataclass(frozen=True, kw_only=True)
class Film:
    """What a video is to show."""

    prompt: str
    size: Size
    seconds: float
    seed: int
    scenes: Sequence[Image.Image] = ()
    """Pictures that it goes through; the first and the last frame show them as they are."""
    sound: Pcm | None = None
    container: str = "mp4"
    """Or `mov`."""

    @property
    def frames(self) -> int:
        """The number of its frames."""
        return max(2, round(min(self.seconds, LONGEST_S) * FRAMES_PER_SECOND))


def shot(film: Film) -> bytes:
    """Return a video of the film."""
    scenes = [ImageOps.fit(each.convert("RGB"), film.size) for each in film.scenes]
    pictures = _through(scenes, film.frames) if scenes else _panned(film)
    return _encoded(_captioned(pictures, film), film)


def retaken(film: Film, source: Sequence[Image.Image]) -> bytes:
    """Return a video of the frames of another video, in other colours and with a caption."""
    chance = random.Random(f"{film.prompt}{film.seed}")
    colours = tinted(chance)
    pictures = (colours(ImageOps.fit(each, film.size)) for each in source)
    return _encoded(_captioned(pictures, film), film)


def frames_of(content: bytes, *, seconds: float) -> list[Image.Image]:
    """Return about ten frames a second from the beginning of a video."""
    wanted = max(2, round(seconds * FRAMES_PER_SECOND))
    with av.open(BytesIO(content), "r") as container:
        stream = container.streams.video[0]
        step = max(1, round(float(stream.average_rate or FRAMES_PER_SECOND) / FRAMES_PER_SECOND))
        frames = islice(container.decode(stream), 0, wanted * step, step)
        return [frame.to_image() for frame in frames]  # type: ignore[no-untyped-call]


def _encoded(pictures: Iterator[Image.Image], film: Film) -> bytes:
    return encoded(pictures, size=film.size, sound=film.sound, container=film.container)


def encoded(
    pictures: Iterator[Image.Image], *, size: Size, sound: Pcm | None, container: str = "mp4"
) -> bytes:
    """Return a video whose index comes first, so that it plays while it loads.

    FFmpeg moves the index in a second pass, which needs a real file.
    """
    with NamedTemporaryFile(suffix=f".{container}") as file:
        _write(file.name, pictures, size=size, sound=sound)
        return file.read()


def _write(path: str, pictures: Iterator[Image.Image], *, size: Size, sound: Pcm | None) -> None:
    with av.open(path, "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options=QUICK)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        voice = container.add_stream("aac", layout="mono", rate=22_050) if sound else None
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_image(picture)  # type: ignore[no-untyped-call]
            frame.pts, frame.time_base = number, Fraction(1, FRAMES_PER_SECOND)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if voice and sound:
            container.mux(voice.encode(frame_of(sound)))
            container.mux(voice.encode(None))


def _panned(film: Film) -> Iterator[Image.Image]:
    """Move over a painted ground that is wider than the picture."""
    width, height = film.size
    ground = paint("", size=(width * 3 // 2, height), seed=film.seed)
    for number in range(film.frames):
        left = width // 2 * number // film.frames
        yield ground.crop((left, 0, left + width, height))


def _through(scenes: Sequence[Image.Image], frames: int) -> Iterator[Image.Image]:
    """Go from the first scene to the last, each fading into the next; one alone grows."""
    for number in range(frames):
        share = number / (frames - 1)
        if len(scenes) == 1:
            yield _grown(scenes[0], share)
            continue
        at, between = divmod(share * (len(scenes) - 1), 1)
        following = scenes[min(int(at) + 1, len(scenes) - 1)]
        yield Image.blend(scenes[int(at)], following, between)


def _grown(picture: Image.Image, share: float) -> Image.Image:
    width, height = picture.size
    by_x, by_y = width * share / 12, height * share / 12
    box = (by_x, by_y, width - by_x, height - by_y)
    return picture.resize(picture.size, Image.Resampling.BILINEAR, box=box)


def _captioned(pictures: Iterator[Image.Image], film: Film) -> Iterator[Image.Image]:
    """Write the prompt on every frame, moving up, but not on the first and the last given scene."""
    caption = _caption(film)
    lowest = film.size[1] - caption.height
    for number, picture in enumerate(pictures):
        if not film.scenes or 0 < number < film.frames - 1:
            at = (0, lowest - lowest * number // (2 * film.frames))
            picture.paste(caption, at, caption)
        yield picture


def _caption(film: Film) -> Image.Image:
    width, height = film.size[0], int(film.size[1] * CAPTION_HEIGHT)
    caption = Image.new("RGBA", (width, height))
    write(caption, film.prompt[:200], box=(0, 0, width, height))
    return caption
