"""Every program says what it does when asked, and starts nothing for what it does not know."""

from __future__ import annotations

import runpy
import sys
import warnings
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("callback_gateway", "devrun", "edge_bot", "generation_svc", "runtime", "sandbox")
FOLDERS = [
    ".".join(path.relative_to(ROOT).parts[:-1])
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("__main__.py"))
]
PROGRAMS = [
    *FOLDERS,
    "devrun.run",
    "devrun.welcome",
    "generation_svc.check_ledger",
    "generation_svc.recover",
    "generation_svc.server.catalog_import",
    "generation_svc.token",
]


def ended(module: str, *arguments: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> int:
    """Run a module as `python -m` does, in an empty folder; return its exit code."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [f"{module}.py", *arguments])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # another test has imported it
        with pytest.raises(SystemExit) as end:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
    assert not list(folder.iterdir())
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.mark.parametrize("module", PROGRAMS)
def test_a_program_that_is_asked_for_help_gives_it_and_starts_nothing(
    module: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ended(module, "--help", monkeypatch=monkeypatch, folder=tmp_path) == 0
    said = capsys.readouterr()
    usage, sentence = said.out.split("\n\n")[:2]
    assert usage.startswith(f"usage: {PROG.get(module, module)}")
    assert sentence.rstrip().endswith(".")
    assert not said.err


@pytest.mark.parametrize("module", PROGRAMS)
def test_a_program_that_does_not_know_an_argument_starts_nothing(
    module: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ended(module, "--no-such-thing", monkeypatch=monkeypatch, folder=tmp_path) == 2
    said = capsys.readouterr()
    assert said.err.splitlines()[-1].startswith(PROG.get(module, module))
    assert not said.out


PROG = {"generation_svc.server.catalog_import": "generation_svc.catalog import"}
"""What a program is called that another one runs."""


def test_every_script_of_the_wheel_is_one_of_these_programs() -> None:
    scripts = entry_points(group="console_scripts")
    ours = [each.module for each in scripts if each.name.startswith("atelier-")]
    assert len(ours) == 6
    assert {each.removesuffix(".__main__") for each in ours} <= set(PROGRAMS)
