"""Special inputs: media, and references to what an earlier job made.

An input is named by its path in the inputs: `image`, `images` (a list), `shots[].first_frame` (in
each object of a list). The last part of the name is its field.
"""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from generation_svc.domain.media import Media, MediaKind
from generation_svc.domain.schema import JsonObject, JsonValue, Steps, spelled

MAX_ITEM_NUMBER = 99
_REFERENCE = re.compile(
    r"job:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:/([1-9][0-9]?))?", re.IGNORECASE
)


class MediaRole(StrEnum):
    """What a model does with the media of an input."""

    SOURCE = "source"
    """It is changed, extended or described."""
    REFERENCE = "reference"
    """The result resembles it."""
    FIRST_FRAME = "first_frame"
    LAST_FRAME = "last_frame"
    MASK = "mask"
    """It marks what of the source is changed."""
    VOICE = "voice"
    """It is what is said, or how a voice sounds."""
    MOTION = "motion"
    """The result moves as it does."""


class ReferencePart(StrEnum):
    """What of an earlier job a reference means."""

    TASK = "task"
    """All of it: the provider goes on from its task."""
    AUDIO = "audio"
    """One of the songs or tracks that it made."""
    SEGMENT = "segment"
    """One of the pieces that it found."""
    PERSONA = "persona"
    """The style of singing that it learnt."""
    VOICE = "voice"
    """The voice that it learnt."""
    CHARACTER = "character"
    """The figure that it learnt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaInput:
    """An input that takes media."""

    name: str
    kind: MediaKind
    role: MediaRole
    at_least: int
    at_most: int
    """The number of media that it takes in one place."""
    is_list: bool
    """Whether the inputs hold a list there, and not one text."""
    mime_types: tuple[str, ...]
    max_bytes: int
    """The size of each."""
    max_duration: timedelta | None
    """The length of each; None for a kind without, or where the provider sets no bound."""
    min_duration: timedelta | None = None
    min_pixels: int | None = None
    max_pixels: int | None = None
    """The width times height of each picture."""

    def flaw_of(self, media: Media) -> str | None:
        """Say why the model cannot take media, or None."""
        if media.mime_type not in self.mime_types:
            return f"Must be of the type {' or '.join(self.mime_types)}, not {media.mime_type}."
        if media.size_bytes > self.max_bytes:
            return f"Must have up to {self.max_bytes} bytes, not {media.size_bytes}."
        return self._length_flaw(media.duration) or self._size_flaw(media)

    def _length_flaw(self, duration: timedelta | None) -> str | None:
        longest, least = self.max_duration, self.min_duration
        if duration is None:
            return None
        seconds = f"{duration.total_seconds():g}"
        if longest is not None and duration > longest:
            return f"Must be at most {longest.total_seconds():g} seconds long, not {seconds}."
        if least is not None and duration < least:
            return f"Must be at least {least.total_seconds():g} seconds long, not {seconds}."
        return None

    def _size_flaw(self, media: Media) -> str | None:
        if not media.width or not media.height:
            return None
        pixels = media.width * media.height
        if self.max_pixels is not None and pixels > self.max_pixels:
            return f"Must have up to {self.max_pixels} pixels, not {pixels}."
        if self.min_pixels is not None and pixels < self.min_pixels:
            return f"Must have at least {self.min_pixels} pixels, not {pixels}."
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceInput:
    """An input that names what an earlier job made."""

    name: str
    part: ReferencePart
    model_ids: tuple[str, ...]
    """The models whose jobs can be meant; empty for those of any."""
    is_required: bool


SpecialInput = MediaInput | ReferenceInput


@dataclass(frozen=True, slots=True)
class JobReference:
    """An earlier job, and which of the things that it made is meant, from 1."""

    job_id: UUID
    number: int = 1


@dataclass(frozen=True, slots=True)
class InputValue:
    """What the inputs of a job hold in one place of a special input."""

    input: SpecialInput
    steps: Steps
    text: str

    @property
    def path(self) -> str:
        """Where it stands, such as `shots[1].first_frame` or `images[0]`."""
        return spelled(self.steps)

    @property
    def is_link(self) -> bool:
        """Whether the provider fetches it by itself."""
        return self.text[:6].lower() == "https:"

    @property
    def is_ours(self) -> bool:
        """Whether it names media that we hold."""
        return self.text.startswith(("upload:", "media:"))


def parse_reference(text: str) -> JobReference | None:
    """Read `job:<id>` or `job:<id>/<number>`; None for any other text."""
    found = _REFERENCE.fullmatch(text)
    return JobReference(UUID(found[1]), int(found[2] or 1)) if found else None


def name_of(steps: Steps) -> str:
    """Return the name of the input in whose place steps lead, in whichever object or list."""
    path = spelled(tuple(0 if isinstance(step, int) else step for step in steps))
    return path.replace("[0]", "[]").removesuffix("[]")


def field_of(name: str) -> str:
    """Return the last part of a name: the key under which an object holds the input."""
    return name.rpartition(".")[2]


def holders(inputs: JsonObject, name: str) -> Iterator[tuple[Steps, JsonObject]]:
    """Yield each object that may hold an input, with the steps that lead to it."""
    *parents, _ = name.split(".")
    yield from _holders(inputs, parents, steps=())


def given_in(inputs: JsonObject, one: SpecialInput) -> Iterator[InputValue]:
    """Yield what the inputs hold of a special input, in order."""
    field = field_of(one.name)
    for steps, holder in holders(inputs, one.name):
        value = holder.get(field)
        if isinstance(value, str):
            yield InputValue(one, (*steps, field), value)
        elif isinstance(value, list):
            for index, text in enumerate(value):
                if isinstance(text, str):
                    yield InputValue(one, (*steps, field, index), text)


def with_texts(inputs: JsonObject, one: SpecialInput, *, texts: Mapping[Steps, str]) -> JsonObject:
    """Return the inputs with other texts in some places of a special input."""
    changed = deepcopy(inputs)
    field = field_of(one.name)
    for steps, holder in holders(changed, one.name):
        value, place = holder.get(field), (*steps, field)
        if isinstance(value, list):
            items = enumerate(value)
            holder[field] = [texts.get((*place, index), each) for index, each in items]
        elif place in texts:
            holder[field] = texts[place]
    return changed


def _holders(
    value: JsonValue, parents: list[str], *, steps: Steps
) -> Iterator[tuple[Steps, JsonObject]]:
    if not isinstance(value, dict):
        return
    if not parents:
        yield steps, value
        return
    parent, *rest = parents
    field = parent.removesuffix("[]")
    inner = value.get(field)
    if not parent.endswith("[]"):
        yield from _holders(inner, rest, steps=(*steps, field))
    elif isinstance(inner, list):
        for index, item in enumerate(inner):
            yield from _holders(item, rest, steps=(*steps, field, index))
