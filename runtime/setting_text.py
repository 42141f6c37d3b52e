"""Says what a setting means: the docstring under its field."""

import ast
import inspect
import textwrap
from itertools import pairwise

from pydantic import BaseModel


def meaning_of(name: str, *, settings: type[BaseModel]) -> str:
    """Return the docstring under a field, in one line; empty where it has none.

    It is read from the source, and only when somebody is to be told: pydantic, asked to keep the
    docstrings of all fields, would read the sources of all settings at each start.
    """
    for owner in settings.__mro__:
        if name in vars(owner).get("__annotations__", ()):
            return " ".join(_docstrings(owner).get(name, "").split())
    return ""


def _docstrings(owner: type) -> dict[str, str]:
    try:
        source = inspect.getsource(owner)
    except OSError:  # an installation without sources
        return {}
    (tree,) = ast.parse(textwrap.dedent(source)).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for each, following in pairwise(tree.body):
        match each, following:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = text
    return found
