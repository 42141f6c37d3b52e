"""Reads KIE's callbacks and recordInfo answers as one `Observation`.

kie-api.md §2 and §3. There is one reader for all families of models:

    {"code": 200, "msg": …, "data": {"taskId": …, "state": "success", "resultJson": "{…}"}}   Market
    {"code": 200, "msg": …, "data": {"task_id": …, "callbackType": "complete", "data": […]}}  suno
    {"code": 400, "msg": …, "data": {"taskId": …, "info": {…}}}                               others

The state is the word in `data.state`, else the one in `data.callbackType`, else it follows from
the code, provided that the body names a task. Only what is certain is final: a success needs a link
or a text (else it is EMPTY) and no code that contradicts it, and neither an unknown word nor a code
that speaks of the account or of the moment (401, 429, 455 …) settles anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from generation_svc.domain.observation import Observation, ProviderState
from generation_svc.provider.kie.document import (
    Document,
    as_document,
    as_task_id,
    clean,
    code_of,
    decode,
    message_of,
)
from generation_svc.provider.kie.result import item_ids_of, items_of, object_of, text_of

STATE_WORDS: Mapping[str, ProviderState] = {
    "waiting": ProviderState.PENDING,
    "queuing": ProviderState.PENDING,
    "generating": ProviderState.PENDING,
    "success": ProviderState.SUCCEEDED,
    "fail": ProviderState.FAILED,
}
"""Every word of `data.state`; any other is UNKNOWN."""

CALLBACK_TYPES: Mapping[str, ProviderState] = {
    "text": ProviderState.PENDING,
    "first": ProviderState.PENDING,
    "complete": ProviderState.SUCCEEDED,
    "error": ProviderState.FAILED,
}
"""Every word of suno's `data.callbackType`; any other is UNKNOWN."""

PASSING_CODES = frozenset({401, 402, 403, 429, 433, 455})
"""Codes that say nothing about a task: key, credits, frequency, sub-key, maintenance."""

_DEAD_CODES = frozenset({408, 501})
"""Codes of recordInfo's own envelope that say that the task failed."""

_COST = re.compile(r"\d{1,12}(\.\d{1,12})?")
_MAX_WORD_CHARS = 64
_MAX_MESSAGE_CHARS = 2000
_TASK_ID_NAMES = ("taskId", "task_id", "recordId")

_PACKED = frozenset({"response", "resultJson"})
_AT_ONCE = _PACKED | {"alignedWords", "resultObject", "resultUrls"}
"""Fields of a result in createTask's own answer."""

_NOTHING = Observation(ProviderState.UNKNOWN)


def read_body(body: bytes) -> Observation:
    """Read the body of a callback; what cannot be read is UNKNOWN, never an exception."""
    return _observe(as_document(decode(body)))


def read_record(document: object) -> Observation:
    """Read an answer of recordInfo, parsed from JSON but otherwise as it came."""
    envelope = as_document(document)
    code = code_of(envelope)
    if code is None or code == 200:
        return _observe(envelope)
    if code in _DEAD_CODES:
        return _failed(envelope)
    # KIE has two answers for a task that it does not know (kie-api.md §2).
    if code == 404 or (code == 422 and "null" in message_of(envelope)):
        return Observation(ProviderState.MISSING, task_id=_task_id(envelope))
    return Observation(ProviderState.UNKNOWN, word=f"code {code}"[:_MAX_WORD_CHARS])


def told_at_once(data: Document) -> Observation | None:
    """Read the result that createTask answers with where it makes no task; None where it does.

    KIE's page of timestamped lyrics shows such an answer; nowhere else was one seen.
    """
    if any(as_task_id(data.get(name)) for name in _TASK_ID_NAMES) or not _AT_ONCE & data.keys():
        return None
    is_named = bool({"resultObject", "resultUrls"} & data.keys())
    result = dict(data) if is_named else {"resultObject": dict(data)}
    told = data if _PACKED & data.keys() else {"response": result}
    observation = _succeeded({"code": 200, "data": told}, word=None)
    return observation if observation.state is ProviderState.SUCCEEDED else None


def _observe(document: Document) -> Observation:
    state, word = _state(document)
    if state is ProviderState.SUCCEEDED:
        return _succeeded(document, word)
    if state is ProviderState.FAILED:
        return _failed(document, word)
    return Observation(state, task_id=_task_id(document), word=word)


def _state(document: Document) -> tuple[ProviderState, str | None]:
    data = as_document(document.get("data"))
    for name, words in (("state", STATE_WORDS), ("callbackType", CALLBACK_TYPES)):
        word = data.get(name)
        if isinstance(word, str):
            known = words.get(word.strip().lower(), ProviderState.UNKNOWN)
            return known, clean(word)[:_MAX_WORD_CHARS]
        if word is not None:
            return ProviderState.UNKNOWN, None
    return _state_by_code(document), None


def _state_by_code(document: Document) -> ProviderState:
    code = code_of(document)
    if code is None or _task_id(document) is None or code in PASSING_CODES:
        return ProviderState.UNKNOWN
    if code == 200:
        return ProviderState.SUCCEEDED
    return ProviderState.FAILED if 400 <= code < 600 else ProviderState.UNKNOWN


def _succeeded(document: Document, word: str | None) -> Observation:
    data = as_document(document.get("data"))
    items, text = items_of(data), text_of(data)
    if code_of(document) not in (None, 200):
        return Observation(ProviderState.UNKNOWN, task_id=_task_id(document), word=word)
    if not (items or text):
        return Observation(ProviderState.EMPTY, task_id=_task_id(document), word=word)
    return Observation(
        ProviderState.SUCCEEDED,
        task_id=_task_id(document),
        word=word,
        results=items,
        result_text=text,
        result_object=object_of(data),
        item_ids=item_ids_of(data),
        cost=_cost(data),
    )


def _failed(document: Document, word: str | None = None) -> Observation:
    data, code = as_document(document.get("data")), code_of(document)
    envelope_code, envelope_message = ("", "") if code == 200 else (code, message_of(document))
    return Observation(
        ProviderState.FAILED,
        task_id=_task_id(document),
        word=word,
        fail_code=(_scalar(data.get("failCode")) or _scalar(envelope_code))[:_MAX_WORD_CHARS],
        fail_message=(_scalar(data.get("failMsg")) or envelope_message)[:_MAX_MESSAGE_CHARS],
        cost=_cost(data),
    )


def _cost(data: Document) -> Decimal | None:
    """Return `creditsConsumed`, which records have since August 2026; 0 of a task that failed."""
    text = _scalar(data.get("creditsConsumed"))
    return Decimal(text) if _COST.fullmatch(text) else None


def _task_id(document: Document) -> str | None:
    places = (as_document(document.get("data")), document)
    named = (as_task_id(place.get(name)) for name in _TASK_ID_NAMES for place in places)
    return next(filter(None, named), None)


def _scalar(value: object) -> str:
    if isinstance(value, str):
        return clean(value).strip()
    if isinstance(value, float):
        return f"{value:.15g}"
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""
