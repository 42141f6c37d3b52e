"""Maps KIE's failures and refusals to a reason and a sentence for users.

KIE's own texts name internals and repeat prompts and links, so they are only searched for what they
mean; the user reads the sentence of `domain/failure.py`. A text that gives nothing away is kept for
the operator, who adds a line to the table.

That a model is off concerns everybody, so no words of a user may say it: only code 505 does, or
createTask's own short text, read from its first letter on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import structlog

from generation_svc.domain.failure import Failure, FailureReason
from generation_svc.domain.observation import Observation
from generation_svc.provider.kie.meter import KieMeter

_logger = structlog.get_logger(__name__)

MAX_LOGGED_CHARS = 200
"""How much of an unknown text is logged; the job's trace has more."""


@dataclass(frozen=True, slots=True)
class Known:
    """A text that is known, and where it was seen."""

    pattern: str
    """A regular expression that occurs in the text, or begins it in `OFF`; in any case."""
    reason: FailureReason
    source: str


_CONTENT, _INPUT, _OFF = (
    FailureReason.CONTENT_REFUSED,
    FailureReason.INPUT_UNREADABLE,
    FailureReason.MODEL_UNAVAILABLE,
)
_LIVE = "kie-api.md §1 and §6: recorded traffic"
_PUBLIC = "kie-api.md §9: public documents and logs"
_KIN = "the same in other words"
OFF: tuple[Known, ...] = (
    Known(r"(this |the )?interface is temporarily paused\b", _OFF, _PUBLIC),
    Known(r"the page does not exist or is not published\b", _OFF, _PUBLIC),
    Known(r"(this |the )?feature (is )?(currently )?disabled\b", _OFF, "kie-api.md §1: code 505"),
    Known(r"the model name you specified is not supported\b", _OFF, _LIVE),
)
"""What createTask's texts begin with where the model is off; no task's text is looked up here."""
MAX_OFF_CHARS = 160
"""How long such a text may be: what is longer repeats something."""
OFF_CODE = "505"
TABLE: tuple[Known, ...] = (
    Known(r"inappropriate|flagged|nsfw", _CONTENT, _LIVE),
    Known(r"content[ _-]polic|prohibited", _CONTENT, _LIVE),
    Known(r"sensitive (content|word)", _CONTENT, _LIVE),
    Known(r"violat\w+ .*(polic|guideline|rule|terms)", _CONTENT, _LIVE),
    Known(r"safety (system|filter|check|polic)", _CONTENT, _KIN),
    Known(r"content security( audit)?", _CONTENT, _PUBLIC),
    Known(r"unsafe (image|picture|content|prompt|text)", _CONTENT, _PUBLIC),
    Known(r"moderat(ion|or|ed)\b", _CONTENT, f"{_PUBLIC}: caught by our AI moderator"),
    Known(r"(image|picture|file) (fetch|download) failed", _INPUT, _LIVE),
    Known(
        r"(failed to|unable to|could not) (fetch|download|load|read|open|decode)"
        r" (the |your |input )?(image|picture|file)",
        _INPUT,
        _KIN,
    ),
    Known(r"(image|picture|file)( file)? (type|format) (is )?not supported", _INPUT, _PUBLIC),
    Known(r"unsupported (image|picture|file)( file)? (type|format)", _INPUT, _KIN),
    Known(r"(image|picture|file) size exceeds", _INPUT, _PUBLIC),
    Known(r"get (image|picture|file) info failed", _INPUT, _PUBLIC),
)
"""What KIE's texts mean; the first one that occurs decides."""

_PATTERNS = tuple((re.compile(known.pattern, re.IGNORECASE), known.reason) for known in TABLE)
_OFF_PATTERNS = tuple(re.compile(known.pattern, re.IGNORECASE) for known in OFF)


def failure_of(observation: Observation, *, meter: KieMeter) -> Failure:
    """Return why a failed task failed."""
    if observation.fail_code.strip() == OFF_CODE:
        return Failure.of(_OFF)
    reason = reason_in(observation.fail_message) or reason_in(observation.fail_code)
    if reason is None:
        meter.unknown_texts.inc()
        report_unknown(code=observation.fail_code, text=observation.fail_message)
    return Failure.of(reason or FailureReason.GENERATION_FAILED)


def report_unknown(*, code: str, text: str) -> None:
    """Show the operator the text of a failure that the table does not explain."""
    _logger.warning(
        "KIE failed for a reason that is in no table",
        action="kie_text_unknown",
        code=code,
        text=text[:MAX_LOGGED_CHARS],
    )


def refusal_reason_in(text: str) -> FailureReason | None:
    """Return the reason that a text gives away with which KIE refuses a request."""
    return _OFF if _says_off(text.strip()) else reason_in(text)


def _says_off(text: str) -> bool:
    return len(text) <= MAX_OFF_CHARS and any(each.match(text) for each in _OFF_PATTERNS)


def reason_in(text: str) -> FailureReason | None:
    """Return the reason that a text of KIE gives away, None if it gives none."""
    return next((reason for pattern, reason in _PATTERNS if pattern.search(text)), None)
