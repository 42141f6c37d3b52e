"""Filters of job lists: conditions on a few fields, in a form that any store can apply."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias


class JobField(StrEnum):
    """The fields of a job that a filter may name."""

    STATE = "state"
    MODEL_ID = "model_id"
    CREATE_TIME = "create_time"
    UPDATE_TIME = "update_time"


class Operator(StrEnum):
    """How a field is compared with a value; only times have an order."""

    EQUAL = "="
    UNEQUAL = "!="
    BELOW = "<"
    AT_MOST = "<="
    ABOVE = ">"
    AT_LEAST = ">="


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison."""

    field: JobField
    operator: Operator
    value: str | datetime


JobFilter: TypeAlias = tuple[tuple[Condition, ...], ...]
"""Choices of which each has a condition that holds; an empty one lets every job through."""
EVERY_JOB: JobFilter = ()
