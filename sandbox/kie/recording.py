"""Making speech, effects, songs and stems."""

import secrets
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sandbox.kie import sound
from sandbox.kie.commission import Commission
from sandbox.kie.made import Json, Made, Result, files, picture_file, sound_file
from sandbox.kie.picture import paint
from sandbox.kie.sound import Pcm

COVER_SIZE = (256, 256)
SONGS = 2
SONG_S = 3.0
SONG_MODELS = {"V6": "chirp-v6", "V6_MINI": "chirp-v6-mini", "V6_WILD": "chirp-v6-wild"}
COVERED = (("aecho", "0.8:0.7:60:0.5"), ("tremolo", "f=5:d=0.5"))
"""How given sound is changed, with the filters of FFmpeg."""
STEMS = {
    "Vocals": (("bandpass", "f=1000:w=900"),),
    "Instrumental": (("lowpass", "f=500"),),
    "Backing Vocals": (("bandpass", "f=1500:w=500"),),
    "Drums": (("highpass", "f=2000"), ("volume", "2")),
    "Bass": (("lowpass", "f=250"), ("volume", "2")),
    "Guitar": (("bandpass", "f=600:w=300"),),
    "Keyboard": (("bandpass", "f=450:w=200"),),
    "Strings": (("bandpass", "f=800:w=250"),),
    "Synth": (("tremolo", "f=8:d=0.7"),),
    "FX": (("aecho", "0.8:0.9:120:0.6"),),
}
"""How each stem is taken out of the whole."""
STEMS_OF = {"separate_vocal": ("Vocals", "Instrumental"), "split_stem": tuple(STEMS)}


def recorded(asked: Commission) -> Result:
    """Return the sound that a task asked for, as one file."""
    if asked.entry.purpose == "audio-conversion":
        return files(sound_file(sound.encoded(_heard(asked), "wav"), "wav"))
    return files(_mp3(_take(asked)))


def _take(asked: Commission) -> Pcm:
    if any(each.probe.has_sound for each in asked.given):
        return sound.changed(_heard(asked), ("highpass", "f=300"), ("volume", "0.7"))
    if asked.entry.purpose == "sound-effects":
        return sound.effect(seconds=min(SONG_S, asked.seconds), seed=asked.seed)
    return sound.speech(asked.words, voice=f"{asked.text('voice')}{asked.seed % 3}")


def sung(asked: Commission) -> Result:
    """Return two songs with title, words, cover and length."""
    songs = [_song(asked, seed=asked.seed + number) for number in range(SONGS)]
    return Result(told={"data": songs}, ids={each["id"]: "audio" for each in songs})


def _song(asked: Commission, *, seed: int) -> Json:
    pcm = _tune(asked, seed=seed)
    title = asked.text("title") or asked.words[:80].title()
    file = _mp3(pcm)
    is_effect = asked.entry.purpose == "sound-effects"
    return {
        "id": str(UUID(hex=secrets.token_hex(16))),
        "audio_url": file,
        "stream_audio_url": file,
        "image_url": "" if is_effect else _cover(title, seed=seed),
        "prompt": asked.text("lyrics", "full_lyrics", "prompt"),
        "model_name": SONG_MODELS.get(asked.text("model"), "chirp-v6"),
        "title": title,
        "tags": asked.text("style", "tags") or "pop",
        "createTime": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
        "duration": round(sound.seconds_of(pcm), 2),
    }


def _cover(title: str, *, seed: int) -> Made:
    return picture_file(paint(title, size=COVER_SIZE, seed=seed), "jpeg")


def _tune(asked: Commission, *, seed: int) -> Pcm:
    """Return new chords; sound that was given comes first, changed."""
    if asked.entry.purpose == "sound-effects":
        return sound.effect(seconds=SONG_S, seed=seed)
    given = sound.changed(_heard(asked), *COVERED) if asked.given else b""
    return given + sound.music(seconds=SONG_S - sound.seconds_of(given) / 2, seed=seed)


def separated(asked: Commission) -> Result:
    """Return the stems of a song, each under its own name and with an id."""
    whole, kind = _heard(asked), asked.text("type") or "separate_vocal"
    names = STEMS_OF.get(kind, (asked.text("stem_name"), "Instrumental"))
    stems = {name: _mp3(sound.changed(whole, *STEMS.get(name, COVERED))) for name in names}
    data = [_stem(name, file, sound.seconds_of(whole)) for name, file in stems.items()]
    links: dict[str, Any] = {_key(name): file for name, file in stems.items()}
    told = {"origin_url": None, **links, "origin_data": data}
    return Result(told=told, ids={each["id"]: "audio" for each in data})


def _stem(name: str, file: Made, seconds: float) -> Json:
    return {
        "id": str(UUID(hex=secrets.token_hex(16))),
        "audio_url": file,
        "duration": round(seconds, 2),
        "stem_type_group_name": name,
    }


def _key(name: str) -> str:
    word = {"Vocals": "vocal"}.get(name, name)
    return f"{word.lower().replace(' ', '_')}_url"


def _heard(asked: Commission) -> Pcm:
    """Return the beginning of the sound that was given, or chords where there is none."""
    heard = (each for each in asked.given if each.probe.has_sound)
    pcm = next((sound.decoded(each.content, seconds=SONG_S) for each in heard), b"")
    return pcm or sound.music(seconds=SONG_S, seed=asked.seed)


def _mp3(pcm: Pcm) -> Made:
    return sound_file(sound.encoded(pcm, "mp3"))
