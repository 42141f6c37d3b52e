"""Attempts: each is one call of createTask for a job and its outcome."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from generation_svc.domain.account import Account
from generation_svc.domain.job import Job, JobState
from generation_svc.domain.observation import Observation, Source


class AttemptState(StrEnum):
    """The states of an attempt."""

    SUBMITTING = "submitting"
    """Written; createTask may be under way."""
    UNKNOWN = "unknown"
    """createTask gave no answer: the provider may have taken it."""
    ACCEPTED = "accepted"
    """The provider took it: its task id is known."""
    SUCCEEDED = "succeeded"
    """The provider is done; the bytes are fetched next."""
    SETTLED = "settled"
    """Its success is in our store, and the first of its job that is."""
    FAILED = "failed"
    """The provider reported a failure."""
    REFUSED = "refused"
    """createTask refused it: the provider has no task."""
    LOST = "lost"
    """Given up: no answer and no task within its time, or another one brought the result first."""


LIVE_STATES = frozenset(
    {
        AttemptState.SUBMITTING,
        AttemptState.UNKNOWN,
        AttemptState.ACCEPTED,
        AttemptState.SUCCEEDED,
    }
)
"""The states in which an attempt can still bring its job a result."""
WRITTEN_OFF = frozenset({AttemptState.REFUSED, AttemptState.LOST})
"""The states that were concluded from something else than the provider's word about the task."""


class Trouble(StrEnum):
    """The cause of a failed try to fetch a result."""

    LINK = "link"
    """The links gave nothing, or nothing that can be used."""
    HOST = "host"
    """The host was unreachable or busy, which says nothing about the result."""
    OURS = "ours"
    """A part of this service was unavailable."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of createTask."""

    id: UUID
    job_id: UUID
    number: int
    state: AttemptState
    submit_time: datetime
    account: Account
    """Who was asked, and on whose account; known before the request is sent."""
    task_id: str | None = None
    """What the provider calls it: its handle, opaque text."""
    accept_time: datetime | None = None
    observation: Observation | None = None
    end_time: datetime | None = None
    """When its end was observed: from a success on its result is fetched."""
    ended_by: Source | None = None
    """What brought its success."""
    fetch_tries: int = 0
    trouble: Trouble | None = None
    """What the last try to fetch had trouble with."""
    trouble_time: datetime | None = None
    """Since when every try had that trouble."""
    read_tries: int = 0
    cost_reads: int = 0
    """How often it was read after its end."""
    model_id: str = ""
    """The model of its job, which whoever fetches its result goes by; empty where nobody asked."""
    model_digest: str | None = None
    """The revision of the model that its job was made with, where the model is told."""

    @property
    def is_live(self) -> bool:
        """Whether it can still bring its job a result."""
        return self.state in LIVE_STATES

    @property
    def is_written_off(self) -> bool:
        """Whether it ended without the provider's word, so that it may have succeeded after all."""
        return self.state in WRITTEN_OFF


def is_overdue(attempt: Attempt, job: Job, *, now: datetime, hard_deadline: timedelta) -> bool:
    """Return whether the hard stop ends an attempt, counted from acceptance or submission.

    One of unknown fate ends with its job's finish deadline: it can never be read. That of a job
    which was cancelled before it ran ends when the job would have: till then it keeps the hold.
    """
    finish_time = job.finish_deadline_time
    if finish_time is None and job.state is JobState.CANCELLED:
        finish_time = job.start_deadline_time
    if attempt.state is AttemptState.UNKNOWN and finish_time and finish_time <= now:
        return True
    return hard_stop_time(attempt, hard_deadline=hard_deadline) <= now


def hard_stop_time(attempt: Attempt, *, hard_deadline: timedelta) -> datetime:
    """Return when everything ends, counted from acceptance or submission.

    A success that came only after that is given as long again, or nobody could fetch it.
    """
    stop_time = (attempt.accept_time or attempt.submit_time) + hard_deadline
    came_time = attempt.end_time if attempt.state is AttemptState.SUCCEEDED else None
    return came_time + hard_deadline if came_time and came_time > stop_time else stop_time
