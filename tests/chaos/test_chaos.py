"""A short scenario: `make chaos` runs longer ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.plan import SHORT, plan_of
from tests.chaos.run import Server, run
from tests.chaos.table import table
from tests.postgres import CrashablePostgres

SEED = 5


@pytest.mark.timeout(300)
async def test_a_storm_breaks_no_promise(
    tmp_path: Path, crashable_postgres: CrashablePostgres
) -> None:
    server = Server(crashable_postgres.url, crashable_postgres.kill)
    outcome = await run(plan_of(SEED, SHORT), tmp_path, server=server)
    assert outcome.violations == [], f"{table([(f'seed {SEED}', outcome.figures)])}\n{tmp_path}"
