"""The figures of runs, one column for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Figures = Mapping[str, str]


def table(columns: Sequence[tuple[str, Figures]]) -> str:
    """Return an aligned table: a line for each figure, a column for each run."""
    labels = list(dict.fromkeys(label for _, figures in columns for label in figures))
    lines = [["", *(name for name, _ in columns)]]
    lines += [[label, *(figures.get(label, "") for _, figures in columns)] for label in labels]
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    return "\n".join(_aligned(line, widths) for line in lines)


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    label, *cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
    numbers = (cell.strip().rjust(len(cell)) for cell in cells)
    return "  ".join((label, *numbers)).rstrip()
