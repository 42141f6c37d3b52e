"""The more streams are open, the longer each is silent; a proxy still sees that it lives."""

from contextlib import ExitStack
from datetime import timedelta

import pytest

from generation_svc.rpc.stream import JITTER, Heartbeats, StreamTiming

SHORTEST_PROXY_TIMEOUT = timedelta(seconds=60)


@pytest.mark.parametrize(
    ("streams", "seconds"), [(1, 10), (1_000, 10), (2_000, 20), (4_000, 40), (20_000, 50)]
)
def test_the_silence_grows_with_the_open_streams(streams: int, seconds: float) -> None:
    heartbeats = Heartbeats(StreamTiming())
    with ExitStack() as stack:
        silences = [stack.enter_context(heartbeats.of_open_stream()) for _ in range(streams)]
        found = {silence() for silence in silences[:200]}
    most = timedelta(seconds=seconds)
    assert all(most * (1 - JITTER) <= each <= most < SHORTEST_PROXY_TIMEOUT for each in found)
    if streams > 1:
        assert len(found) > 1  # they do not all beat at once
    assert heartbeats.silence() <= StreamTiming().heartbeat  # of those that ended nothing is left


def test_a_heartbeat_that_is_rare_stays_rare() -> None:
    hour = timedelta(hours=1)
    assert Heartbeats(StreamTiming(heartbeat=hour)).silence() >= hour * (1 - JITTER)
