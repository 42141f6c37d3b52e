"""How often a caller may call and an owner may make jobs, on a clock of the test's own."""

from dataclasses import dataclass

import pytest

from generation_svc.caller import CallerDirectory, CallLimits, Grant
from generation_svc.caller.bucket import Buckets
from generation_svc.domain.caller import Caller
from generation_svc.domain.error import RateLimited


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    clock = Clock()
    buckets = Buckets(clock=clock)
    assert [buckets.take("a", per_second=2, burst=3) for _ in range(4)] == [0, 0, 0, 0.5]
    clock.now += 0.25
    assert buckets.take("a", per_second=2, burst=3) == 0.25
    clock.now += 0.25
    assert buckets.take("a", per_second=2, burst=3) == 0


def test_a_token_that_is_given_back_is_there_again_and_fills_no_bucket_over_its_burst() -> None:
    buckets = Buckets(clock=Clock())
    buckets.give_back("never seen")
    for _ in range(3):
        assert buckets.take("a", per_second=2, burst=1) == 0
        buckets.give_back("a")
        buckets.give_back("a")
    assert buckets.take("a", per_second=2, burst=1) == 0
    assert buckets.take("a", per_second=2, burst=1) == 0.5


def test_a_rest_fills_a_bucket_and_no_more() -> None:
    clock = Clock()
    buckets = Buckets(clock=clock)
    buckets.take("a", per_second=2, burst=3)
    clock.now += 3600
    assert [buckets.take("a", per_second=2, burst=3) for _ in range(4)] == [0, 0, 0, 0.5]


def test_a_bucket_is_nobody_elses() -> None:
    buckets = Buckets(clock=Clock())
    assert buckets.take("a", per_second=1, burst=1) == 0
    assert buckets.take("b", per_second=1, burst=1) == 0
    assert buckets.take("a", per_second=1, burst=1) == 1


def test_only_so_many_buckets_are_remembered() -> None:
    buckets = Buckets(most=2, clock=Clock())
    for key in ("a", "b", "a", "c"):
        buckets.take(key, per_second=1, burst=9)
    assert len(buckets) == 2
    assert [buckets.take("a", per_second=1, burst=2), len(buckets)] == [0, 2]


def directory(grant_limit: float | None = None) -> CallerDirectory:
    grant = Grant(Caller("edge"), frozenset({b"hash"}), grant_limit, grant_limit)
    return CallerDirectory([grant], limits=CallLimits(calls_per_second=1, jobs_per_minute=3))


@pytest.mark.parametrize(("own", "allowed"), [(None, 2), (2, 4)], ids=["the settings'", "its own"])
def test_a_caller_has_the_limit_of_its_entry_or_of_the_settings(
    own: float | None, allowed: int
) -> None:
    callers = directory(own)
    for _ in range(allowed):
        callers.count_call(Caller("edge"))
    with pytest.raises(RateLimited) as caught:
        callers.count_call(Caller("edge"))
    assert caught.value.subject == "caller edge"
    assert 0 < caught.value.retry_after.total_seconds() <= 1


def test_every_owner_of_a_caller_has_a_limit_of_its_own() -> None:
    callers = directory()
    for owner in ("telegram:7", "telegram:8"):
        for _ in range(3):
            callers.count_job(Caller("edge"), owner)
        with pytest.raises(RateLimited) as caught:
            callers.count_job(Caller("edge"), owner)
        assert caught.value.subject == f"owner {owner}"
        assert 19 < caught.value.retry_after.total_seconds() <= 20
