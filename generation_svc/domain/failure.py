"""The reasons why jobs fail, each with its one sentence for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class FailureReason(StrEnum):
    """Why a job failed."""

    CONTENT_REFUSED = "content_refused"
    INPUT_UNREADABLE = "input_unreadable"
    REQUEST_REFUSED = "request_refused"
    GENERATION_FAILED = "generation_failed"
    START_DEADLINE = "start_deadline"
    FINISH_DEADLINE = "finish_deadline"
    PROVIDER_LOST_JOB = "provider_lost_job"
    MODEL_UNAVAILABLE = "model_unavailable"
    RESULT_UNAVAILABLE = "result_unavailable"


SENTENCES: Mapping[FailureReason, str] = {
    FailureReason.CONTENT_REFUSED: (
        "The provider refused this request because of its content rules."
        " Change the prompt or the files and try again."
    ),
    FailureReason.INPUT_UNREADABLE: (
        "The provider could not read one of the files. Send it again or choose another one."
    ),
    FailureReason.REQUEST_REFUSED: (
        "The provider did not accept this request. Change it and try again."
    ),
    FailureReason.GENERATION_FAILED: "The provider could not generate a result. Try again.",
    FailureReason.START_DEADLINE: "The generation could not be started in time.",
    FailureReason.FINISH_DEADLINE: "The generation took too long.",
    FailureReason.PROVIDER_LOST_JOB: "The provider no longer knows about this generation.",
    FailureReason.MODEL_UNAVAILABLE: (
        "The provider has switched this model off. Choose another model."
    ),
    FailureReason.RESULT_UNAVAILABLE: "The result could not be downloaded from the provider.",
}
"""The sentence for each reason; an adapter may give a more exact one."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed, with a sentence that users may read."""

    reason: FailureReason
    message: str

    @classmethod
    def of(cls, reason: FailureReason) -> Failure:
        """Return the failure with the standard sentence of its reason."""
        return cls(reason, SENTENCES[reason])
