"""The search of the ledger is worth something: it finds what breaks without a guard."""

from __future__ import annotations

import os

import pytest

from tests.ledger.bug import BUGS, RARE, Bug
from tests.ledger.ground import Ground, open_ground
from tests.ledger.machine import walk
from tests.lifecycle import OpenBench

EXAMPLES = 200
"""Within how many examples each is found, from the same seed; most are within ten."""
SEED = 1
IS_LONG = "EXAMPLES" in os.environ


@pytest.fixture
async def ground(open_bench: OpenBench) -> Ground:
    return await open_ground(open_bench)


@pytest.mark.parametrize("bug", BUGS + (RARE if IS_LONG else ()), ids=lambda bug: bug.guard)
def test_a_guard_that_is_taken_away_is_missed(ground: Ground, bug: Bug) -> None:
    with bug.planted(ground), pytest.raises((Exception, BaseExceptionGroup)):
        walk(ground, examples=EXAMPLES, seed_=SEED, is_long=False)
