"""Reads a file with balances of an earlier bot: CSV with a header, or a JSON object in each line.

What makes the file as a whole unusable is an error. What is wrong with one row is told with the
number of its line, and the other rows are good.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from generation_svc.domain.imported_balance import LONGEST, ImportedBalance, Key

MAX_FILE_BYTES = 32 << 20
MAX_ROWS = 200_000
"""The most rows of a file: they are all in memory, so that doubles are found before anything is."""
_REQUIRED = ("source", "user_id", "amount", "currency")
_BOM = b"\xef\xbb\xbf"
_JSON_SUFFIXES = frozenset({".jsonl", ".ndjson", ".json"})


class BalanceFileError(Exception):
    """A file that cannot be read as balances, with the reason as a sentence."""


@dataclass(slots=True)
class BalanceFile:
    """What is in a file."""

    digest: str
    """The same for the same bytes."""
    balances: dict[int, ImportedBalance] = field(default_factory=dict)
    """The rows that can be asked for, by their lines."""
    rejects: dict[int, str] = field(default_factory=dict)
    """What is wrong with the other rows, by their lines."""


def read_balances(path: Path, *, source: str = "") -> BalanceFile:
    """Read a file; `source` is meant where a row names none. Raises BalanceFileError, OSError."""
    data = _bytes_of(path)
    text = _text_of(data.removeprefix(_BOM))
    found = BalanceFile(hashlib.sha256(data).hexdigest())
    is_json = path.suffix.lower() in _JSON_SUFFIXES or text.lstrip().startswith("{")
    rows = _json_rows(text) if is_json else _csv_rows(text, has_source=bool(source))
    seen: dict[Key, int] = {}
    for line, row in rows:
        if len(found.balances) + len(found.rejects) >= MAX_ROWS:
            raise BalanceFileError(f"It has more than {MAX_ROWS} rows; split it.")
        _take(found, row, line=line, source=source, seen=seen)
    if not found.balances and not found.rejects:
        raise BalanceFileError("There is no balance in it.")
    return found


def _bytes_of(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise BalanceFileError(f"It is larger than {MAX_FILE_BYTES >> 20} MiB; split it.")
    return data


def _text_of(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BalanceFileError(
            f"Line {line} is not UTF-8 (byte 0x{data[error.start]:02x}); save the file as UTF-8."
        ) from error


def _csv_rows(text: str, *, has_source: bool) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns: list[str] | None = None
    try:
        for cells in reader:
            values = [cell.strip() for cell in cells]
            if not any(values):
                continue
            if columns is None:
                columns = _columns(values, has_source=has_source)
            elif len(values) != len(columns):
                words = f"It has {len(values)} fields, and the header has {len(columns)}."
                yield reader.line_num, words
            else:
                yield reader.line_num, dict(zip(columns, values, strict=True))
    except csv.Error as error:
        raise BalanceFileError(f"Line {reader.line_num} is not CSV: {error}.") from error


def _columns(names: list[str], *, has_source: bool) -> list[str]:
    unknown = [name for name in names if name not in LONGEST]
    if unknown:
        raise BalanceFileError(
            f"The column {unknown[0][:64]!r} is unknown; the header is {','.join(LONGEST)},"
            " with commas, and owner may be left out."
        )
    if len(set(names)) < len(names):
        raise BalanceFileError("A column is there twice.")
    _check_complete(names, has_source=has_source)
    return names


def _check_complete(names: Sequence[str], *, has_source: bool) -> None:
    missing = [name for name in _REQUIRED if name not in names]
    if has_source and "source" in missing:
        missing.remove("source")
    if missing:
        hint = " (or --source)" if "source" in missing else ""
        raise BalanceFileError(f"The column {missing[0]} is missing{hint}.")


def _json_rows(text: str) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            # Numbers stay as they are written: no digit of an amount is lost.
            row = json.loads(line, parse_int=str, parse_float=str, parse_constant=str)
        except (ValueError, RecursionError):
            yield number, "It is not JSON."
            continue
        yield number, row if isinstance(row, dict) else "It is no JSON object."


def _take(
    found: BalanceFile,
    row: Mapping[str, Any] | str,
    *,
    line: int,
    source: str,
    seen: dict[Key, int],
) -> None:
    """Add a row to what was found, or say what is wrong with it."""
    problem = row if isinstance(row, str) else _problem({**row, "source": _source(row, source)})
    if problem or isinstance(row, str):
        found.rejects[line] = str(problem)
        return
    balance = ImportedBalance(**{**row, "source": _source(row, source)})
    first = next(iter(found.balances.values()), balance)
    key = balance.source, balance.user_id
    if key in seen:
        found.rejects[line] = f"The same user of this source is in line {seen[key]}."
    elif balance.currency != first.currency:
        found.rejects[line] = f"The rate is for {first.currency}, and this is {balance.currency}."
    else:
        seen[key] = line
        found.balances[line] = balance


def _source(row: Mapping[str, Any], source: str) -> Any:
    return row.get("source") or source


def _problem(row: Mapping[str, Any]) -> str | None:
    """Say what is wrong with the members of a row, before their meaning is looked at."""
    unknown = [name for name in row if name not in LONGEST]
    if unknown:
        return f"The member {unknown[0][:64]!r} is unknown."
    for name, most in LONGEST.items():
        value = row.get(name, "")
        if not isinstance(value, str):
            return f"The {name} is neither a text nor a number."
        if not value and name in _REQUIRED:
            return f"The {name} is empty."
        if len(value) > most:
            return f"The {name} is longer than {most} characters."
        if not value.isprintable():
            return f"The {name} has a character that cannot be printed."
    return None
