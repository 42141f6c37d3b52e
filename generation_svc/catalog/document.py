"""Checks catalog entries: against their schema, the schemas in them, themselves and each other."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match

from generation_svc.catalog.consistency import contradictions
from generation_svc.catalog.error import CatalogError
from generation_svc.catalog.example import example_problems
from generation_svc.catalog.outlier import odd_prices
from generation_svc.catalog.price_check import price_problems
from generation_svc.catalog.text_check import text_problems

SHAPE_VERSION = 3
"""The shape of the built file; raised when a reader of the old shape would misread it."""
_FILE = {
    "type": "object",
    "required": ["schema_version", "version", "models"],
    "additionalProperties": False,
    "properties": {
        "schema_version": {"const": SHAPE_VERSION},
        "version": {"type": "string", "minLength": 1, "maxLength": 64},
        "models": {"type": "array", "minItems": 1, "items": {"type": "object"}},
    },
}


def check_document(document: Any, *, schema: Any, path: Path) -> None:
    """Raise CatalogError for the first mistake in a built file."""
    error = best_match(Draft202012Validator(_FILE).iter_errors(document))
    if error is not None:
        raise CatalogError(path, _told(error))
    for entry in document["models"]:
        check_entry(entry, schema=schema, path=path)
    check_together(document["models"], path=path)


def check_entry(entry: dict[str, Any], *, schema: Any, path: Path) -> None:
    """Raise CatalogError for the first mistake in one model's entry."""
    model_id = entry.get("id", "a model without id")
    error = best_match(Draft202012Validator(schema).iter_errors(entry))
    if error is not None:
        raise CatalogError(path, f"{model_id}: {_told(error)}")
    try:
        Draft202012Validator.check_schema(entry["input_schema"])
    except SchemaError as mistake:
        raise CatalogError(path, f"{model_id}: input_schema: {mistake.message}") from mistake
    for problems in (contradictions, price_problems, text_problems, example_problems):
        if found := list(problems(entry)):
            raise CatalogError(path, f"{model_id}: " + "; ".join(found))


def check_together(entries: list[dict[str, Any]], *, path: Path) -> None:
    """Raise CatalogError where entries disagree with each other."""
    ids = [entry["id"] for entry in entries]
    if twice := sorted({model_id for model_id in ids if ids.count(model_id) > 1}):
        raise CatalogError(path, f"models listed twice: {', '.join(twice)}")
    if problems := [*_stray_references(entries), *_equal_tiers(entries), *odd_prices(entries)]:
        raise CatalogError(path, "; ".join(problems))


def _stray_references(entries: list[dict[str, Any]]) -> Iterator[str]:
    ids = {entry["id"] for entry in entries}
    for entry in entries:
        for name in sorted(_meant(entry) - ids):
            yield f"{entry['id']}: refers to jobs of {name}, which is no model"


def _equal_tiers(entries: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the models that nothing tells apart once a family is folded into one entry."""
    seen: dict[tuple[str, str, str], str] = {}
    for entry in entries:
        if "family" in entry:
            place = (entry["purpose"], entry["family"], entry.get("tier", ""))
            other = seen.setdefault(place, entry["id"])
            if other != entry["id"]:
                yield f"{entry['id']}: has the family and tier of {other}; give it another tier"


def _meant(entry: dict[str, Any]) -> set[str]:
    inputs: Iterable[dict[str, Any]] = entry.get("reference_inputs", ())
    return {model_id for each in inputs for model_id in each.get("models", ())}


def _told(error: ValidationError) -> str:
    return f"{error.json_path}: {error.message}"
