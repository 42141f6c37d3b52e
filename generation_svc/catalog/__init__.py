"""Loads and checks the catalog file, and validates inputs against it."""

from collections.abc import Mapping

from generation_svc.catalog.error import CatalogError
from generation_svc.catalog.load import load_catalog
from generation_svc.domain.model import Model
from generation_svc.domain.schema import JsonObject, JsonValue

__all__ = ["CatalogError", "load_catalog", "validate_inputs"]


def validate_inputs(model: Model, inputs: Mapping[str, JsonValue]) -> JsonObject:
    """Return the inputs as they are stored and sent; raises InvalidInputs (see `validate`)."""
    # Here, since jsonschema takes its time to import: the first job needs it, a start does not.
    from generation_svc.catalog.validate import validate_inputs as validate

    return validate(model, inputs)
