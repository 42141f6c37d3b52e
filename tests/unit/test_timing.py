from dataclasses import fields
from datetime import timedelta

import pytest

from generation_svc.domain.timing import FLOORS, Timing


def seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


@pytest.mark.parametrize(
    ("age", "least", "most"),
    [
        pytest.param(0, 2, 3, id="at-first"),
        pytest.param(29, 2, 3, id="first-half-minute"),
        pytest.param(31, 5, 10, id="then"),
        pytest.param(119, 5, 10, id="second-minute"),
        pytest.param(121, 15, 30, id="past-two-minutes"),
        pytest.param(86_000, 15, 30, id="a-day-later"),
    ],
)
def test_reads_follow_the_cadence_that_kie_asks_for(age: float, least: float, most: float) -> None:
    assert seconds(least) <= Timing().read_interval(seconds(age)) <= seconds(most)


@pytest.mark.parametrize(
    ("typical", "has_callbacks", "first"),
    [
        pytest.param(4, True, 15, id="callbacks-quick-model"),
        pytest.param(40, True, 60, id="callbacks-slow-model"),
        pytest.param(40, False, 2.5, id="polling"),
    ],
)
def test_the_first_read_waits_for_the_callback(
    typical: float, has_callbacks: bool, first: float
) -> None:
    wait = Timing().first_read(typical=seconds(typical), has_callbacks=has_callbacks)

    assert wait == seconds(first)


@pytest.mark.parametrize(("usual", "grace"), [(5, 120), (100, 300)])
def test_an_unknown_attempt_has_its_grace(usual: float, grace: float) -> None:
    assert Timing().grace(seconds(usual)) == seconds(grace)


def test_a_scaled_pace_scales_everything_down_to_its_floor() -> None:
    timing, tenth = Timing(), Timing().scaled(0.1)

    for field in fields(Timing):
        whole, part = getattr(timing, field.name), getattr(tenth, field.name)
        assert part == max(whole * 0.1, FLOORS.get(field.name, type(whole)())), field.name
    assert tenth.read_interval(seconds(4)) == timing.read_interval(seconds(40)) * 0.1
    assert tenth.grace(seconds(100)) == timing.grace(seconds(100)) * 0.1
