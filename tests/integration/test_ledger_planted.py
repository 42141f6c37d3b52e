"""The search of the ledger is worth something: it finds what breaks without a guard."""

from __future__ import annotations

import pytest

from tests.ledger.bug import BUGS, Bug
from tests.ledger.ground import Ground, open_ground
from tests.ledger.machine import walk
from tests.lifecycle import OpenBench

EXAMPLES = 40
"""Within how many examples each is found, from the same seed."""
SEED = 1


@pytest.fixture
async def ground(open_bench: OpenBench) -> Ground:
    return await open_ground(open_bench)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.guard)
def test_a_guard_that_is_taken_away_is_missed(ground: Ground, bug: Bug) -> None:
    with bug.planted(ground), pytest.raises((Exception, BaseExceptionGroup)):
        walk(ground, examples=EXAMPLES, seed_=SEED, is_long=False)
