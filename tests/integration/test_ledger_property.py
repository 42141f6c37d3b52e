"""Whatever happens in whatever order, no credit is lost or invented.

Hypothesis picks what happens next, on a real database, through the use cases. After each step the
whole ledger is checked, and the credits are counted once more from outside. `make ledger-search`
takes as many examples as one likes.
"""

from __future__ import annotations

import os
from functools import partial
from unittest.mock import patch

import pytest

from tests.ledger import machine
from tests.ledger.ground import Ground, open_ground
from tests.ledger.machine import Events, walk
from tests.ledger.world import OWNERS
from tests.lifecycle import Harness, OpenBench
from tests.money import grant

EXAMPLES = int(os.environ.get("EXAMPLES") or "16")
SEED = os.environ.get("SEED")
PLACES = {"charged", "partial", "cancelled", "lent", "lowered", "owed", "repeated", "numbered"}
"""Where others lost credits: a long search that never gets there is blind."""
IS_LONG = "EXAMPLES" in os.environ


@pytest.fixture
async def ground(open_bench: OpenBench) -> Ground:
    return await open_ground(open_bench)


def test_no_order_of_steps_loses_or_invents_a_credit(ground: Ground) -> None:
    walk(ground, examples=EXAMPLES, seed_=int(SEED) if SEED else None, is_long=IS_LONG)
    assert 2 * ground.reached["charged"] >= EXAMPLES
    assert not IS_LONG or ground.reached.keys() >= PLACES


@pytest.mark.parametrize("is_committed", [False, True])
def test_of_two_that_are_killed_at_once_each_is_done_again(
    ground: Ground, is_committed: bool
) -> None:
    ground.run(_kill_two(ground, is_committed=is_committed))


async def _kill_two(ground: Ground, *, is_committed: bool) -> None:
    await ground.empty()
    await grant(ground.harness, 500, owner=OWNERS[0])
    events = Events(ground)
    # Both replicas have accepted a job before: the next thing they do is to accept one.
    for count in (None, 1, 1, 2, 3):
        accepted = [partial(_accept, events.name("request")) for _ in range(2)]
        ground.fuse.left, ground.fuse.is_committed = count, is_committed
        await events.at_once(*map(events.do, accepted))
    jobs = await ground.harness.query("SELECT count(*) AS count FROM job")
    assert jobs == [{"count": 10}]


async def _accept(request_id: str, bench: Harness) -> None:
    await bench.accept(owner=OWNERS[0], request_id=request_id, model_id="google/imagen4")


def test_what_goes_wrong_once_is_told_though_it_never_comes_again(ground: Ground) -> None:
    wrong = [AssertionError("a credit is lost")]

    async def fails_once(_: Events) -> None:
        if wrong:
            raise wrong.pop()

    with patch.object(machine, "check", fails_once), pytest.raises(AssertionError, match="lost"):
        walk(ground, examples=2, seed_=1, is_long=False)
