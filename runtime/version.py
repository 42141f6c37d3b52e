"""Which release this is."""

from importlib.metadata import version

DISTRIBUTION = "atelier-generation-service"
"""The name under which pip knows all of it; `atelier` is somebody else's."""


def product_version() -> str:
    """Return the version of the installed distribution."""
    return version(DISTRIBUTION)
