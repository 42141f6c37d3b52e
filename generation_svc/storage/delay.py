"""Stores delay reasons; those unknown to release 0.1.0 have a column of their own.

It could not read a job with a word that is new; so it reads none, and the job goes on there.
"""

from collections.abc import Mapping
from typing import Any

from generation_svc.domain.job import FINAL_STATES, DelayReason, JobState

FURTHER = frozenset({DelayReason.RESULT_DELAYED})
"""The reasons that came after the release 0.1.0."""
FIRST = tuple(reason for reason in DelayReason if reason not in FURTHER)
"""The reasons that every release knows."""


def delay_to_columns(reason: DelayReason | None) -> dict[str, DelayReason | None]:
    """Write a reason where each release finds what it can read."""
    is_further = reason in FURTHER
    return {
        "delay_reason": None if is_further else reason,
        "further_delay_reason": reason if is_further else None,
    }


def delay_from_columns(columns: Mapping[str, Any]) -> DelayReason | None:
    """Read what `delay_to_columns` wrote, or an older release, which leaves the newer column."""
    word = columns["delay_reason"] or columns.get("further_delay_reason")
    is_over = JobState(columns["state"]) in FINAL_STATES
    return DelayReason(word) if word and not is_over else None
