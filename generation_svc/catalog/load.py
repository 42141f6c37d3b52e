"""Loads the catalog file at start; a bad one stops the process with one clear error.

A file is checked in full, which takes longer than all else that a start does, unless it is byte for
byte the one that `make catalog` has checked: its digest is beside it.
"""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from generation_svc.catalog.error import CatalogError
from generation_svc.catalog.parse import parse_model
from generation_svc.domain.model import Catalog
from generation_svc.resource import resource_folder

_MODELS = resource_folder("models")

_CATALOG = _MODELS / "KIE_SOURCE_OF_TRUTH.json"
_SCHEMA = _MODELS / "catalog.schema.json"
_CHECKED = _MODELS / "checked.sha256"


def load_catalog(path: Path | None = None, *, checked: Path = _CHECKED) -> Catalog:
    """Return the catalog of the file, by default the one shipped with the product.

    Raises CatalogError, which names the file, the place in it and what is wrong there.
    """
    path = path or _CATALOG
    text, schema = _read(path), _read(_SCHEMA)
    document = _parsed(text, path=path)
    if not _was_checked(digest_of(text, schema=schema), checked=checked):
        _check(document, schema=_parsed(schema, path=_SCHEMA), path=path)
    models = [parse_model(entry) for entry in document["models"]]
    return Catalog(version=document["version"], models={model.id: model for model in models})


def note_checked(path: Path = _CATALOG, *, checked: Path = _CHECKED) -> None:
    """Check the file, and write down that it was. Raises CatalogError."""
    text, schema = _read(path), _read(_SCHEMA)
    _check(_parsed(text, path=path), schema=_parsed(schema, path=_SCHEMA), path=path)
    checked.write_text(digest_of(text, schema=schema) + "\n", encoding="ascii")


def digest_of(text: bytes, *, schema: bytes) -> str:
    """Return what stands for a file, as checked against a schema."""
    return sha256(sha256(text).digest() + sha256(schema).digest()).hexdigest()


def _was_checked(digest: str, *, checked: Path) -> bool:
    return checked.exists() and checked.read_text(encoding="ascii").strip() == digest


def _check(document: Any, *, schema: Any, path: Path) -> None:
    # Here, since a start does without jsonschema: a catalog is mostly the one that was checked.
    from generation_svc.catalog.document import check_document

    check_document(document, schema=schema, path=path)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CatalogError(path, f"cannot be read: {error.strerror}") from error


def _parsed(text: bytes, *, path: Path) -> Any:
    try:
        return json.loads(text.decode("utf-8"))
    except ValueError as error:
        raise CatalogError(path, f"is not JSON: {error}") from error
