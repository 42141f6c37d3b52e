"""A few hundred odd inputs at each door of the real processes; `make fuzz` sends thousands."""

from __future__ import annotations

import random
from pathlib import Path

from tests.fuzz.run import run, token_health

INPUTS = 300


async def test_no_input_of_any_door_does_harm(database_url: str, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10_000)
    async with token_health(tmp_path, database_url=database_url) as running:
        outcome = await run(running, seed=seed, inputs=INPUTS)
    assert outcome.findings == [], f"seed {seed}"
    assert [each.inputs for each in outcome.tallies] == [INPUTS] * 5
