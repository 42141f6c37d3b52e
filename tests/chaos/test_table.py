"""The table of several runs, and a run that broke off."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos import __main__ as chaos
from tests.chaos.check import Violation
from tests.chaos.run import Outcome
from tests.chaos.table import page_table, totals

RUNS = (
    {"jobs": "5", "median s to the end": "1.5", "longest s to the end": "9", "leaks": "0"},
    {"jobs": "7", "median s to the end": "2.5", "longest s to the end": "4", "leaks": "1"},
)


def test_counts_are_summed_and_of_spans_the_longest_counts() -> None:
    expected = {"jobs": "12", "median s to the end": "2.0", "longest s to the end": "9"}
    assert totals(RUNS) == {**expected, "leaks": "1"}


def test_a_run_that_broke_off_leaves_its_column_empty() -> None:
    lines = page_table([("1", RUNS[0]), ("2", {})]).splitlines()
    assert lines[:3] == ["| | 1 | 2 | all |", "|---|--:|--:|--:|", "| jobs | 5 |  | 5 |"]


def test_a_seed_that_fails_stops_no_other_and_fails_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def run(seed: int, *, jobs: int) -> Outcome:
        if seed == 1:
            raise RuntimeError("the database never came up")
        broken = [Violation("credits", "ledger", "one is missing")] if seed == 2 else []
        return Outcome(broken, {"jobs": str(jobs)})

    monkeypatch.setattr(chaos, "_run", run)
    monkeypatch.setattr(chaos, "FOLDER", tmp_path)
    monkeypatch.setenv("SEEDS", "1-3")
    monkeypatch.setenv("JOBS", "9")
    assert chaos.main() == 1
    said = capsys.readouterr().out
    assert "the database never came up" in said
    assert "| jobs |  | 9 | 9 | 18 |" in said
    assert "2 of 3 seeds broke a promise: 1, 2" in said
    monkeypatch.setenv("SEEDS", "3-3")
    assert chaos.main() == 0
