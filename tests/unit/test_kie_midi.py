"""The notes of a song: what KIE says of them, and the file that plays them."""

import json
from io import BytesIO
from typing import Any

import pytest
from mido import MidiFile

from generation_svc.domain.media import MediaKind, kind_of
from generation_svc.domain.model import ResultForm, ResultShape
from generation_svc.domain.observation import Observation
from generation_svc.media.midi import midi_of
from generation_svc.provider.kie.midi import MAX_NOTES, midi_summary, tracks_of
from generation_svc.provider.kie.payload import read_record
from generation_svc.provider.kie.shape import shaped
from generation_svc.storage.document import (
    items_to_document,
    observation_from_document,
    observation_to_document,
)

FORM = ResultForm((MediaKind.FILE,), ResultShape.OBJECT, 10**6)
SONG = {
    "state": "complete",
    "instruments": [
        {
            "name": "Drums",
            "notes": [{"pitch": 36, "start": "0.0", "end": 0.25, "velocity": 1}] * 2,
        },
        {
            "name": "Bass ♭",
            "notes": [
                {"pitch": 43, "start": 0.5, "end": 61.2, "velocity": 0.25},
                {"pitch": 40, "start": 0.0, "end": 0.5},
                {"pitch": 43, "start": 0.25, "end": 0.5, "velocity": 0.5},
            ],
        },
        {"name": "Brass", "notes": []},
    ],
}


def observed(value: Any) -> Observation:
    data = {
        "taskId": "t1",
        "state": "success",
        "resultJson": json.dumps({"resultObject": value}),
    }
    return shaped(read_record({"code": 200, "data": data}), form=FORM)


def played(file: MidiFile) -> dict[str, list[tuple[int, float, float, int]]]:
    """Return what a file plays: by track each note's pitch, start, end and velocity."""
    found = {}
    for track in file.tracks[1:]:
        at, notes = 0, []
        open_notes: dict[int, list[tuple[float, int]]] = {}
        for message in track:
            at += message.time
            seconds = at / (2 * file.ticks_per_beat)  # 120 beats a minute
            if message.type == "note_on":
                open_notes.setdefault(message.note, []).append((seconds, message.velocity))
            elif message.type == "note_off":
                start, velocity = open_notes[message.note].pop(0)
                notes.append((message.note, start, seconds, velocity))
        assert not any(open_notes.values())
        found[track.name] = sorted(notes, key=lambda note: (note[1], note[0]))
    return found


def read(data: bytes) -> MidiFile:
    return MidiFile(file=BytesIO(data), charset="utf-8")


def test_the_file_plays_what_the_data_says() -> None:
    score, data = observed(SONG).results
    file = read(midi_of(score.content))
    assert score.mime_type == "audio/midi"
    assert kind_of(score.mime_type) is MediaKind.FILE
    assert played(file) == {
        "Drums": [(36, 0.0, 0.25, 127), (36, 0.0, 0.25, 127)],
        "Bass ♭": [
            (40, 0.0, 0.5, 64),
            (43, 0.25, 0.5, 64),
            (43, 0.5, pytest.approx(61.2, abs=0.001), 32),
        ],
    }
    assert file.length == pytest.approx(61.2, abs=0.001)
    assert json.loads(data.content) == SONG


def test_a_score_is_kept_until_it_is_written() -> None:
    observation = observed(SONG)
    items = json.loads(json.dumps(items_to_document(observation)))
    kept = observation_from_document(observation_to_document(observation), items)
    assert kept is not None
    assert kept.results == observation.results


def test_drums_are_on_their_channel_and_others_have_an_instrument() -> None:
    score, _ = observed(SONG).results
    _, drums, bass = read(midi_of(score.content)).tracks
    assert {each.channel for each in drums if not each.is_meta} == {9}
    (program,) = [each for each in bass if each.type == "program_change"]
    assert (program.channel, program.program) == (1, 33)


def test_a_sentence_says_what_is_played() -> None:
    said = "5 notes in 2 tracks, 1:02 long: Drums (2), Bass ♭ (3)"
    assert observed(SONG).result_text == said
    many = {"instruments": [SONG["instruments"][0]] * 14}
    assert midi_summary(tracks_of(many)).endswith("Drums (2), …")


@pytest.mark.parametrize(
    "note",
    [
        {"pitch": 128, "start": 0, "end": 1},
        {"pitch": 60, "start": 1, "end": 1},
        {"pitch": 60, "start": -1, "end": 1},
        {"pitch": 60, "start": 0, "end": "never"},
        {"pitch": 60, "start": 0, "end": 1e300},
        {"pitch": 60, "start": float("nan"), "end": 1},
        {"pitch": True, "start": 0, "end": 1},
        {"start": 0, "end": 1},
        "a note",
        None,
    ],
)
def test_what_cannot_be_played_is_left_out(note: Any) -> None:
    good = {"pitch": 60, "start": 0, "end": 1, "velocity": 90}
    (track,) = tracks_of({"instruments": [{"name": 5, "notes": [note, good]}]})
    assert (track.name, track.notes) == ("Instrument", ((60, 0.0, 1.0, 90),))
    assert tracks_of({"instruments": [{"name": "Bass", "notes": [note]}]}) == ()


@pytest.mark.parametrize(
    "value",
    [
        {"instruments": [{"name": "Drums", "notes": []}]},
        {"instruments": ["Drums", "Bass"]},
        {"instruments": [{"notes": [{"pitch": 60, "start": 0, "end": 1}] * (MAX_NOTES + 1)}]},
    ],
    ids=["no notes", "names alone", "too many"],
)
def test_without_notes_there_is_the_data_alone(value: Any) -> None:
    (data,) = observed(value).results
    assert (data.mime_type, json.loads(data.content)) == ("", value)
