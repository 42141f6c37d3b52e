"""`make chaos`: attack the real processes for some jobs and print what they made of it.

    make chaos SEED=7 JOBS=500      one run; without a seed one is drawn
    make chaos SEEDS=1-10           one run after the other

Every run leaves its logs and its plan under `.atelier/chaos/`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import shutil
import signal
import sys
from pathlib import Path

import structlog

from generation_svc.storage.embedded.server import embedded_postgres
from tests.chaos.plan import long_size, plan_of
from tests.chaos.run import Outcome, Server, run
from tests.chaos.table import table

FOLDER = Path(".atelier/chaos")
"""Where runs leave their logs."""


def main() -> int:
    """Run every seed; return 0 only if no promise was broken."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    jobs = int(os.environ.get("JOBS") or 500)
    outcomes = []
    for seed in _seeds():
        _say(f"seed {seed}: {jobs} jobs")
        outcome = asyncio.run(_run(seed, jobs=jobs))
        outcomes.append((f"seed {seed}", outcome))
        _explain(seed, outcome)
    _say(table([(name, each.figures) for name, each in outcomes]))
    return 1 if any(each.violations for _, each in outcomes) else 0


async def _run(seed: int, *, jobs: int) -> Outcome:
    folder = _folder(seed)
    shutil.rmtree(folder, ignore_errors=True)
    async with embedded_postgres(folder / "postgres") as url:
        pid_file = folder / "postgres/cluster/postmaster.pid"

        def kill() -> None:
            os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)

        plan = plan_of(seed, long_size(jobs))
        return await run(plan, folder, server=Server(url, kill))


def _explain(seed: int, outcome: Outcome) -> None:
    for violation in outcome.violations:
        _say(f"  {violation}")
    end = f"{len(outcome.violations)} broken promises" if outcome.violations else "all kept"
    _say(f"seed {seed}: {end}; logs in {_folder(seed)}")


def _seeds() -> list[int]:
    first, _, last = (os.environ.get("SEEDS") or "").partition("-")
    if first:
        return list(range(int(first), int(last or first) + 1))
    return [int(os.environ.get("SEED") or random.SystemRandom().randrange(1, 10_000))]


def _folder(seed: int) -> Path:
    return FOLDER.absolute() / f"seed-{seed}"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
