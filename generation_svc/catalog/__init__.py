"""Loads and checks the catalog file, and validates inputs against it."""

from generation_svc.catalog.load import CatalogError, load_catalog
from generation_svc.catalog.validate import validate_inputs

__all__ = ["CatalogError", "load_catalog", "validate_inputs"]
