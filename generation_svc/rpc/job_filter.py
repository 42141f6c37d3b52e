"""Parses the filter of ListJobs, a subset of AIP-160.

    condition = "state" ( "=" | "!=" ) STATE | "model_id" ( "=" | "!=" ) TEXT
              | ( "create_time" | "update_time" ) ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) TIME

`filter_part` says how conditions are joined.
"""

import re
from datetime import datetime

from generation_svc.domain.job import JobState
from generation_svc.domain.job_filter import Condition, JobField, JobFilter, Operator
from generation_svc.rpc.filter_part import FilterPart, FilterReader

_STATES = {f"JOB_STATE_{state.name}": state for state in JobState}
_ORDERED = (JobField.CREATE_TIME, JobField.UPDATE_TIME)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)


def parse_filter(text: str) -> JobFilter:
    """Parse a filter; an empty text matches every job. Raises InvalidInputs."""
    return FilterReader(text, condition=_condition).read()


def _condition(reader: FilterReader[Condition]) -> Condition:
    field = JobField(reader.word([*JobField]))
    known = [*Operator] if field in _ORDERED else [Operator.EQUAL, Operator.UNEQUAL]
    operator = Operator(reader.operator(known))
    return Condition(field, operator, _value(field, reader.take()))


def _value(field: JobField, part: FilterPart) -> str | datetime:
    text = part.value
    if field is JobField.STATE:
        return _STATES.get(text) or part.refuse(f"one of {', '.join(_STATES)}")
    if field is JobField.MODEL_ID:
        return text or part.refuse("the id of a model, as in ListModels")
    return _time(text) or part.refuse('a time with its zone, such as "2026-11-28T20:00:00Z"')


def _time(text: str) -> datetime | None:
    if not _TIME.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
