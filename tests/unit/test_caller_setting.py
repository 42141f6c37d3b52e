"""Where the service finds its callers, and what stops its start."""

from pathlib import Path

import pytest

from generation_svc.server.wiring import callers_of
from generation_svc.settings import GenerationSettings

ENTRY = f'[[caller]]\nname = "edge"\ntokens_sha256 = ["{"ab" * 32}"]\n'


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KIE_API_KEY", "a-key")
    for name in ("GENERATION_CALLERS", "GENERATION_CALLERS_FILE"):
        monkeypatch.delenv(name, raising=False)


def test_without_callers_nobody_is_asked_for_a_token() -> None:
    assert callers_of(GenerationSettings.load()) is None


def test_callers_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENERATION_CALLERS", ENTRY)
    callers = callers_of(GenerationSettings.load())
    assert callers is not None
    assert callers.named("edge")


def test_callers_come_from_a_file_that_is_known_by_its_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "callers.toml"
    file.write_text(ENTRY)
    monkeypatch.setenv("GENERATION_CALLERS_FILE", str(file))
    settings = GenerationSettings.load()
    callers = callers_of(settings)
    assert callers is not None
    assert callers.named("edge")
    assert settings.generation_callers_file == file


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "GENERATION_CALLERS_FILE names an empty file"),
        (ENTRY.replace("edge", "Edge"), "GENERATION_CALLERS is wrong: caller 'Edge': name: "),
        (None, "GENERATION_CALLERS_FILE: cannot read"),
    ],
    ids=["empty", "wrong", "missing"],
)
def test_a_file_that_says_nothing_usable_stops_the_start_with_one_line(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    text: str | None,
    problem: str,
) -> None:
    file = tmp_path / "callers.toml"
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv("GENERATION_CALLERS_FILE", str(file))
    with pytest.raises(SystemExit, match="1"):
        GenerationSettings.load()
    line = capsys.readouterr().err
    assert problem in line
    assert line.count("\n") == 1
