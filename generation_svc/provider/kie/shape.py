"""Gives a result the shape that the model's document promises (`result.shape` and `result.kinds`).

Text is text; what is longer than a chat takes in one message is a file, too. Data is a JSON file
with a few lines that say what is in it: nothing of it is lost, and nobody has to read it all. Notes
are a MIDI file, too, which any sequencer plays.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

from generation_svc.domain.media import MediaKind
from generation_svc.domain.model import ResultForm, ResultShape
from generation_svc.domain.observation import Observation, ProviderState, ResultItem
from generation_svc.provider.kie.document import Document, as_document, clean, objects_at
from generation_svc.provider.kie.link import is_link, title_of, words_of
from generation_svc.provider.kie.midi import midi_item, midi_summary, tracks_of
from generation_svc.provider.kie.result import MAX_LINKS, MAX_TEXT_BYTES

LONG_TEXT_CHARS = 4000
"""From which length on a text is a file, too: a chat takes 4096 characters in one message."""

MAX_SUMMARY_LINES = 12
_MAX_VALUE_CHARS = 200
_DRAFTS = ("lyricsData",)
_TEXT_NAMES = ("text", "result", "content", "lyrics", "style")
"""Where a model that makes text says it, the surest first."""
_BETWEEN_DRAFTS = "\n\n* * *\n\n"
_MADE_OF_MEDIA = frozenset({MediaKind.IMAGE, MediaKind.VIDEO, MediaKind.AUDIO})


def shaped(observation: Observation, *, form: ResultForm) -> Observation:
    """Return a success as the model promises it; other observations as they are."""
    if observation.state is not ProviderState.SUCCEEDED:
        return observation
    if not observation.result_object:
        return _with_long_text(observation)
    value = json.loads(observation.result_object)
    if form.shape is ResultShape.LYRICS and (drafts := drafts_of(value)):
        return _with_long_text(replace(observation, result_text=_cut(drafts)))
    if form.kinds == (MediaKind.TEXT,):
        text = main_text_of(value) or observation.result_text
        return _with_long_text(replace(observation, result_text=_cut(text)))
    return _with_data(observation, value, form=form)


def drafts_of(value: object) -> str:
    """Return the drafts of lyrics, each under its title; empty for what are none."""
    drafts = (_draft(each) for each in objects_at(value, _DRAFTS))
    return _BETWEEN_DRAFTS.join(filter(None, drafts))


def main_text_of(value: object) -> str:
    """Return the text that an object is about; empty where it is not plain which one that is."""
    if isinstance(value, str):
        return value
    document = as_document(value)
    named = (document.get(name) for name in _TEXT_NAMES)
    texts = [text for text in named if isinstance(text, str) and text.strip()]
    others = [each for each in document.values() if isinstance(each, str) and each.strip()]
    return texts[0] if texts else others[0] if len(others) == 1 else ""


def summary_of(value: object) -> str:
    """Say in a few lines what is in an object: its plain values, and how much is in its lists."""
    lines = list(_summary_lines(value))
    if len(lines) > MAX_SUMMARY_LINES:
        lines[MAX_SUMMARY_LINES - 1 :] = ["…"]
    return "\n".join(lines)


def _draft(draft: object) -> str:
    document = as_document(draft)
    text, title = document.get("text"), title_of(document.get("title"))
    if not isinstance(text, str) or not text.strip():
        return ""
    return f"{title}\n\n{text.strip()}" if title else text.strip()


def _with_data(observation: Observation, value: object, *, form: ResultForm) -> Observation:
    """Add data as a file; of links to files that are fetched it says nothing new."""
    if isinstance(value, str):
        return _with_long_text(observation)
    items = observation.results
    tracks = tracks_of(value)
    score = (midi_item(tracks),) if tracks else ()
    text = midi_summary(tracks) if tracks else summary_of(value)
    is_said = bool(items) and not any(_news_in(value))
    if is_said and _MADE_OF_MEDIA.issuperset(form.kinds):
        return replace(observation, result_text="")
    data = ResultItem("", content=_readable(value))
    kept = items[: MAX_LINKS - 1 - len(score)]
    return replace(observation, results=(*kept, *score, data), result_text=text)


def _with_long_text(observation: Observation) -> Observation:
    text = observation.result_text
    if len(text) <= LONG_TEXT_CHARS or observation.results:
        return observation
    return replace(observation, results=(ResultItem("", content=text),))


def _summary_lines(value: object) -> Iterator[str]:
    if isinstance(value, list):
        yield _told_of_list(value)
        return
    for name, each in as_document(value).items():
        if told := _told(each):
            yield f"{words_of(name) or name}: {told}"


def _told(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if isinstance(value, str):
        return "" if is_link(value) else title_of(value)[:_MAX_VALUE_CHARS]
    return _told_of_list(value) if isinstance(value, list) and value else ""


def _told_of_list(values: list[object]) -> str:
    """Return the names of what is in a list, or how many there are."""
    told = [each if isinstance(each, str) else _name_of(as_document(each)) for each in values]
    names = [title_of(each) for each in told if isinstance(each, str) and not is_link(each)]
    is_all = len(names) == len(values)
    return ", ".join(names)[:_MAX_VALUE_CHARS] if is_all else str(len(values))


def _name_of(document: Document) -> object:
    return document.get("name") or document.get("label")


def _news_in(value: object) -> Iterator[bool]:
    """Yield True for each plain value that is no link."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _news_in(each)
    elif value is not None and value != "" and not (isinstance(value, str) and is_link(value)):
        yield True


def _readable(value: object) -> str:
    return clean(json.dumps(value, ensure_ascii=False, indent=1))


def _cut(text: str) -> str:
    return clean(text).encode()[:MAX_TEXT_BYTES].decode("utf-8", "ignore")
