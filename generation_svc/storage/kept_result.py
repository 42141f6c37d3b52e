"""Reads what is stored of a job that had ended otherwise, within the statement that reads the job.

A job in one of those states has no result of its own; what its attempt brought is there all the
same, and found by it. Of any other job the expression reads nothing.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from generation_svc.domain.attempt import AttemptState
from generation_svc.domain.job import JobState, Result
from generation_svc.domain.port.media import FIRST_COVER_POSITION
from generation_svc.storage import document
from generation_svc.storage.media_row import media_from_row

# A subquery after CASE, and no join: it is run only for the rows that need it. The first attempt
# that is settled, as where a job is charged for what is stored of it.
KEPT_COLUMN = f"""
CASE WHEN job.state IN ('{JobState.CANCELLED}', '{JobState.FAILED}') THEN (
    SELECT jsonb_build_object('observation', observation, 'items', result_items, 'media', (
        SELECT jsonb_agg(to_jsonb(media) ORDER BY position) FROM media
        WHERE media.attempt_id = attempt.id AND position < {FIRST_COVER_POSITION}))
    FROM attempt WHERE attempt.job_id = job.id AND attempt.state = '{AttemptState.SETTLED}'
    ORDER BY attempt.number LIMIT 1
) END AS kept
"""
"""What the statement has to select, as `kept`."""


def kept_of(kept: Mapping[str, Any] | None) -> tuple[Result | None, datetime | None]:
    """Read what is kept of a job, and when its first file came; Nones if that is nothing."""
    if kept is None:
        return None, None
    rows = [_media_row(each) for each in kept["media"] or ()]
    observation = document.observation_from_document(kept["observation"], kept["items"])
    text = observation.result_text if observation else ""
    files = len(observation.results) if observation else 0
    if not rows and not text:
        return None, None
    media = tuple(media_from_row(each) for each in rows)
    result = Result(media=media, text=text, missing_count=max(files - len(media), 0))
    return result, min((row["create_time"] for row in rows), default=None)


def _media_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as the database gives it, of one that was written as a document."""
    cover = row["cover_id"]
    return {
        **row,
        "id": UUID(row["id"]),
        "cover_id": UUID(cover) if cover else None,
        "create_time": datetime.fromisoformat(row["create_time"]),
    }
