"""What processes took of the processor and of memory, as the kernel counts it."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PARENT, _OWN, _CHILDREN = 1, slice(11, 13), slice(13, 15)
"""Where /proc/PID/stat has them, counted from the state (proc_pid_stat(5))."""


def cpu_s(pid: int) -> float:
    """Return the seconds of a process, of those under it, and of those under it that ended."""
    fields, children = _processes()
    found, waiting = 0, [pid]
    while waiting:
        each = waiting.pop()
        waiting += children[each]
        stat = fields.get(each)
        found += sum(map(int, [*stat[_OWN], *stat[_CHILDREN]])) if stat else 0
    return found / _TICKS


def resident_kb(pid: int) -> int:
    """Return the memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def _processes() -> tuple[dict[int, list[str]], dict[int, list[int]]]:
    fields: dict[int, list[str]] = {}
    children: dict[int, list[int]] = defaultdict(list)
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
        pid = int(path.parent.name)
        fields[pid] = text.rpartition(")")[2].split()
        children[int(fields[pid][_PARENT])].append(pid)
    return fields, children
