"""Making what the settings have the free models make: videos of any size, and songs."""

import struct

from sandbox.kie import sound
from sandbox.kie.film import Film, shot
from sandbox.kie.made import Made, sound_file, video_file

VIDEO_SIZE = (320, 240)
VIDEO_SECONDS = 2
SONG_SECONDS = 3


def video(prompt: str, *, seed: int, padding: int = 0) -> Made:
    """Return an MP4 of the prompt on a moving background.

    Padding is a box that players skip: a file of any size that takes no memory.
    """
    film = Film(prompt=prompt, size=VIDEO_SIZE, seconds=VIDEO_SECONDS, seed=seed)
    content = shot(film)
    if padding:
        content += struct.pack(">I4s", 8 + padding, b"free")
    return video_file(content, padding=padding)


def song(prompt: str, *, seed: int) -> Made:
    """Return a WAV of chords that the prompt and the seed choose."""
    chosen = sum(prompt.encode()) + seed
    pcm = sound.music(seconds=SONG_SECONDS, seed=chosen)
    return sound_file(sound.encoded(pcm, "wav"), "wav")
