"""`make e2e-all`: every model from the click to a delivered result of the right kind.

Each model runs whole with its required fields and with all of them: a person finds it in the chat,
fills in its form and confirms the price; what arrives there is decoded, its cost compared with the
quote. Then every value of every field and every pair
of small fields goes out once, and what the stand-in received is compared with the document.

    SAMPLE=20 SEED=7   takes as many models, drawn by the seed
    MODELS=a,b         takes these
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from generation_svc.storage.embedded.server import embedded_postgres
from tests.e2e.every_model.run import SHAPE, not_offered, offered, run, sampled
from tests.e2e.every_model.trial import Outcome
from tests.e2e.stack import stack

_SHOWN_PROBLEMS = 3


def main() -> int:
    """Run everything; return 0 only if every model passed."""
    seed, size = int(os.environ.get("SEED") or 7), int(os.environ.get("SAMPLE") or 0)
    named = [each for each in os.environ.get("MODELS", "").split(",") if each]
    models = named or sampled(list(offered()), size=size, seed=seed)
    parent = Path(".atelier")
    parent.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="e2e-all-", dir=parent)).absolute()
    start = time.monotonic()
    try:
        outcomes = asyncio.run(_run(folder, models, seed=seed))
    except BaseException:
        _clean(folder, keeps_logs=True)
        raise
    _table(outcomes)
    has_passed = all(each.is_passed for each in outcomes)
    _clean(folder, keeps_logs=not has_passed)
    _say(f"seed {seed}, {time.monotonic() - start:.0f} s")
    failed = sum(not each.is_passed for each in outcomes)
    _say(f"SUMMARY: {len(outcomes) - failed}/{len(outcomes)} passed, {failed} failed")
    return 0 if has_passed else 1


async def _run(folder: Path, models: list[str], *, seed: int) -> list[Outcome]:
    # So that what is told to end takes the processes with it that it started.
    if (running := asyncio.current_task()) is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    async with (
        embedded_postgres(folder / "postgres", durable=False) as url,
        stack(folder, database_url=url, shape=SHAPE) as started,
    ):
        return await run(started, models, seed=seed, say=_say)


def _table(outcomes: list[Outcome]) -> None:
    _say("")
    for each in outcomes:
        whole = " | ".join(each.whole.get(way, "-") for way in ("required", "all"))
        _say(
            f"{'PASS' if each.is_passed else 'FAIL'}  {each.model_id:<46} {each.purpose:<20}"
            f" {each.door:<5} {whole:<40} credits {each.cost or '-':<16}"
            f" requests {each.right_count}/{each.case_count} of {each.goal_count} goals"
            f" ({each.excluded_count} excluded)"
        )
        if each.not_asked:
            _say(f"      not asked for: {', '.join(sorted(each.not_asked))}")
        for problem in each.problems[:_SHOWN_PROBLEMS]:
            _say(f"      {problem}")
        if len(each.problems) > _SHOWN_PROBLEMS:
            _say(f"      and {len(each.problems) - _SHOWN_PROBLEMS} more")
    for model_id, reason in not_offered().items():
        _say(f"NOT OFFERED  {model_id:<46} {reason}")
    cases = sum(each.case_count for each in outcomes)
    _say(f"{2 * len(outcomes)} whole jobs, {cases} compared requests")


def _clean(folder: Path, *, keeps_logs: bool) -> None:
    """Remove what the run left; the logs stay if they may be needed."""
    for name in ("postgres", "media"):
        shutil.rmtree(folder / name, ignore_errors=True)
    if keeps_logs:
        _say(f"the logs are in {folder.relative_to(Path.cwd())}")
    else:
        shutil.rmtree(folder, ignore_errors=True)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
