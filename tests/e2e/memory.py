"""How much memory a process and its children held at most, as the kernel counts it."""

from __future__ import annotations

import re
from pathlib import Path

_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)
_PARENT = re.compile(r"^PPid:\s+(\d+)", re.MULTILINE)


def reset_peak(pid: int) -> int:
    """Begin to count anew, and return what it holds now, in bytes."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return peak_of(pid)


def peak_of(pid: int) -> int:
    """Return the most that a process held since it was counted anew, in bytes."""
    found = _PEAK.search(Path(f"/proc/{pid}/status").read_text())
    assert found, "the kernel says nothing of its memory"
    return int(found[1]) * 1024


def children_of(pid: int) -> set[int]:
    """Return the ids of the children of a process."""
    return {int(each.name) for each in Path("/proc").glob("[0-9]*") if _parent(each) == pid}


def _parent(folder: Path) -> int | None:
    try:
        found = _PARENT.search((folder / "status").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(found[1]) if found else None
