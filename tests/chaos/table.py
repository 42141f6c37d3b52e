"""The figures of runs, one column for each: aligned for a terminal, or as a page shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

Figures = Mapping[str, str]
Column = tuple[str, Figures]
ALL = "all"
"""The column that says what the runs come to together."""
_GREATEST = ("longest ", "most ", "s ", "tasks more", "open files", "MB more", "database ")
"""What labels begin with of which the greatest counts; the rest is summed."""
_MIDDLE = "median "


def table(columns: Sequence[Column]) -> str:
    """Return an aligned table: a line for each figure, a column for each run."""
    lines = _lines(columns)
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    return "\n".join(_aligned(line, widths) for line in lines)


def page_table(columns: Sequence[Column]) -> str:
    """Return the table as Markdown, with what all runs come to."""
    head, *lines = _lines([*columns, (ALL, totals([figures for _, figures in columns]))])
    rule = ["---", *("--:" for _ in head[1:])]
    return "\n".join([_row(head), f"|{'|'.join(rule)}|", *map(_row, lines)])


def totals(runs: Sequence[Figures]) -> Figures:
    """Return what the figures of runs come to; one that broke off has none."""
    labels = dict.fromkeys(label for figures in runs for label in figures)
    return {
        label: _total(label, [float(figures[label]) for figures in runs if figures.get(label)])
        for label in labels
    }


def _total(label: str, values: Sequence[float]) -> str:
    if not values:
        return ""
    if label.startswith(_MIDDLE):
        return f"{median(values):.1f}"
    return f"{max(values) if label.startswith(_GREATEST) else sum(values):.0f}"


def _lines(columns: Sequence[Column]) -> list[list[str]]:
    labels = dict.fromkeys(label for _, figures in columns for label in figures)
    lines = [["", *(name for name, _ in columns)]]
    return lines + [[each, *(figures.get(each, "") for _, figures in columns)] for each in labels]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |" if cells[0] else "| | " + " | ".join(cells[1:]) + " |"


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    label, *cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
    numbers = (cell.strip().rjust(len(cell)) for cell in cells)
    return "  ".join((label, *numbers)).rstrip()
