from datetime import UTC, datetime, timedelta

import pytest

from generation_svc.domain.identifier import new_id
from generation_svc.storage.clock import READ_EVERY_SECONDS, DatabaseClock

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
LOCAL = NOON - timedelta(hours=3)


class Machine:
    """A machine whose clock is three hours behind the database's."""

    def __init__(self) -> None:
        self.uptime = 1000.0
        self.clock = DatabaseClock(monotonic=lambda: self.uptime, local=lambda: LOCAL)

    def read(self, told: datetime, *, took_s: float = 0.0) -> None:
        asked_at, self.uptime = self.uptime, self.uptime + took_s
        self.clock.read(told, asked_at=asked_at)

    def off_s(self, since: datetime, *, began: float) -> float:
        """Return by how much its time is off, where `since` was the truth at `began`."""
        return (self.clock.now() - since).total_seconds() - (self.uptime - began)


def test_the_time_is_the_databases_and_goes_on_between_readings() -> None:
    machine = Machine()
    assert machine.clock.now() == LOCAL
    machine.read(NOON)
    machine.uptime += 7.5
    assert machine.clock.now() == NOON + timedelta(seconds=7.5)


def test_a_time_of_another_zone_is_told_in_utc() -> None:
    machine = Machine()
    machine.read(datetime.fromisoformat("2026-06-01T17:30:00+05:30"))
    assert machine.clock.now() == NOON
    assert machine.clock.now().tzinfo is UTC


def test_a_reading_is_due_at_first_and_then_now_and_then() -> None:
    machine = Machine()
    assert machine.clock.is_due
    machine.read(NOON)
    assert not machine.clock.is_due
    machine.uptime += READ_EVERY_SECONDS
    assert machine.clock.is_due


@pytest.mark.parametrize("answered_after", [0.0, 0.5, 1.0])
def test_an_answer_that_was_long_under_way_makes_a_good_reading_no_worse(
    answered_after: float,
) -> None:
    machine, began = Machine(), 1000.0
    machine.read(NOON)
    machine.uptime += 20
    machine.read(NOON + timedelta(seconds=20 + answered_after), took_s=1.0)
    assert abs(machine.off_s(NOON, began=began)) < 0.01


def test_a_quick_answer_makes_up_for_a_slow_one() -> None:
    machine, began = Machine(), 1000.0
    machine.read(NOON, took_s=4.0)
    machine.uptime += 10
    machine.read(NOON + timedelta(seconds=14), took_s=0.002)
    assert abs(machine.off_s(NOON, began=began)) < 0.01


@pytest.mark.parametrize("step", [timedelta(hours=-2), timedelta(seconds=5)])
def test_a_database_that_has_another_time_is_believed(step: timedelta) -> None:
    machine, began = Machine(), 1000.0
    machine.read(NOON)
    machine.uptime += 10
    machine.read(NOON + timedelta(seconds=10.25) + step, took_s=0.5)
    assert abs(machine.off_s(NOON + step, began=began)) < 0.3


def test_ids_sort_by_the_time_that_they_were_made_for() -> None:
    times = [NOON + timedelta(microseconds=250 * n) for n in range(50)]
    ids = [new_id(time) for time in times]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert {(each.version, each.variant) for each in ids} == {(7, "specified in RFC 4122")}
    milliseconds = {each.int >> 80 for each in ids}
    assert min(milliseconds) == int(NOON.timestamp() * 1000)
