"""What a maker is asked for: a model, the fields, the files that came with them, a seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.kie.entry import Entry, Json
from sandbox.kie.price import number, values_at
from sandbox.kie.probe import Probe, Size

_WORDS = ("prompt", "text", "dialogue[].text", "dialogue_turns[].text", "content", "lyrics")
_MORE_WORDS = ("full_lyrics", "multi_prompt[].prompt", "shots[].Scene", "title", "name", "style")
SHORTEST_S = 1.0
LONGEST_S = 3.0
USUAL_S = 5


@dataclass(frozen=True, kw_only=True)
class Given:
    """A file that came with a task, from a field or from an earlier task that a field names."""

    field: str
    content: bytes
    probe: Probe
    words: str = ""
    """What is sung, of a song made earlier."""


@dataclass(frozen=True, kw_only=True)
class Commission:
    """One result to make."""

    entry: Entry
    fields: Json
    """What was asked, with the documented defaults."""
    given: Sequence[Given]
    seed: int

    @property
    def words(self) -> str:
        """What is to be seen or heard, in the words of the task."""
        found = (
            " ".join(map(str, values_at(self.fields, path))) for path in (*_WORDS, *_MORE_WORDS)
        )
        sung = (each.words for each in self.given)
        return next((text for text in (*found, *sung) if text.strip()), self.entry.title)

    def of_kind(self, kind: str) -> list[Given]:
        """Return the files of a kind, without masks, the last frame last."""
        found = [each for each in self.given if each.probe.kind == kind and not _is_mask(each)]
        return sorted(found, key=_is_last)

    def text(self, *names: str) -> str:
        """Return the first of the fields that holds something, as text."""
        return next((str(self.fields[name]) for name in names if self.fields.get(name)), "")

    def count(self, *names: str) -> int:
        """Return the first of the fields that holds a number, or 1."""
        return next((int(number(self.fields[name])) for name in names if self.fields.get(name)), 1)

    @property
    def like(self) -> Size | None:
        """The size of the first thing given that can be seen."""
        return next((each.probe.size for each in self.given if each.probe.size), None)

    @property
    def seconds(self) -> float:
        """How long the result is: from 1 second to 3, longer for what was asked to be longer."""
        asked = float(number(self.fields.get("duration", USUAL_S)))
        return min(LONGEST_S, SHORTEST_S + max(0.0, asked) / 15)


def _is_mask(given: Given) -> bool:
    return "mask" in given.field


def _is_last(given: Given) -> bool:
    return any(word in given.field for word in ("last", "tail", "end_"))


def flag(fields: Json, *names: str) -> Any:
    """Return the first of the fields that is there, or none."""
    return next((fields[name] for name in names if name in fields), None)
