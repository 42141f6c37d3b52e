"""A revision is written once for the streams of its job, and again when it says something else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from atelier.generation.v1 import generation_service_pb2 as pb
from generation_svc.domain.job import Forecast, Job, JobState, Price
from generation_svc.rpc.convert import job_to_proto, time_to_proto
from generation_svc.rpc.recent_update import MOST_UPDATES, RecentUpdates

NOW = datetime(2026, 11, 28, 12, 0, 0, 123_456, tzinfo=UTC)
JOB = Job(
    id=UUID(int=1),
    caller="caller",
    owner="user:1",
    model_id="z-image",
    inputs={"prompt": "a lighthouse"},
    price=Price(is_free=True, credits="0"),
    correlation_id="click",
    create_time=NOW,
    start_deadline_time=NOW,
    state=JobState.QUEUED,
    revision=1,
    update_time=NOW,
)


class Writer:
    """Counts what it writes."""

    def __init__(self) -> None:
        self.written: list[Job] = []

    def write(self, job: Job) -> pb.StreamJobUpdatesResponse:
        self.written.append(job)
        return pb.StreamJobUpdatesResponse(job=job_to_proto(job))


async def test_streams_of_one_job_share_what_is_written() -> None:
    writer = Writer()
    updates = RecentUpdates(writer.write)
    # Each stream has read the job by itself.
    answers = [updates.of(replace(JOB)) for _ in range(1000)]
    assert writer.written == [JOB]
    assert all(answer.job == job_to_proto(JOB) for answer in answers)


@pytest.mark.parametrize(
    "change",
    [
        lambda job: replace(job, revision=2, state=JobState.RUNNING),
        lambda job: replace(job, forecast=Forecast(3, timedelta(seconds=20))),
        lambda job: replace(job, id=UUID(int=2)),
    ],
    ids=["revision", "forecast", "job"],
)
async def test_what_differs_is_written_anew(change: Callable[[Job], Job]) -> None:
    updates = RecentUpdates(Writer().write)
    other = change(JOB)
    assert [updates.of(each).job for each in (JOB, other, JOB)] == [
        job_to_proto(each) for each in (JOB, other, JOB)
    ]


def test_links_do_not_grow_old() -> None:
    writer, times = Writer(), iter([100.0, 100.9, 101.5])
    updates = RecentUpdates(writer.write, clock=lambda: next(times))
    for count in (1, 1, 2):
        updates.of(JOB)
        assert len(writer.written) == count


async def test_old_updates_make_room() -> None:
    writer = Writer()
    updates = RecentUpdates(writer.write)
    for revision in range(1, MOST_UPDATES + 2):
        updates.of(replace(JOB, revision=revision))
    updates.of(JOB)
    assert len(writer.written) == MOST_UPDATES + 2


@pytest.mark.parametrize(
    "time",
    [
        NOW,
        NOW.astimezone(timezone(timedelta(hours=3))),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ],
    ids=str,
)
def test_a_time_is_written_as_protobuf_writes_it(time: datetime) -> None:
    expected = Timestamp()
    expected.FromDatetime(time)
    assert time_to_proto(time) == expected
