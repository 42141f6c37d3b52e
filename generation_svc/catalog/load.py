"""Loads the catalog file at start; a bad one stops the process with one clear error.

CatalogError    the file cannot be read, breaks its schema, or contradicts itself
"""

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match

from generation_svc.catalog.consistency import contradictions
from generation_svc.catalog.parse import parse_model
from generation_svc.domain.error import AtelierError
from generation_svc.domain.model import Catalog, Model
from generation_svc.resource import resource_folder

_MODELS = resource_folder("models")

_CATALOG = _MODELS / "KIE_SOURCE_OF_TRUTH.json"
_SCHEMA = _MODELS / "catalog.schema.json"


class CatalogError(AtelierError):
    """The catalog file cannot be used."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"{path}: {problem}")


def load_catalog(path: Path | None = None) -> Catalog:
    """Return the catalog of the file, by default the one shipped with the product.

    Raises CatalogError, which names the file, the place in it and what is wrong there.
    """
    path = path or _CATALOG
    document = _read(path)
    _check_against_schema(document, path=path)
    models = [_model(data, path=path) for data in document["models"]]
    _check_ids([model.id for model in models], path=path)
    return Catalog(version=document["version"], models={model.id: model for model in models})


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CatalogError(path, f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise CatalogError(path, f"is not JSON: {error}") from error


def _check_against_schema(document: Any, *, path: Path) -> None:
    error = best_match(Draft202012Validator(_read(_SCHEMA)).iter_errors(document))
    if error is not None:
        raise CatalogError(path, f"{error.json_path}: {error.message}")


def _model(data: dict[str, Any], *, path: Path) -> Model:
    try:
        Draft202012Validator.check_schema(data["input_schema"])
    except SchemaError as error:
        raise CatalogError(path, f"{data['id']}: input_schema: {error.message}") from error
    if problems := list(contradictions(data)):
        raise CatalogError(path, f"{data['id']}: " + "; ".join(problems))
    return parse_model(data)


def _check_ids(ids: list[str], *, path: Path) -> None:
    twice = sorted({model_id for model_id in ids if ids.count(model_id) > 1})
    if twice:
        raise CatalogError(path, f"models listed twice: {', '.join(twice)}")
