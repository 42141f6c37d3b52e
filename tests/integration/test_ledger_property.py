"""Whatever happens in whatever order, no credit is lost or invented.

Hypothesis picks what happens next, on a real database, through the use cases. After each step the
whole ledger is checked, and the credits are counted once more from outside. `make ledger-search`
takes as many examples as one likes.
"""

from __future__ import annotations

import os

import pytest

from tests.ledger.ground import Ground, open_ground
from tests.ledger.machine import walk
from tests.lifecycle import OpenBench

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
