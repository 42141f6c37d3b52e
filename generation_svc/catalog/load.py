"""Loads the catalog file at start; a bad one stops the process with one clear error.

A file is checked in full, which takes longer than all else that a start does, unless it is byte for
byte the one that `make catalog` has checked: its digest is beside it. A model is parsed when it is
first asked for.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from generation_svc.catalog.error import CatalogError
from generation_svc.catalog.parse import parse_model
from generation_svc.domain.model import Catalog, Model
from generation_svc.resource import resource_folder

MODELS_FOLDER = resource_folder("models")

CATALOG_FILE = MODELS_FOLDER / "KIE_SOURCE_OF_TRUTH.json"
SCHEMA_FILE = MODELS_FOLDER / "model.schema.json"
CHECKED_FILE = MODELS_FOLDER / "checked.sha256"
_DIGEST_LENGTH = 32


IN_EVERY_RELEASE = frozenset(
    {"z-image", "qwen/text-to-image", "qwen/image-to-image", "qwen/image-edit"}
)
"""The models of the releases that know no catalog but their own file."""


@dataclass(frozen=True, slots=True)
class OfferRule:
    """Which models new jobs may use."""

    has_unpaid: bool = False
    """Whether models that are not free may be used, too."""
    is_selling: bool = False
    """Whether models may be used that are paid for, which then must have a price."""
    has_callbacks: bool = True
    """Whether the provider can report, which it needs for some models."""

    def offered(self, entries: Iterable[dict[str, Any]]) -> tuple[str, ...]:
        """Return the ids of those on offer, in order."""
        return tuple(entry["id"] for entry in entries if self._is_offered(entry))

    def _is_offered(self, entry: dict[str, Any]) -> bool:
        needs_callback = entry["offers"][0].get("requires_callback", False)
        can_run = "withdrawn" not in entry and (self.has_callbacks or not needs_callback)
        is_sold = self.is_selling and _has_price(entry)
        return can_run and (entry["is_free"] or self.has_unpaid or is_sold)


def _has_price(entry: dict[str, Any]) -> bool:
    """Return whether what a model costs is known before it runs."""
    return "unknown" not in entry["offers"][0]["price"]


class ParsedModels(Mapping[str, Model]):
    """Models by id, each of which is parsed when it is first asked for."""

    def __init__(self, entries: list[dict[str, Any]]) -> None:
        self._entries = {entry["id"]: entry for entry in entries}
        self._parsed: dict[str, Model] = {}

    def __getitem__(self, model_id: str) -> Model:
        """Return a model; raises KeyError for one that there is not."""
        if model_id not in self._parsed:
            model = model_of(self._entries[model_id])
            is_in_every_release = model_id in IN_EVERY_RELEASE
            self._parsed[model_id] = replace(model, is_in_every_release=is_in_every_release)
        return self._parsed[model_id]

    def __contains__(self, model_id: object) -> bool:
        """Tell whether there is such a model."""
        return model_id in self._entries

    def __iter__(self) -> Iterator[str]:
        """Go through the ids in the order of the file."""
        return iter(self._entries)

    def __len__(self) -> int:
        """Count the models."""
        return len(self._entries)


def model_of(entry: dict[str, Any]) -> Model:
    """Return the model of an entry, which it keeps along with what stands for it."""
    return replace(parse_model(entry), digest=entry_digest(entry), document=entry)


def entry_digest(entry: dict[str, Any]) -> str:
    """Return what stands for an entry, in whatever order its members are."""
    text = json.dumps(entry, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH]


def load_catalog(
    path: Path | None = None,
    *,
    checked: Path = CHECKED_FILE,
    has_unpaid: bool = False,
    has_callbacks: bool = True,
) -> Catalog:
    """Return the catalog of the file, by default the one shipped with the product.

    New jobs may use the free models; with `has_unpaid` all that were not withdrawn; without
    callbacks none that the provider runs only with an address for them. Raises CatalogError, which
    names the file, the place in it and what is wrong there.
    """
    document = load_document(path or CATALOG_FILE, checked=checked)
    entries = document["models"]
    rule = OfferRule(has_unpaid=has_unpaid, has_callbacks=has_callbacks)
    return Catalog(document["version"], ParsedModels(entries), rule.offered(entries))


def load_document(path: Path = CATALOG_FILE, *, checked: Path = CHECKED_FILE) -> dict[str, Any]:
    """Return what a catalog file holds. Raises CatalogError."""
    text, schema = read(path), read(SCHEMA_FILE)
    document: dict[str, Any] = parsed(text, path=path)
    if not _was_checked(digest_of(text, schema=schema), checked=checked):
        _check(document, schema=parsed(schema, path=SCHEMA_FILE), path=path)
    return document


def note_checked(path: Path = CATALOG_FILE, *, checked: Path = CHECKED_FILE) -> None:
    """Check the file, and write down that it was. Raises CatalogError."""
    text, schema = read(path), read(SCHEMA_FILE)
    _check(parsed(text, path=path), schema=parsed(schema, path=SCHEMA_FILE), path=path)
    checked.write_text(digest_of(text, schema=schema) + "\n", encoding="ascii")


def digest_of(text: bytes, *, schema: bytes) -> str:
    """Return what stands for a file, as checked against a schema."""
    return sha256(sha256(text).digest() + sha256(schema).digest()).hexdigest()


def read(path: Path) -> bytes:
    """Return the bytes of a file of the catalog. Raises CatalogError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise CatalogError(path, f"cannot be read: {error.strerror}") from error


def parsed(text: bytes, *, path: Path) -> Any:
    """Return the JSON of a file of the catalog. Raises CatalogError."""
    try:
        return json.loads(text.decode("utf-8"))
    except ValueError as error:
        raise CatalogError(path, f"is not JSON: {error}") from error


def _was_checked(digest: str, *, checked: Path) -> bool:
    return checked.exists() and checked.read_text(encoding="ascii").strip() == digest


def _check(document: Any, *, schema: Any, path: Path) -> None:
    # Here, since a start does without jsonschema: a catalog is mostly the one that was checked.
    from generation_svc.catalog.document import check_document

    check_document(document, schema=schema, path=path)
