"""Finds the folders that the service reads beside its code."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource_folder(name: str) -> Path:
    """Return a folder such as `models`: inside the package in a wheel, beside it in a checkout.

    Neither is put beside other packages in an installation: `models` and `migrations` are names
    that anybody may use.
    """
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name
