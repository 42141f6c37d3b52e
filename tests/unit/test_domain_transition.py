from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from generation_svc.domain.job import FINAL_STATES, Job, JobState, Price
from generation_svc.domain.transition import ALLOWED, advance, is_allowed, sources

NOW = datetime(2026, 11, 1, tzinfo=UTC)
JOB = Job(
    id=uuid4(),
    caller="edge",
    owner="user:1",
    model_id="z-image",
    inputs={},
    price=Price(is_free=True, credits="0"),
    correlation_id="",
    create_time=NOW,
    start_deadline_time=NOW,
    state=JobState.QUEUED,
    revision=1,
    update_time=NOW,
)


def test_the_table_is_total_and_final_states_have_no_way_out() -> None:
    assert set(ALLOWED) == set(JobState)
    assert {state for state, targets in ALLOWED.items() if not targets} == FINAL_STATES
    assert not is_allowed(JobState.RUNNING, JobState.QUEUED)


@pytest.mark.parametrize("source", JobState)
@pytest.mark.parametrize("target", JobState)
def test_a_job_advances_exactly_where_the_table_allows(source: JobState, target: JobState) -> None:
    job = replace(JOB, state=source)
    assert (source in sources(target)) == is_allowed(source, target)

    if not is_allowed(source, target):
        with pytest.raises(ValueError, match="cannot go"):
            advance(job, now=NOW, state=target)
        return

    later = NOW + timedelta(seconds=1)
    advanced = advance(job, now=later, state=target)
    assert (advanced.state, advanced.revision, advanced.update_time) == (target, 2, later)


def test_a_change_that_keeps_the_state_is_a_revision() -> None:
    assert advance(JOB, now=NOW).revision == 2
    with pytest.raises(ValueError, match="cannot go"):
        advance(replace(JOB, state=JobState.CANCELLED), now=NOW)
