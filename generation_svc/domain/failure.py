"""Why a job made nothing."""

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


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job made nothing, in a sentence that a user may read."""

    reason: FailureReason
    message: str
