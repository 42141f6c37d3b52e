"""Parses the filter of ListJobs, a subset of AIP-160.

    filter    = choice { "AND" choice }
    choice    = condition { "OR" condition }
    condition = "state" ( "=" | "!=" ) STATE | "model_id" ( "=" | "!=" ) TEXT
              | ( "create_time" | "update_time" ) ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) TIME

OR binds more tightly than AND, as it does there. What cannot be read is a violation that names the
position, from 1, and what would be right there.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from generation_svc.domain.error import FieldViolation, InvalidInputs
from generation_svc.domain.job import JobState
from generation_svc.domain.job_filter import Condition, JobField, JobFilter, Operator
from generation_svc.rpc.bound import MAX_FILTER_CONDITIONS

_STATES = {f"JOB_STATE_{state.name}": state for state in JobState}
_ORDERED = (JobField.CREATE_TIME, JobField.UPDATE_TIME)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_PART = re.compile(
    r'\s*(?:(?P<quoted>"(?:[^"\\\x00-\x1f]|\\["\\])*")|(?P<operator>[<>!]=|[=<>])'
    r"|(?P<word>[A-Za-z0-9_./:+-]+))"
)
_SHOWN_LENGTH = 40


@dataclass(frozen=True, slots=True)
class _Part:
    """A word, an operator or a text in quotes; the end of the filter is an empty one."""

    kind: str
    text: str
    position: int


def parse_filter(text: str) -> JobFilter:
    """Parse a filter; an empty text matches every job. Raises InvalidInputs."""
    parts = _parts(text)
    if parts[0].kind == "end":
        return ()
    return _Reader(parts).read()


def _parts(text: str) -> list[_Part]:
    parts, position = [], 0
    while text[position:].strip():
        found = _PART.match(text, position)
        if found is None:
            start = position + len(text[position:]) - len(text[position:].lstrip())
            wrong = _Part("wrong", text[start:], start + 1)
            _refuse(wrong, "a field, an operator, a value, AND or OR")
        kind = str(found.lastgroup)
        parts.append(_Part(kind, found[kind], found.start(kind) + 1))
        position = found.end()
    return [*parts, _Part("end", "", len(text) + 1)]


class _Reader:
    """Reads parts from left to right."""

    def __init__(self, parts: Sequence[_Part]) -> None:
        self._parts = iter(parts)
        self._next = next(self._parts)
        self._count = 0

    def read(self) -> JobFilter:
        choices = [self._choice()]
        while self._took("AND"):
            choices.append(self._choice())
        if self._next.kind != "end":
            _refuse(self._next, "AND, OR or the end")
        return tuple(choices)

    def _choice(self) -> tuple[Condition, ...]:
        conditions = [self._condition()]
        while self._took("OR"):
            conditions.append(self._condition())
        return tuple(conditions)

    def _condition(self) -> Condition:
        self._count += 1
        if self._count > MAX_FILTER_CONDITIONS:
            _refuse(self._next, f"the end (at most {MAX_FILTER_CONDITIONS} conditions are allowed)")
        field = self._field()
        operator = self._operator(field)
        return Condition(field, operator, self._value(field))

    def _field(self) -> JobField:
        part = self._take()
        if part.kind != "word" or part.text not in [*JobField]:
            _refuse(part, f"one of {', '.join(JobField)}")
        return JobField(part.text)

    def _operator(self, field: JobField) -> Operator:
        known = [*Operator] if field in _ORDERED else [Operator.EQUAL, Operator.UNEQUAL]
        part = self._take()
        if part.kind != "operator" or part.text not in known:
            _refuse(part, f"one of {' '.join(known)}")
        return Operator(part.text)

    def _value(self, field: JobField) -> str | datetime:
        part = self._take()
        text = _unquoted(part)
        if field is JobField.STATE:
            return _STATES.get(text) or _refuse(part, f"one of {', '.join(_STATES)}")
        if field is JobField.MODEL_ID:
            return text or _refuse(part, "the id of a model, as in ListModels")
        return _time(text) or _refuse(part, 'a time with its zone, such as "2026-11-28T20:00:00Z"')

    def _take(self) -> _Part:
        part = self._next
        self._next = next(self._parts, part)
        return part

    def _took(self, word: str) -> bool:
        is_next = self._next.kind == "word" and self._next.text == word
        if is_next:
            self._take()
        return is_next


def _unquoted(part: _Part) -> str:
    """Return the text of a value; empty for an operator or the end."""
    if part.kind == "quoted":
        return re.sub(r"\\(.)", r"\1", part.text[1:-1])
    return part.text if part.kind == "word" else ""


def _time(text: str) -> datetime | None:
    if not _TIME.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _refuse(part: _Part, wanted: str) -> NoReturn:
    found = f'"{part.text[:_SHOWN_LENGTH]}"' if part.text else "the end"
    description = f"At character {part.position}: expected {wanted}, not {found}."
    raise InvalidInputs((FieldViolation("filter", description),))
