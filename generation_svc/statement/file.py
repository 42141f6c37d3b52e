"""Turns a statement into the file that was asked for."""

from collections.abc import Callable, Mapping
from datetime import UTC, timedelta

from generation_svc.domain.statement import Statement, StatementFile, StatementForm
from generation_svc.statement.csv import write_csv
from generation_svc.statement.word import Words

_MIME_TYPES = {StatementForm.CSV: "text/csv; charset=utf-8", StatementForm.PDF: "application/pdf"}


def write_file(statement: Statement, form: StatementForm) -> StatementFile:
    """Return a statement in a form."""
    data = _WRITERS[form](statement)
    return StatementFile(data, _MIME_TYPES[form], _name(statement, form))


def _write_pdf(statement: Statement) -> bytes:
    # Not before the first one: it brings fonts and pictures, which a table does not need.
    from generation_svc.statement.pdf import write_pdf

    return write_pdf(statement)


def _name(statement: Statement, form: StatementForm) -> str:
    """Return the name of a file: what it is, and its first and last day."""
    first = statement.period.start.astimezone(UTC)
    last = (statement.period.end - timedelta(microseconds=1)).astimezone(UTC)
    return f"{Words(statement.language).say('file')}-{first:%Y-%m-%d}-{last:%Y-%m-%d}.{form}"


_WRITERS: Mapping[StatementForm, Callable[[Statement], bytes]] = {
    StatementForm.CSV: write_csv,
    StatementForm.PDF: _write_pdf,
}
