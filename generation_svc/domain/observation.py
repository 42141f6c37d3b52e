"""Observations: what a callback or a read says about a task, in terms of the domain."""

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Literal

MIDI_TYPE = "audio/midi"
"""Of a file that is described by its notes: tracks, each with a name and its notes.

A note is a list: its pitch, its start and its end in seconds, its velocity.
"""
Source = Literal["callback", "poll", "answer"]
"""How an observation came; an answer is that to the submission itself."""


class ProviderState(StrEnum):
    """Where a task stands: every state that the provider may send is mapped to one."""

    PENDING = "pending"
    """Not final: waiting, queuing, generating."""
    SUCCEEDED = "succeeded"
    """Final, with a result."""
    FAILED = "failed"
    """Final, without one."""
    MISSING = "missing"
    """The provider says that it has no such task (yet)."""
    EMPTY = "empty"
    """A success that shows no result (yet)."""
    UNKNOWN = "unknown"
    """A word or a shape that is not known: never final."""


@dataclass(frozen=True, slots=True)
class ResultItem:
    """One file of a result, as the provider names it or tells it."""

    url: str
    """Empty where the provider sends what is in the file and no link to it."""
    title: str = ""
    """At most 300 characters."""
    duration: timedelta | None = None
    """How long it plays, as the provider says; the bytes know better."""
    cover_url: str = ""
    """A link to the picture that is shown for it; empty where there is none."""
    content: str = field(default="", repr=False)
    """What is in the file, where it has no link: JSON or plain text."""
    mime_type: str = ""
    """The type of the file that the content describes; empty where the content is the file."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One statement of the provider about one task."""

    state: ProviderState
    task_id: str | None = None
    """The task's id, at most 128 characters."""
    word: str | None = None
    """The provider's own word for the state, as it came."""
    results: tuple[ResultItem, ...] = ()
    """The files of the result, in the provider's order."""
    result_text: str = ""
    """A result that is text."""
    result_object: str = field(default="", repr=False)
    """A result that is data, all of it, as JSON; `result_text` may hold less. It is not kept."""
    item_ids: tuple[str, ...] = ()
    """The provider's own ids of what it made, in its order: a later task may refer to them.

    Where the files have ids they stand in the order of the files, and one without has an empty one.
    """
    fail_code: str = ""
    fail_message: str = field(default="", repr=False)
    """The provider's own sentence; it may repeat the prompt."""
    cost: Decimal | None = None
    """What the task took from the account, in the provider's unit; None where that is not told."""

    @property
    def result_urls(self) -> tuple[str, ...]:
        """Links to the result, in the provider's order."""
        return tuple(item.url for item in self.results if item.url)

    @property
    def is_final(self) -> bool:
        """Whether the task will not change any more."""
        return self.state in (ProviderState.SUCCEEDED, ProviderState.FAILED)
