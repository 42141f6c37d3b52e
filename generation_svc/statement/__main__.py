"""The process that writes documents: `python -m generation_svc.statement LIMITS`.

An order names a file with what is to be written, which the service has pickled; the document takes
its place. fpdf2 is plain Python, which would hold up every other call of the service. Fonts are
read with the first PDF.
"""

import pickle
from pathlib import Path
from typing import Any

from generation_svc.domain.receipt import Receipt
from generation_svc.domain.statement import StatementFile
from generation_svc.statement.file import write_file
from runtime import child

FILE_BYTES = 16 * 2**20
"""More than any document has."""


def main() -> None:
    """Write documents until no more are wanted."""
    limits = child.begin()
    for order in child.orders():
        child.allow(cpu_seconds=limits["cpu_seconds"], file_bytes=FILE_BYTES)
        child.reply(_answer(Path(order["path"])))


def _answer(path: Path) -> dict[str, Any]:
    made = _written(path.read_bytes())
    beside = path.with_suffix(".new")
    try:
        beside.write_bytes(made.data)
        beside.replace(path)  # at once: who comes after a lost process finds what is to be written
    except OSError as error:  # the disk's
        return {"problem": f"{type(error).__name__}: {error.strerror}"}
    return {"mime_type": made.mime_type, "name": made.name}


def _written(pickled: bytes) -> StatementFile:
    told, form = pickle.loads(pickled)
    if not isinstance(told, Receipt):
        return write_file(told, form)
    from generation_svc.statement.receipt import write_receipt  # as `write_file` does with PDFs

    return write_receipt(told)


if __name__ == "__main__":
    main()
