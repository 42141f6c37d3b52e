"""`make fuzz`: attack the five doors of the real processes and print what came of it.

    make fuzz SEED=7 INPUTS=20000      so many inputs at each door; without a seed one is drawn

The logs of the processes are left under `.atelier/fuzz/`.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sys
from pathlib import Path

from generation_svc.storage.embedded.server import embedded_postgres
from tests.fuzz.door import Tally
from tests.fuzz.run import Outcome, run, token_health

FOLDER = Path(".atelier/fuzz").absolute()


def main() -> int:
    """Run once; return 0 only if nothing was found."""
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(1, 10_000))
    inputs = int(os.environ.get("INPUTS") or 20_000)
    _say(f"seed {seed}: {inputs} inputs at each door")
    outcome = asyncio.run(_run(seed, inputs=inputs))
    for finding in outcome.findings:
        _say(f"  {finding}")
    _say(table(seed, outcome))
    return 1 if outcome.findings else 0


async def _run(seed: int, *, inputs: int) -> Outcome:
    shutil.rmtree(FOLDER, ignore_errors=True)
    async with (
        embedded_postgres(FOLDER / "postgres", durable=False) as url,
        token_health(FOLDER, database_url=url) as running,
    ):
        return await run(running, seed=seed, inputs=inputs)


def table(seed: int, outcome: Outcome) -> str:
    """Return the figures as a table in Markdown."""
    rows = [_row(seed, each) for each in outcome.tallies]
    end = f"jobs that they became: {outcome.jobs}; findings: {len(outcome.findings)}"
    head = "| door | seed | inputs | seconds | answers |\n|---|---|---|---|---|"
    return "\n".join([head, *rows, "", end])


def _row(seed: int, tally: Tally) -> str:
    answers = ", ".join(f"{name} {count}" for name, count in tally.answers.most_common())
    return f"| {tally.door} | {seed} | {tally.inputs} | {tally.seconds:.0f} | {answers} |"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
