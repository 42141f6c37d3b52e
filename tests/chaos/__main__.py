"""`make chaos`: attack the real processes for some jobs and print what they made of it.

    make chaos SEED=7 JOBS=500      one run; without a seed one is drawn
    make chaos SEEDS=1-10           one run after the other, whatever came of it

Each run is a line; the table of all is Markdown, and in `.atelier/chaos/table.md`. Every run leaves
its logs and its plan beside it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import shutil
import signal
import sys
import traceback
from pathlib import Path

import structlog

from generation_svc.storage.embedded.server import embedded_postgres
from tests.chaos.check import Violation
from tests.chaos.plan import long_size, plan_of
from tests.chaos.run import Outcome, Server, run
from tests.chaos.table import page_table

FOLDER = Path(".atelier/chaos")
"""Where runs leave their logs, and the table."""
LONGEST_S = 900.0
"""How long a run may take, and a second more for each job."""
SAID = {
    "jobs": "jobs",
    "paid jobs": "paid",
    "payments in Stars": "payments in Stars",
    "Stars given back": "given back",
    "Stars charged back": "charged back",
    "credits earned": "credits earned",
    "differences that CheckLedger found": "differences",
    "s in all": "s",
}
"""What a line says of a run."""


def main() -> int:
    """Run every seed; return 0 only if no promise was broken."""
    jobs, seeds = int(os.environ.get("JOBS") or 500), _seeds()
    outcomes: dict[int, Outcome] = {}
    for seed in seeds:
        outcomes[seed] = _outcome(seed, jobs=jobs)
        _explain(seed, outcomes[seed])
        shown = page_table([(str(number), each.figures) for number, each in outcomes.items()])
        (FOLDER / "table.md").write_text(f"{shown}\n")  # an interrupted command leaves its part
    _say(f"\nmake chaos SEEDS={seeds[0]}-{seeds[-1]} JOBS={jobs}\n\n{shown}\n")
    broken = [str(seed) for seed, each in outcomes.items() if each.violations]
    if broken:
        _say(f"{len(broken)} of {len(seeds)} seeds broke a promise: {', '.join(broken)}")
    return 1 if broken else 0


def _outcome(seed: int, *, jobs: int) -> Outcome:
    """Run one seed; one that breaks off is a broken promise, and the next one runs."""

    async def limited() -> Outcome:
        async with asyncio.timeout(LONGEST_S + jobs):
            return await _run(seed, jobs=jobs)

    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        return asyncio.run(limited())
    except Exception as error:  # noqa: BLE001 - whatever it is, the other seeds are run
        traceback.print_exc()
        return Outcome([Violation("run", f"seed {seed}", f"broke off: {error!r}")], {})


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
    """Say what came of a seed in a line, and what was broken."""
    shown = [f"{outcome.figures.get(label, '?')} {word}" for label, word in SAID.items()]
    end = f"{len(outcome.violations)} BROKEN PROMISES" if outcome.violations else "all kept"
    _say(f"seed {seed}: {', '.join(shown)}: {end}")
    for violation in outcome.violations:
        _say(f"  {violation}")
    if outcome.violations:
        _say(f"  logs in {_folder(seed)}")


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
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    sys.exit(main())
