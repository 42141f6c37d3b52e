"""Maps KIE's refusals and httpx2's exceptions to domain errors (kie-api.md §1).

    ProviderError
    ├── ProviderRefused      final: 400, 404, 422, 501, 505, a text that says so under 500
    ├── ProviderBusy         later: 429 (in the body or real), 503 in the body, any other 500,
    │                        an unknown 4xx
    ├── ProviderMaintenance  later: 455
    ├── ProviderAccount      the operator: 401, 402, 403, 433, "Credits insufficient" under any
    │                        code, Cloudflare's 403 `error code: 1010`
    ├── ProviderUnreachable  no connection was made, or it was not KIE that answered
    └── ProviderSilent       createTask only: timeout, cut connection, an HTTP 5xx without KIE's
                             JSON, an answer that cannot be read: there may be a task

KIE sends errors as HTTP 200 with the code in the body; under a real HTTP status its envelope counts
just so, 5xx included: KIE itself said that it did not take the request. A bare 5xx is that of a
proxy, behind which the request may have gone through. What would leave createTask in doubt leaves
nothing in doubt for a read or an upload: there the caller passes ProviderUnreachable as
`no_answer`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

from generation_svc.domain.error import (
    ProviderAccount,
    ProviderBusy,
    ProviderError,
    ProviderMaintenance,
    ProviderRefused,
    ProviderUnreachable,
)
from generation_svc.domain.failure import SENTENCES, FailureReason
from generation_svc.provider.kie.answer import Answer
from generation_svc.provider.kie.document import Document, as_document, code_of, decode, message_of
from generation_svc.provider.kie.failure import OFF_CODE, refusal_reason_in
from runtime.redaction import redactor

NoAnswer = type[ProviderError]
"""The class for a request whose outcome is not known: ProviderSilent or ProviderUnreachable."""

_ACCOUNT_CODES = frozenset({401, 402, 403, 433})
_FINAL_CODES = frozenset({400, 404, 422, 501, 505})
_BUSY_CODES = frozenset({500, 503})
_DOUBTFUL_CODES = frozenset({408, 502, 504})
"""Codes of something between KIE and its model: the request may have gone further."""

_NEVER_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
    httpx2.InvalidURL,
)

_CREDITS = re.compile(r"credits? insufficient|insufficient credits?", re.IGNORECASE)
_VALIDATION = re.compile(
    r"\bis required\b|not within the range|\bmust (be|not|have|contain)\b"
    r"|\bcannot be (empty|blank|null)\b|\bis (invalid|not valid|not allowed|too \w+)\b"
    r"|\b(invalid|unsupported) (value|parameter|input|field|format|type)\b|\bmaximum length\b",
    re.IGNORECASE,
)
_PASSING = re.compile(r"try again later|internal error|server (error|exception)", re.IGNORECASE)


@contextmanager
def translated(*, no_answer: NoAnswer) -> Iterator[None]:
    """Raise httpx2's exceptions, and a deadline that passed, as ProviderErrors."""
    try:
        yield
    except _NEVER_SENT as error:
        raise ProviderUnreachable(f"KIE cannot be reached: {_name(error)}") from error
    except (httpx2.HTTPError, TimeoutError) as error:
        raise no_answer(f"KIE gave no answer: {_name(error)}") from error


def document_of(answer: Answer, *, no_answer: NoAnswer) -> Document:
    """Return KIE's envelope, granted or not; raises where KIE did not answer with one."""
    document, status = as_document(decode(answer.content)), answer.status
    if code_of(document) is not None and (status < 300 or code_of(document) != 200):
        return document
    if status >= 500:
        raise no_answer(f"KIE answered HTTP {status}", code=str(status))
    if status < 300:
        raise no_answer("KIE's answer cannot be read", code=str(status))
    raise _error_of_status(status, answer.text)


def error_of(document: Document, *, no_answer: NoAnswer) -> ProviderError:
    """Return the error that an envelope with another code than 200 states."""
    # What is said of a key may repeat it, and these words are stored.
    code, text = code_of(document) or 0, redactor(message_of(document))[:200]
    if code in _ACCOUNT_CODES or _CREDITS.search(text):
        return ProviderAccount(f"KIE refuses the account ({code}): {text}", code=str(code))
    if code == 455:
        return ProviderMaintenance(code="455")
    if code in _FINAL_CODES or (code == 500 and _is_refusal(text)):
        reason = _reason(code, text)
        return ProviderRefused(SENTENCES[reason], code=str(code), reason=reason, text=text)
    if code in _BUSY_CODES or (400 <= code < 500 and code not in _DOUBTFUL_CODES):
        return ProviderBusy(f"KIE does not take it now ({code})", code=str(code))
    return no_answer(f"KIE answered with code {code}", code=str(code))


def _error_of_status(status: int, text: str) -> ProviderError:
    known = {429: ProviderBusy, 455: ProviderMaintenance}.get(status)
    if known is not None:
        return known(code=str(status))
    if status in _ACCOUNT_CODES:
        return ProviderAccount(
            f"KIE refuses us (HTTP {status}): {redactor(text)[:80]}", code=str(status)
        )
    return ProviderUnreachable(f"No KIE at this address (HTTP {status})", code=str(status))


def _is_refusal(text: str) -> bool:
    return refusal_reason_in(text) is not None or (
        bool(_VALIDATION.search(text)) and not _PASSING.search(text)
    )


def _reason(code: int, text: str) -> FailureReason:
    if str(code) == OFF_CODE:
        return FailureReason.MODEL_UNAVAILABLE
    default = FailureReason.GENERATION_FAILED if code == 501 else FailureReason.REQUEST_REFUSED
    return refusal_reason_in(text) or default


def _name(error: Exception) -> str:
    return type(error).__name__
