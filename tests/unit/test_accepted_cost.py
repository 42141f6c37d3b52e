"""What a process accepts between two readings of a sum is counted once, and not for ever."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from generation_svc.domain.identifier import first_id, new_id
from generation_svc.domain.job import Job, JobState, Price
from generation_svc.lifecycle import accepted_cost
from generation_svc.lifecycle.accepted_cost import AcceptedCosts

NOW = datetime(2026, 11, 29, 12, 30, tzinfo=UTC)


class Watch:
    """A loop's time that a test moves."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch()
    monkeypatch.setattr(accepted_cost, "loop_time", watch)
    return watch


def job(cost: int, *, is_free: bool = False) -> Job:
    return Job(
        id=new_id(NOW),
        caller="edge",
        owner="user:1",
        model_id="z-image",
        inputs={},
        price=Price(is_free=is_free, credits="0", cost=Decimal(cost)),
        correlation_id="",
        create_time=NOW,
        start_deadline_time=NOW,
        state=JobState.QUEUED,
        revision=1,
        update_time=NOW,
    )


def test_a_reading_takes_over_what_was_durable_before_it(watch: Watch) -> None:
    costs = AcceptedCosts()
    early, late, open_, refused = job(1), job(2), job(4), job(8, is_free=True)
    for each in (early, late, open_, refused):
        costs.add(each)
    assert (costs.overall, costs.free) == (Decimal(15), Decimal(8))

    costs.keep(early)
    watch.time += 1
    costs.keep(late)
    costs.drop(refused)
    costs.drop(late)  # it was kept
    assert (costs.overall, costs.free) == (Decimal(7), Decimal(0))

    costs.forget(before=1000.5)
    assert costs.overall == 6
    costs.forget(before=watch.time)
    assert costs.overall == 4


def test_what_nobody_reads_is_forgotten(watch: Watch) -> None:
    costs = AcceptedCosts()
    for _ in range(100):
        accepted = job(1)
        costs.add(accepted)
        costs.keep(accepted)
        watch.time += 10
    assert costs.overall <= 7


def test_the_ids_of_a_day_are_not_before_its_first_one() -> None:
    midnight = NOW.replace(hour=0, minute=0)
    before = midnight.replace(day=28, hour=23, minute=59, second=59, microsecond=999_999)
    assert new_id(before) < first_id(midnight) <= new_id(midnight)
