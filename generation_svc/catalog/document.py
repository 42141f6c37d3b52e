"""Checks a catalog document: against its schema, the schemas in it, and itself."""

from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match

from generation_svc.catalog.consistency import contradictions
from generation_svc.catalog.error import CatalogError


def check_document(document: Any, *, schema: Any, path: Path) -> None:
    """Raise CatalogError for the first mistake."""
    error = best_match(Draft202012Validator(schema).iter_errors(document))
    if error is not None:
        raise CatalogError(path, f"{error.json_path}: {error.message}")
    for entry in document["models"]:
        _check_entry(entry, path=path)
    _check_ids([entry["id"] for entry in document["models"]], path=path)


def _check_entry(entry: dict[str, Any], *, path: Path) -> None:
    try:
        Draft202012Validator.check_schema(entry["input_schema"])
    except SchemaError as error:
        raise CatalogError(path, f"{entry['id']}: input_schema: {error.message}") from error
    if problems := list(contradictions(entry)):
        raise CatalogError(path, f"{entry['id']}: " + "; ".join(problems))


def _check_ids(ids: list[str], *, path: Path) -> None:
    twice = sorted({model_id for model_id in ids if ids.count(model_id) > 1})
    if twice:
        raise CatalogError(path, f"models listed twice: {', '.join(twice)}")
