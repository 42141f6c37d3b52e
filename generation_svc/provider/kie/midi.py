"""Finds the notes in what Suno says of a song: `instruments`, each with a name and its notes.

    {"instruments": [{"name": "Drums", "notes": [
        {"pitch": 73, "start": 0.03, "end": 0.18, "velocity": 0.5}]}]}

Pitches are those of MIDI, times are seconds, a velocity is between 0 and 1 (docs.kie.ai,
"Generate MIDI from Audio"); numbers were seen as text, too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from generation_svc.domain.observation import MIDI_TYPE, ResultItem
from generation_svc.provider.kie.document import Document, as_document, objects_at
from generation_svc.provider.kie.link import MAX_DURATION, title_of

MAX_NOTES = 100_000
"""More notes than an hour of music has; of more there is the data alone."""
MAX_TRACKS = 64
_NAMED_TRACKS = 12
"""How many tracks a summary names."""
_USUAL_VELOCITY = 0.5
_HIGHEST = 127

Note = tuple[int, float, float, int]
"""Pitch, start and end in seconds, velocity from 1 to 127."""


@dataclass(frozen=True, slots=True)
class Track:
    """The notes of one instrument, in the order in which they begin."""

    name: str
    notes: tuple[Note, ...]


def tracks_of(value: object) -> tuple[Track, ...]:
    """Return the instruments that have notes; none where the data is something else, or too much.

    A note that cannot be played is left out.
    """
    found = (_track(each) for each in objects_at(value, ("instruments",)))
    tracks = tuple(track for track in found if track.notes)
    is_too_much = sum(len(track.notes) for track in tracks) > MAX_NOTES
    return () if is_too_much or len(tracks) > MAX_TRACKS else tracks


def midi_item(tracks: Sequence[Track]) -> ResultItem:
    """Return the file that plays the tracks."""
    told = [{"name": track.name, "notes": track.notes} for track in tracks]
    content = json.dumps({"tracks": told}, ensure_ascii=False, separators=(",", ":"))
    return ResultItem("", content=content, mime_type=MIDI_TYPE)


def midi_summary(tracks: Sequence[Track]) -> str:
    """Say in a sentence what is played, for how long and by whom."""
    count = sum(len(track.notes) for track in tracks)
    seconds = math.ceil(max(end for track in tracks for _, _, end, _ in track.notes))
    named = [f"{track.name} ({len(track.notes)})" for track in tracks[:_NAMED_TRACKS]]
    named += ["…"] if len(tracks) > _NAMED_TRACKS else []
    length = f"{seconds // 60}:{seconds % 60:02d}"
    notes, played = _counted(count, "note"), _counted(len(tracks), "track")
    return f"{notes} in {played}, {length} long: {', '.join(named)}"


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _track(instrument: Document) -> Track:
    name = instrument.get("name")
    notes = sorted(_notes(instrument), key=lambda note: (note[1], note[0]))
    return Track(title_of(name) or "Instrument", tuple(notes))


def _notes(instrument: Document) -> Iterator[Note]:
    notes = instrument.get("notes")
    for each in notes if isinstance(notes, list) else ():
        note = _note(as_document(each))
        if note is not None:
            yield note


def _note(document: Document) -> Note | None:
    pitch, start, end = (_number(document.get(name)) for name in ("pitch", "start", "end"))
    if pitch is None or start is None or end is None:
        return None
    is_played = 0 <= pitch <= _HIGHEST and 0 <= start < end <= MAX_DURATION.total_seconds()
    if not is_played:
        return None
    return round(pitch), start, end, _velocity(_number(document.get("velocity")))


def _velocity(told: float | None) -> int:
    """Return how hard a note is struck; above 1 it is said as MIDI says it."""
    share = _USUAL_VELOCITY if told is None else told
    return min(max(round(share if share > 1 else share * _HIGHEST), 1), _HIGHEST)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
