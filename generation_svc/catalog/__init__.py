"""The catalog file: loaded, checked, and applied to inputs."""

from generation_svc.catalog.load import CatalogError, load_catalog
from generation_svc.catalog.validate import validate_inputs

__all__ = ["CatalogError", "load_catalog", "validate_inputs"]
