"""What stands in for a full disk harms nobody who comes later."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from tests.small_disk import no_file_beyond


def test_what_is_imported_on_a_full_disk_is_not_kept_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "imported_late.py").write_text(f"TEXT = {'long ' * 100!r}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with no_file_beyond(64):
        importlib.import_module("imported_late")
    assert list(tmp_path.rglob("*.pyc")) == []
