"""Making what is no picture, video or sound: lyrics, MIDI, voices, what is seen in a picture.

The shapes are those of KIE's documents where there are any (lyrics, MIDI, words with times,
personas); the others are likely ones and say so in `GUESSED`.
"""

import random
import secrets
from collections.abc import Callable, Mapping

from sandbox.kie import sound
from sandbox.kie.commission import Commission
from sandbox.kie.made import Json, Result, picture_file
from sandbox.kie.picture import opened
from sandbox.kie.retouch import marked, mask

DRAFTS = 2
SCALE = (60, 62, 64, 67, 69)
"""The notes of a pentatonic scale, as MIDI numbers them."""
INSTRUMENTS = ("Vocals", "Piano", "Bass")
PHRASES = (
    "Silver morning over quiet water",
    "Seven lanterns by the open gate",
    "Carry me home on a summer wind",
)
SEGMENTS = 3
GUESSED = frozenset(
    {
        "ai-music-api/boost-music-style",
        "ai-music-api/check-voice",
        "ai-music-api/create-voice",
        "ai-music-api/regenerate-phrase",
        "ai-music-api/validation-phrase",
        "elevenlabs/speech-to-text",
        "grok-imagine-image-2-0/segment-map",
        "omnihuman-1-5/human-identification",
        "omnihuman-1-5/subject-detection",
    }
)
"""The models of whose result no document and no answer was found."""


def known(asked: Commission) -> Result:
    """Return the object or the text that a task asked for."""
    make = _MAKERS.get(asked.entry.model, _summary)
    return make(asked)


def lyrics(asked: Commission) -> Result:
    """Return drafts of words for a song."""
    drafts = [_draft(asked, number) for number in range(DRAFTS)]
    return _object({"lyricsData": drafts})


def _draft(asked: Commission, number: int) -> Json:
    lines = random.Random(f"{asked.words}{asked.seed}{number}").sample(PHRASES, k=len(PHRASES))
    text = f"[Verse]\n{lines[0]}\n{asked.words}\n\n[Chorus]\n{lines[1]}\n{lines[2]}"
    title = f"{asked.words[:60].title()} {number + 1}"
    return {"text": text, "title": title, "status": "complete", "errorMessage": ""}


def _timed_lyrics(asked: Commission) -> Result:
    words = asked.words.split() or ["la"]
    aligned = [
        {
            "word": f"{word} ",
            "success": True,
            "startS": round(0.3 * at, 2),
            "endS": round(0.3 * at + 0.25, 2),
            "palign": 0,
        }
        for at, word in enumerate(words)
    ]
    waveform = [round(random.Random(asked.seed + at).random(), 4) for at in range(20)]
    told = {"alignedWords": aligned, "waveformData": waveform, "hootCer": 0.1, "isStreamed": False}
    return _object(told)


def _midi(asked: Commission) -> Result:
    instruments = [
        {"name": name, "notes": _notes(random.Random(f"{asked.seed}{name}"))}
        for name in INSTRUMENTS
    ]
    return _object({"state": "complete", "instruments": instruments})


def _notes(chance: random.Random) -> list[Json]:
    return [
        {
            "pitch": chance.choice(SCALE),
            "start": at * sound.BEAT_S,
            "end": (at + 1) * sound.BEAT_S,
            "velocity": round(chance.uniform(0.4, 1), 2),
        }
        for at in range(8)
    ]


def _persona(asked: Commission) -> Result:
    persona = secrets.token_hex(16)
    told = {key: asked.text(key) for key in ("name", "description")}
    return _object({"personaId": persona, **told}, ids={persona: "persona"})


def _voice(asked: Commission) -> Result:
    voice = secrets.token_hex(16)
    told = {"voiceId": voice, "voiceName": asked.text("voice_name"), "status": "success"}
    return _object(told, ids={voice: "persona"})


def _checked_voice(asked: Commission) -> Result:
    return _object({"isAvailable": True, "status": "success"})


def _phrase(asked: Commission) -> Result:
    phrase = PHRASES[asked.seed % len(PHRASES)]
    return _object({"validateInfo": phrase, "status": "wait_validating"})


def _style(asked: Commission) -> Result:
    return _object({"result": f"{asked.words}, warm analogue synths, steady drums, 96 BPM"})


def _transcript(asked: Commission) -> Result:
    heard = next((each.probe.seconds for each in asked.given if each.probe.has_sound), 0)
    text = " ".join(PHRASES[: 1 + int(heard) % len(PHRASES)])
    return _object({"language_code": "eng", "text": text, "words": []})


def _segments(asked: Commission) -> Result:
    boxes = _boxes(asked)
    parts = [
        {"index": number, "label": f"part {number}", "bbox": list(box)}
        for number, box in enumerate(boxes, start=1)
    ]
    shown = picture_file(marked(opened(asked.of_kind("image")[0].content), boxes), "png")
    return _object({"segments": parts, "segmentMapUrl": shown})


def _subjects(asked: Commission) -> Result:
    size = asked.like or (64, 64)
    masks = [picture_file(mask(size, box), "png") for box in _boxes(asked)[:2]]
    return _object({"status": 1, "maskUrls": masks})


def _human(asked: Commission) -> Result:
    return _object({"status": 1, "hasHuman": True})


def _boxes(asked: Commission) -> list[tuple[int, int, int, int]]:
    """Return the parts of the picture, side by side."""
    width, height = asked.like or (64, 64)
    step = width // SEGMENTS
    top, low = height // 5, height * 4 // 5
    return [(step * at + 2, top, step * (at + 1) - 2, low) for at in range(SEGMENTS)]


def _summary(asked: Commission) -> Result:
    """Return what was asked, for a model of which nothing is known."""
    return _object({"text": asked.words, "seed": asked.seed})


def _object(told: Json, *, ids: Mapping[str, str] | None = None) -> Result:
    return Result(told={"resultObject": told}, ids=dict(ids or {}))


_MAKERS: Mapping[str, Callable[[Commission], Result]] = {
    "ai-music-api/boost-music-style": _style,
    "ai-music-api/check-voice": _checked_voice,
    "ai-music-api/create-voice": _voice,
    "ai-music-api/generate-midi-from-audio": _midi,
    "ai-music-api/generate-persona": _persona,
    "ai-music-api/regenerate-phrase": _phrase,
    "ai-music-api/timeStamped-lyrics": _timed_lyrics,
    "ai-music-api/validation-phrase": _phrase,
    "elevenlabs/speech-to-text": _transcript,
    "grok-imagine-image-2-0/segment-map": _segments,
    "omnihuman-1-5/human-identification": _human,
    "omnihuman-1-5/subject-detection": _subjects,
}
