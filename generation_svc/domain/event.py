"""What can happen to a job. Each event is a row of the job's trace, and the trace is a query.

The words are stored, so their spelling stays; `docs/events.md` shows them to those who read traces.
"""

from collections.abc import Mapping
from enum import StrEnum


class JobEventKind(StrEnum):
    """What happened to a job."""

    ACCEPTED = "accepted"
    """CreateJob took it; its first revision."""
    CANCELLED = "cancelled"
    """Its owner ended it."""
    DELAYED = "delayed"
    """The reason why it waits, or until when, changed."""

    SUBMITTING = "submitting"
    """An attempt was written; the provider is called next."""
    UPLOAD_FAILED = "upload_failed"
    """An input could not be handed to the provider, so no attempt was made; it is tried again."""
    POSTPONED = "postponed"
    """The provider said "not now", or the attempt was not sent; the job waits for its next one."""
    REFUSED = "refused"
    """The provider refused it for good: it failed, or waits for an earlier attempt."""
    UNKNOWN = "unknown"
    """An attempt had no answer, so that the provider may have taken it."""
    TAKEN = "taken"
    """The provider has a task for it: it runs."""
    ANSWERED = "answered"
    """The answer to a submission came after a callback had said more."""

    CALLBACK = "callback"
    """A callback was applied."""
    POLL = "poll"
    """A read of the provider was applied."""
    ANSWER = "answer"
    """The answer to a submission said already what became of it."""
    CALLBACK_LATE = "callback_late"
    """A callback changed nothing: what it speaks of was over."""
    POLL_LATE = "poll_late"
    """A read changed nothing: what it speaks of was over."""
    ANSWER_LATE = "answer_late"
    """The answer to a submission changed nothing: what it speaks of was over."""
    UNEXPLAINED = "unexplained"
    """The provider failed or refused it in words that no table knows."""

    FETCH_FAILED = "fetch_failed"
    """A try to fetch the result failed; it is tried again."""
    KEPT_LATE = "kept_late"
    """A result came after the job's end; its bytes are kept, the job stays as it is."""
    SETTLED = "settled"
    """It ended with what the provider said: a result or a failure."""
    GAVE_UP = "gave_up"
    """It failed because its time was over, or because its result could not be had."""

    DELIVERY_BEGUN = "delivery_begun"
    """A sender is about to send."""
    DELIVERY_SENT = "delivery_sent"
    """It arrived."""
    DELIVERY_TRY_AGAIN = "delivery_tryagain"
    """It did not arrive, and is sent again."""
    DELIVERY_IMPOSSIBLE = "delivery_impossible"
    """It can never arrive."""
    DELIVERY_UNKNOWN = "delivery_unknown"
    """It may have arrived."""


_ATTEMPT = ("attempt",)
_OBSERVATION = ("attempt", "state", "word", "fail_code")
_DELIVERY = ("kind", "try")
DETAILS: Mapping[JobEventKind, tuple[str, ...]] = {
    JobEventKind.ACCEPTED: (),
    JobEventKind.CANCELLED: (),
    JobEventKind.DELAYED: (),
    JobEventKind.SUBMITTING: ("attempt", "account"),
    JobEventKind.UPLOAD_FAILED: ("error",),
    JobEventKind.POSTPONED: ("attempt", "error"),
    JobEventKind.REFUSED: _ATTEMPT,
    JobEventKind.UNKNOWN: _ATTEMPT,
    JobEventKind.TAKEN: _ATTEMPT,
    JobEventKind.ANSWERED: ("attempt", "error", "task_id"),
    JobEventKind.CALLBACK: _OBSERVATION,
    JobEventKind.POLL: _OBSERVATION,
    JobEventKind.ANSWER: _OBSERVATION,
    JobEventKind.CALLBACK_LATE: _OBSERVATION,
    JobEventKind.POLL_LATE: _OBSERVATION,
    JobEventKind.ANSWER_LATE: _OBSERVATION,
    JobEventKind.UNEXPLAINED: ("attempt", "code", "text"),
    JobEventKind.FETCH_FAILED: ("tries", "errors"),
    JobEventKind.KEPT_LATE: _ATTEMPT,
    JobEventKind.SETTLED: (),
    JobEventKind.GAVE_UP: (),
    JobEventKind.DELIVERY_BEGUN: _DELIVERY,
    JobEventKind.DELIVERY_SENT: (*_DELIVERY, "message_id", "is_edit"),
    JobEventKind.DELIVERY_TRY_AGAIN: (*_DELIVERY, "reason"),
    JobEventKind.DELIVERY_IMPOSSIBLE: (*_DELIVERY, "reason"),
    JobEventKind.DELIVERY_UNKNOWN: (*_DELIVERY, "reason"),
}
"""What the detail of each event may carry, and nothing else; a key without a value is left out."""
REVISIONS = frozenset(
    {
        JobEventKind.ACCEPTED,
        JobEventKind.CANCELLED,
        JobEventKind.DELAYED,
        JobEventKind.REFUSED,
        JobEventKind.UNKNOWN,
        JobEventKind.TAKEN,
        JobEventKind.SETTLED,
        JobEventKind.GAVE_UP,
    }
)
"""The events that change the job, each with a revision and a snapshot; the others have none."""
