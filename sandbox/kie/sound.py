"""Sound: chords, speech of syllables, effects, and changes to sound that is given.

Everything is mono, 16 bits, as bytes of samples. What costs time, a chord or a syllable, is made
once and then put together: a song of seconds takes a fraction of a millisecond.
"""

import math
import random
import re
from array import array
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from io import BytesIO
from itertools import pairwise

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.filter import Graph

Pcm = bytes
"""Samples."""
Wave = Callable[[float], float]
"""Takes a moment in seconds, returns how far the air is from rest."""

SAMPLES_PER_SECOND = 22_050
QUICK = {"compression_level": "9"}
"""What makes an MP3 in the least time."""
LOUDNESS = 8000
CHORDS_HZ = (
    (262, 330, 392),
    (294, 349, 440),
    (330, 392, 494),
    (349, 440, 523),
    (392, 494, 587),
    (220, 262, 330),
)
"""C, D minor, E minor, F, G and A minor."""
BEAT_S = 0.5
SYLLABLE_S = 0.14
LONGEST_SPEECH = 40
"""The number of syllables that are spoken at most."""
VOWELS = ("aа", "eеэ", "iиыyй", "oоё", "uую", "яáäæ")
FORMANTS_HZ = ((730, 1090), (530, 1840), (270, 2290), (570, 840), (300, 870), (660, 1720))
"""The two loudest bands of each vowel."""
PITCHES_HZ = (110, 150, 200)
_SYLLABLES = re.compile(f"[{''.join(VOWELS)}]|[.,;:!?\\n]", re.IGNORECASE)


def music(*, seconds: float, seed: int) -> Pcm:
    """Return chords that the seed chooses."""
    chance = random.Random(seed)
    beats = math.ceil(seconds / BEAT_S)
    return b"".join(_chord(chance.choice(CHORDS_HZ)) for _ in range(beats))[: _bytes(seconds)]


def speech(text: str, *, voice: str = "") -> Pcm:
    """Return a syllable for each vowel of the text, in the pitch of the voice."""
    pitch = PITCHES_HZ[sum(voice.encode()) % len(PITCHES_HZ)]
    found = _SYLLABLES.findall(text)[:LONGEST_SPEECH]
    return b"".join(_syllable(each.lower(), pitch) for each in found or "aeo")


def effect(*, seconds: float, seed: int) -> Pcm:
    """Return sweeps and noise that the seed chooses."""
    chance = random.Random(seed)
    count = math.ceil(seconds / BEAT_S)
    parts = (_sweep(chance.choice((150, 400, 900)), chance.choice((0.5, 2))) for _ in range(count))
    return b"".join(parts)[: _bytes(seconds)]


def seconds_of(pcm: Pcm) -> float:
    """Return how long the samples last."""
    return len(pcm) / 2 / SAMPLES_PER_SECOND


def decoded(content: bytes, *, seconds: float) -> Pcm:
    """Return the beginning of the sound of a file; nothing of a file without sound."""
    resampler, out = av.AudioResampler("s16", "mono", SAMPLES_PER_SECOND), bytearray()
    with av.open(BytesIO(content), "r") as container:
        for frame in container.decode(audio=0) if container.streams.audio else ():
            for part in resampler.resample(frame):
                out += bytes(part.planes[0])[: part.samples * 2]
            if len(out) >= _bytes(seconds):
                break
    return bytes(out[: _bytes(seconds)])


def changed(pcm: Pcm, *filters: tuple[str, str]) -> Pcm:
    """Return the samples after filters of FFmpeg, each with its name and its arguments."""
    if not pcm:
        return pcm
    graph, frame = Graph(), frame_of(pcm)
    source = graph.add_abuffer(
        sample_rate=SAMPLES_PER_SECOND, format="s16", layout="mono", time_base=frame.time_base
    )
    told = f"sample_rates={SAMPLES_PER_SECOND}:sample_fmts=s16:channel_layouts=mono"
    nodes = [
        source,
        *(graph.add(name, arguments) for name, arguments in filters),
        graph.add("aformat", told),
        graph.add("abuffersink"),
    ]
    for one, other in pairwise(nodes):
        one.link_to(other)
    graph.configure()
    source.push(frame)
    source.push(None)
    return _pulled(graph)


def _pulled(graph: Graph) -> Pcm:
    out = bytearray()
    while True:
        try:
            part = graph.pull()
        except (av.EOFError, av.BlockingIOError):
            return bytes(out)
        if isinstance(part, AudioFrame):
            out += bytes(part.planes[0])[: part.samples * 2]


def frame_of(pcm: Pcm) -> AudioFrame:
    """Return the samples as one frame at the beginning."""
    frame = AudioFrame("s16", "mono", samples=len(pcm) // 2)
    frame.planes[0].update(pcm.ljust(frame.planes[0].buffer_size, b"\0"))
    frame.sample_rate, frame.pts = SAMPLES_PER_SECOND, 0
    frame.time_base = Fraction(1, SAMPLES_PER_SECOND)
    return frame


def encoded(pcm: Pcm, container: str) -> bytes:
    """Return the samples as a file: `mp3` or `wav`."""
    out = BytesIO()
    with av.open(out, "w", format=container) as file:
        codec = {"mp3": "libmp3lame", "wav": "pcm_s16le"}[container]
        stream = file.add_stream(codec, rate=SAMPLES_PER_SECOND, layout="mono", options=QUICK)
        if isinstance(stream, AudioStream):
            file.mux(stream.encode(frame_of(pcm or bytes(SAMPLES_PER_SECOND))))
            file.mux(stream.encode(None))
    return out.getvalue()


def _bytes(seconds: float) -> int:
    return int(seconds * SAMPLES_PER_SECOND) * 2


@cache
def _chord(notes: tuple[int, ...]) -> Pcm:
    return _made(BEAT_S, lambda at: sum(map(math.sin, (_turn(hertz, at) for hertz in notes))) / 3)


@cache
def _syllable(letter: str, pitch: int) -> Pcm:
    """Return a vowel, or silence for a mark: harmonics of the pitch, loud near the formants."""
    vowel = next((at for at, letters in enumerate(VOWELS) if letter in letters), None)
    if vowel is None:
        return bytes(_bytes(SYLLABLE_S))
    loud = [
        (pitch * number, _loudness(pitch * number, FORMANTS_HZ[vowel])) for number in range(1, 13)
    ]
    return _made(SYLLABLE_S, lambda at: sum(much * math.sin(_turn(hz, at)) for hz, much in loud))


def _loudness(hertz: int, formants: tuple[int, int]) -> float:
    return 0.3 * max(math.exp(-(((hertz - each) / 200) ** 2)) for each in formants) + 0.03


@cache
def _sweep(hertz: int, growth: float) -> Pcm:
    chance = random.Random(hertz)
    return _made(
        BEAT_S, lambda at: math.sin(_turn(hertz, at * growth**at)) + chance.uniform(-0.3, 0.3)
    )


def _turn(hertz: float, at: float) -> float:
    return 2 * math.pi * hertz * at


def _made(seconds: float, wave: Wave) -> Pcm:
    """Return the wave from its loud beginning to its silent end."""
    count = int(seconds * SAMPLES_PER_SECOND)
    values = (wave(at / SAMPLES_PER_SECOND) * (1 - at / count) * LOUDNESS for at in range(count))
    return array("h", (max(-32_000, min(32_000, int(value))) for value in values)).tobytes()
