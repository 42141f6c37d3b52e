"""One table for every row: a figure, its spread, its ratio, and what one operation costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

_HEAD = ("row", "program", "median", "min", "max", "unit", "p99 ms", "ratio")
_MORE = ("CPU ms", "gateway", "PG ms", "stmts", "txns", "fsyncs")


@dataclass(frozen=True, kw_only=True)
class Line:
    """What one program did in one row, each cost for one operation."""

    row: str
    program: str
    values: Sequence[float]
    """The figure of each round."""
    unit: str
    p99_ms: float | None = None
    ratio: float | None = None
    """The figure as a share of the baseline's."""
    cpu_ms: float | None = None
    gateway_ms: float | None = None
    postgres_ms: float | None = None
    statements: float | None = None
    transactions: float | None = None
    fsyncs: float | None = None
    detail: Sequence[tuple[float, str]] = ()
    """What the figure is made of; in JSON alone."""

    @property
    def median(self) -> float:
        return median(self.values)


def table(lines: Iterable[Line]) -> str:
    """Return the lines under their heads, for people."""
    rows = [(*_HEAD, *_MORE), *(_cells(each) for each in lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_joined(cells, widths) for cells in rows)


def _joined(cells: Sequence[str], widths: Sequence[int]) -> str:
    pairs = list(zip(cells, widths, strict=True))
    words = [cell.ljust(width) for cell, width in pairs[:2]]
    return "  ".join([*words, *(cell.rjust(width) for cell, width in pairs[2:])]).rstrip()


def _cells(line: Line) -> tuple[str, ...]:
    spread = (line.median, min(line.values), max(line.values))
    cpu = (line.cpu_ms, line.gateway_ms, line.postgres_ms)
    counts = (line.statements, line.transactions, line.fsyncs)
    return (
        line.row,
        line.program,
        *map(_number, spread),
        line.unit,
        _number(line.p99_ms),
        "" if line.ratio is None else f"{line.ratio:.2f}",
        *map(_number, (*cpu, *counts)),
    )


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.{1 if abs(value) >= 10 else 2}f}"
