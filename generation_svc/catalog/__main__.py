"""Build the catalog of models and note that it was checked: `make catalog`; `--check` compares.

`import FILE|--from-kie [--apply]` shows what an import into a running service would change.
"""

import runpy
import sys

from generation_svc.catalog.build import built
from generation_svc.catalog.error import CatalogError
from generation_svc.catalog.load import (
    CATALOG_FILE,
    CHECKED_FILE,
    SCHEMA_FILE,
    digest_of,
    note_checked,
    read,
)
from runtime.command_reader import CommandReader

HELP = (
    "Build the catalog of models from the documents in models/. With `import` as the first word,"
    " import models into a running service: see `import --help`."
)


def main(arguments: list[str]) -> None:
    """Write what the documents say, or exit with a sentence if that is not what is there."""
    if arguments[:1] == ["import"]:
        # By its name: it knows the service and the client, which the catalog knows nothing of.
        sys.argv = [sys.argv[0], *arguments[1:]]
        runpy.run_module("generation_svc.server.catalog_import", run_name="__main__")
        return
    parser = CommandReader("generation_svc.catalog", description=HELP)
    parser.add_argument("--check", action="store_true", help="compare it with what is there")
    options = parser.parse_args(arguments)
    try:
        text = built().encode()
        if options.check:
            _compare(text)
        else:
            CATALOG_FILE.write_bytes(text)
            note_checked()
    except CatalogError as error:
        sys.exit(str(error))


def _compare(text: bytes) -> None:
    digest = digest_of(text, schema=read(SCHEMA_FILE)) + "\n"
    if read(CATALOG_FILE) != text or read(CHECKED_FILE) != digest.encode():
        sys.exit(f"{CATALOG_FILE.name} is not what the documents in models/ say: make catalog")


if __name__ == "__main__":
    main(sys.argv[1:])
