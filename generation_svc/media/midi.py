"""Writes notes as a MIDI file.

    {"tracks": [{"name": "Bass", "notes": [[pitch, start, end, velocity]]}]}

Times are seconds. Each track has a channel and a likely instrument of General MIDI, so that any
player makes of it what its name says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mido import MidiTrack

TICKS_PER_BEAT = 480
TICKS_PER_SECOND = 2 * TICKS_PER_BEAT
"""At 120 beats a minute, which is what a file says that says nothing."""
DRUM_CHANNEL = 9
_CHANNELS = tuple(number for number in range(16) if number != DRUM_CHANNEL)
_DRUMS = ("drum", "percussion")
_PROGRAMS = {
    "bass": 33,
    "guitar": 25,
    "string": 48,
    "brass": 61,
    "woodwind": 73,
    "vocal": 52,
    "voice": 52,
    "synth": 81,
    "organ": 16,
}
"""Programs of General MIDI, from 0, by words in the names of tracks; all else is a piano."""


def midi_of(content: str) -> bytes:
    """Return the file; it takes some microseconds a note, so call it in a thread."""
    # Here, since few processes ever meet notes.
    from mido import MetaMessage, MidiFile, MidiTrack

    file = MidiFile(type=1, ticks_per_beat=TICKS_PER_BEAT, charset="utf-8")
    file.tracks.append(MidiTrack([MetaMessage("set_tempo", tempo=500_000)]))
    for number, track in enumerate(json.loads(content)["tracks"]):
        file.tracks.append(_track(track["name"], track["notes"], number=number))
    out = BytesIO()
    file.save(file=out)
    return out.getvalue()


def _track(name: str, notes: Sequence[Sequence[Any]], *, number: int) -> MidiTrack:
    from mido import Message, MetaMessage, MidiTrack

    program = _program_of(name)
    channel = DRUM_CHANNEL if program is None else _CHANNELS[number % len(_CHANNELS)]
    track = MidiTrack([MetaMessage("track_name", name=name)])
    if program is not None:
        track.append(Message("program_change", channel=channel, program=program))
    at = 0
    for tick, velocity, pitch in sorted(_strokes(notes)):
        kind = "note_on" if velocity else "note_off"
        stroke = Message(kind, channel=channel, note=pitch, velocity=velocity, time=tick - at)
        track.append(stroke)
        at = tick
    return track


def _program_of(name: str) -> int | None:
    """Return the program that sounds like its name; None for drums, which have none."""
    word = name.lower()
    if any(each in word for each in _DRUMS):
        return None
    return next((program for each, program in _PROGRAMS.items() if each in word), 0)


def _strokes(notes: Sequence[Sequence[Any]]) -> Iterator[tuple[int, int, int]]:
    """Yield tick, velocity and pitch; ends, of velocity 0, come first where one note follows."""
    for pitch, start, end, velocity in notes:
        begin = round(start * TICKS_PER_SECOND)
        yield begin, velocity, pitch
        yield max(round(end * TICKS_PER_SECOND), begin + 1), 0, pitch
