"""Making videos and songs: short ones that any player plays, and files of any size."""

import math
import random
import struct
import wave
from array import array
from io import BytesIO

import av
from PIL import Image

from sandbox.kie.made import Made
from sandbox.kie.picture import paint

VIDEO_SIZE = (320, 240)
VIDEO_SECONDS = 2
FRAMES_PER_SECOND = 12
SONG_SECONDS = 3
SAMPLES_PER_SECOND = 22_050
NOTES_HZ = (262, 294, 330, 392, 440)
"""A pentatonic scale: no two notes of it sound wrong together."""


def video(prompt: str, *, seed: int, padding: int = 0) -> Made:
    """Return an MP4 of the prompt on a moving background.

    Padding is a box that players skip: a file of any size that takes no memory.
    """
    content = _encoded(paint(prompt, size=VIDEO_SIZE, seed=seed))
    if padding:
        content += struct.pack(">I4s", 8 + padding, b"free")
    return Made(content=content, mime_type="video/mp4", ending="mp4", padding=padding)


def song(prompt: str, *, seed: int) -> Made:
    """Return a WAV of notes that the prompt and the seed choose."""
    chance, out = random.Random(f"{prompt}{seed}"), BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLES_PER_SECOND)
        for _ in range(SONG_SECONDS * 2):
            file.writeframes(_note(chance.choice(NOTES_HZ)))
    return Made(content=out.getvalue(), mime_type="audio/wav", ending="wav")


def _note(hertz: int) -> bytes:
    count = SAMPLES_PER_SECOND // 2
    wave_of = (math.sin(2 * math.pi * hertz * at / SAMPLES_PER_SECOND) for at in range(count))
    fading = (8000 * value * (1 - at / count) for at, value in enumerate(wave_of))
    return array("h", map(int, fading)).tobytes()


def _encoded(picture: Image.Image) -> bytes:
    out = BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND)
        stream.width, stream.height = VIDEO_SIZE
        stream.pix_fmt = "yuv420p"
        for number in range(VIDEO_SECONDS * FRAMES_PER_SECOND):
            pixels = picture.rotate(number, fillcolor="black").convert("RGBA").tobytes()
            frame = av.VideoFrame.from_bytes(pixels, *VIDEO_SIZE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()
