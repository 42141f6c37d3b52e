"""Writes a statement as comma-separated values (RFC 4180), for spreadsheets."""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO

from generation_svc.domain.statement import Statement
from generation_svc.statement.word import Words

_COLUMNS = ("time", "entry", "detail", "change", "balance")
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t", "\r", "\n")
"""What a spreadsheet takes for the beginning of a formula, an East Asian one also in wide forms."""


def write_csv(statement: Statement) -> bytes:
    """Return a statement as UTF-8, with the mark by which Excel knows that it is."""
    words, text = Words(statement.language), StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(_rows(statement, words))
    return text.getvalue().encode("utf-8-sig")


def _rows(statement: Statement, words: Words) -> Iterator[list[str | int]]:
    yield [words.say(name) for name in _COLUMNS]
    notes = " ".join(words.notes(statement))
    start, end = _time(statement.period.start), _time(statement.period.end)
    yield [start, words.say("opening"), notes, "", statement.opening]
    for line in statement.lines:
        entry, detail = _safe(words.entry(line)), _safe(words.detail(line))
        yield [_time(line.time), entry, detail, line.change, line.balance]
    yield [end, words.say("closing"), _safe(statement.owner), "", statement.closing]


def _time(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _safe(text: str) -> str:
    """Keep a spreadsheet from computing a text that somebody wrote."""
    return f"'{text}" if text.startswith(_FORMULA) else text
