"""The state of a conversation, and how it changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict

from generation_client.limit import MAX_SESSION_BYTES

MAX_REPLIES = 32
"""How many of the last updates are remembered, so that a repetition is known as one."""

MAX_DRAFTS = 16
"""How many earlier drafts are kept whose messages still have their buttons."""

MAX_MISSED = 10
"""How many results that could not be sent are remembered."""

MAX_BYTES = MAX_SESSION_BYTES - 4 * 2**10
"""The size of a session, a little below what the service takes (EdgeService.PutSession)."""

TAG_LENGTH = 8
"""How much of a draft's id its buttons carry."""

OptionValue: TypeAlias = str | int | float | bool

_Value = TypeVar("_Value")


class Draft(BaseModel):
    """A picture that is being asked for; what is missing is what is asked next."""

    model_config = ConfigDict(frozen=True)

    id: str
    """The UUID under which the job is asked for, so that two presses make one job."""
    kind: int = 0
    """What is to be done, one of ModelKind; 0 until it is chosen."""
    model_id: str = ""
    prompt: str = ""
    picture: str = ""
    """The picture as an input, such as `upload:<id>`."""
    picture_width: int = 0
    """The width of the picture as a person sees it; 0 if it is not known."""
    picture_height: int = 0
    """The height of the picture as a person sees it; 0 if it is not known."""
    options: dict[str, OptionValue] = {}
    """The values that were chosen, by field; the others have their defaults."""
    inputs: dict[str, Any] = {}
    """The answers given so far to the form of a model that has one, as CreateJob takes them."""
    at: str = ""
    """The place in the inputs that the user wants to answer; empty for what is missing."""
    branch: int = -1
    """Which of the ways to fill in the form was chosen; -1 until one is."""
    is_whole: bool = False
    """Whether the form of a model is filled in that can be asked for less."""
    is_changing_prompt: bool = False
    overlong: int = 0
    """The length of a prompt that was refused for it, until another one comes."""
    job_id: str = ""
    """The job that the draft became."""
    message_id: int = 0
    """The message that shows how this job goes; 0 if it is not known."""

    @property
    def tag(self) -> str:
        """The part of the id that buttons carry."""
        return self.id[:TAG_LENGTH]


class Repetition(BaseModel):
    """The last job that a button made which can make several, one after the other."""

    model_config = ConfigDict(frozen=True)

    number: int = 0
    """How many jobs the button made before."""
    job_id: str
    origin: str
    """The press that made it."""


class Session(BaseModel):
    """The state of one conversation.

    What was added since release 0.1 has defaults, and that release ignores it: both read what the
    other wrote.
    """

    model_config = ConfigDict(frozen=True)

    version: Literal[1] = 1
    draft: Draft | None = None
    """The draft that a text or a picture is about."""
    others: tuple[Draft, ...] = ()
    """Earlier drafts, the latest first: a draft belongs to the message that shows it."""
    album_id: str = ""
    """The album whose first picture was taken last."""
    is_album_noticed: bool = False
    """Whether the user was told that only one picture of that album is used."""
    replies: dict[str, int] = {}
    """The message that answered an update, by the update's origin; 0 until it is known.

    Less than 0 is the time in milliseconds at which somebody began to answer.
    """

    repetitions: dict[str, Repetition] = {}
    """What buttons made that can be pressed again, by message and job."""
    missed: dict[str, int] = {}
    """Jobs whose result could not be sent, each with its progress message."""
    is_missed_offered: bool = False
    """Whether the user was told about them."""
    language: str = ""
    """The user's language when an invoice was sent last: what is told of its payment may be told
    without an update."""
    purpose: int = 0
    """What the user looks at models for and has chosen none yet; 0 for nothing."""

    def find_draft(self, tag: str) -> Draft | None:
        """Return the draft whose buttons carry this tag."""
        return next((each for each in self._drafts() if tag and each.tag == tag), None)

    @property
    def picture_sizes(self) -> dict[str, tuple[int, int]]:
        """The width and the height of the pictures of all drafts, by their inputs."""
        known = (each for each in self._drafts() if each.picture_width and each.picture_height)
        return {each.picture: (each.picture_width, each.picture_height) for each in known}

    def with_current(self, draft: Draft | None) -> Session:
        """Return the session with this draft as the current one; the one before is kept."""
        drafts = self._drafts()
        others = tuple(each for each in drafts if draft is None or each.id != draft.id)
        return self.model_copy(update={"draft": draft, "others": others[:MAX_DRAFTS], "purpose": 0})

    def with_changed(self, draft: Draft) -> Session:
        """Return the session with a draft changed where it is."""
        if self.draft is None or self.draft.id == draft.id:
            return self.with_current(draft)
        others = tuple(draft if each.id == draft.id else each for each in self.others)
        return self.model_copy(update={"others": others})

    def without_draft(self, draft: Draft) -> Session:
        """Return the session without a draft."""
        current = None if self.draft and self.draft.id == draft.id else self.draft
        others = tuple(each for each in self.others if each.id != draft.id)
        return self.model_copy(update={"draft": current, "others": others})

    def without_unmade_drafts(self) -> Session:
        """Return the session with only the drafts that became jobs, none of them current."""
        made = tuple(each for each in self._drafts() if each.job_id)
        return self.model_copy(update={"draft": None, "others": made[:MAX_DRAFTS]})

    def with_repetition(self, key: str, repetition: Repetition) -> Session:
        """Return the session with what a button made last."""
        repetitions = _with_latest(self.repetitions, (key, repetition), limit=MAX_REPLIES)
        return self.model_copy(update={"repetitions": repetitions})

    def with_missed(self, job_id: str, *, message_id: int) -> Session:
        """Return the session with one more result that could not be sent."""
        if job_id in self.missed:
            return self
        missed = _with_latest(self.missed, (job_id, message_id), limit=MAX_MISSED)
        return self.model_copy(update={"missed": missed, "is_missed_offered": False})

    def without_missed(self, job_id: str) -> Session:
        """Return the session without a result that the user has got by now."""
        left = {each: message for each, message in self.missed.items() if each != job_id}
        return self.model_copy(update={"missed": left})

    def packed(self) -> bytes:
        """Return the session as JSON, without the oldest drafts if there is no room for them."""
        data = self.model_dump_json(exclude_defaults=True).encode()
        if len(data) <= MAX_BYTES or not self.others:
            return data
        return self.model_copy(update={"others": self.others[:-1]}).packed()

    def _drafts(self) -> tuple[Draft, ...]:
        return (self.draft, *self.others) if self.draft else self.others

    def with_reply(self, origin: str, message_id: int) -> Session:
        """Return the session with one more update remembered, the oldest ones forgotten."""
        replies = _with_latest(self.replies, (origin, message_id), limit=MAX_REPLIES)
        return self.model_copy(update={"replies": replies})


def _with_latest(
    entries: Mapping[str, _Value], latest: tuple[str, _Value], *, limit: int
) -> dict[str, _Value]:
    """Return the entries with one as the latest, wherever it stood, and the oldest left out."""
    kept = dict(entries)
    kept.pop(latest[0], None)
    return dict([*kept.items(), latest][-limit:])
