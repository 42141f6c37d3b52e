"""Why KIE failed or refused, as a reason and a sentence that a user may read.

KIE's own texts name internals and repeat prompts and links, so they are only searched for what they
mean; the user reads one of our sentences.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from generation_svc.domain.job import Failure, FailureReason
from generation_svc.domain.observation import Observation

SENTENCES: Mapping[FailureReason, str] = {
    FailureReason.CONTENT_REFUSED: (
        "The request goes against the content rules of the provider. "
        "Change the prompt or the picture and try again."
    ),
    FailureReason.INPUT_UNREADABLE: (
        "The provider could not read the picture. Send it again or take another one."
    ),
    FailureReason.REQUEST_REFUSED: (
        "The provider did not accept the request as it is. Change it and try again."
    ),
    FailureReason.MODEL_UNAVAILABLE: (
        "The provider has switched this model off. Choose another model."
    ),
    FailureReason.RESULT_UNAVAILABLE: "The provider does not give out the result any more.",
    FailureReason.GENERATION_FAILED: "The provider could not make a result. Try again.",
}
"""What a user reads, for each reason that comes from KIE."""

_CONTENT = re.compile(
    r"inappropriate|content[ _-]polic|prohibited|flagged|nsfw|moderation|sensitive (content|word)"
    r"|violat\w+ .*(polic|guideline|rule|terms)|safety (system|filter|check|polic)",
    re.IGNORECASE,
)
_INPUT = re.compile(
    r"(image|picture|file) (fetch|download) failed"
    r"|(failed to|unable to|could not) (fetch|download|load|read) (the )?(image|picture|file)",
    re.IGNORECASE,
)


def failure_of(observation: Observation) -> Failure:
    """Return why a failed task failed."""
    reason = reason_in(observation.fail_message) or reason_in(observation.fail_code)
    return failure(reason or FailureReason.GENERATION_FAILED)


def failure(reason: FailureReason) -> Failure:
    """Return the failure of a reason that comes from KIE, in our words."""
    return Failure(reason, SENTENCES[reason])


def reason_in(text: str) -> FailureReason | None:
    """Return the reason that a text of KIE gives away, None if it gives none."""
    if _CONTENT.search(text):
        return FailureReason.CONTENT_REFUSED
    return FailureReason.INPUT_UNREADABLE if _INPUT.search(text) else None
