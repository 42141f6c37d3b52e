"""Check the catalog of models, and note that it was: `make catalog`."""

import sys

from generation_svc.catalog.error import CatalogError
from generation_svc.catalog.load import note_checked

if __name__ == "__main__":
    try:
        note_checked()
    except CatalogError as error:
        sys.exit(str(error))
