"""Which media input of a model the conversation asks for: one picture, if the model needs one."""

from collections.abc import Iterator
from typing import Any

from atelier.generation.v1.media_pb2 import MEDIA_KIND_IMAGE
from atelier.generation.v1.model_pb2 import Model
from edge_bot.view.model_field import is_brief, told_fields


def picture_input(model: Model) -> str:
    """Return the name of the input that takes the user's picture; empty if there is none.

    A service of the release 0.1 tells it in `picture_field` alone.
    """
    if not model.media_inputs:
        return model.picture_field
    needed = [each.name for each in model.media_inputs if each.min_count]
    return needed[0] if needed else ""


def has_form(model: Model) -> bool:
    """Tell whether a model is asked for by a form: the free ones need less."""
    return not model.pricing.is_free


def is_askable(model: Model) -> bool:
    """Tell whether all that a model needs can be asked for.

    Without a form that is at most one picture. A model of which only the brief is told is taken to
    be: it is looked at again when it is opened.
    """
    if is_brief(model):
        return True
    if has_form(model):
        return set(needed_paths(model)) <= set(_named(model))
    needed = [each for each in model.media_inputs if each.min_count]
    counts = sum(each.min_count for each in needed)
    return counts <= 1 and all(
        each.kind == MEDIA_KIND_IMAGE and "." not in each.name for each in needed
    )


def input_of(field: str) -> str:
    """Return the name of the input that a violation is about: `images` for `inputs.images[0]`."""
    return field.removeprefix("inputs.").partition("[")[0]


def place_of(field: str) -> str:
    """Return the place in the inputs that a violation is about: `shots[1].text`, `images`."""
    place = field.removeprefix("inputs.")
    return place if "." in place else place.partition("[")[0]


def _named(model: Model) -> Iterator[str]:
    """Yield the paths of the inputs that have words for people."""
    yield from (each.field for each in told_fields(model) if each.labels)
    yield from (each.name for each in model.media_inputs if each.labels)
    yield from (each.name for each in model.reference_inputs if each.labels)


def needed_paths(model: Model) -> Iterator[str]:
    """Yield the paths of the inputs that are always required."""
    schema: Any = dict(model.input_schema)
    for name in schema.get("required", ()):
        yield name
        items: Any = dict(dict(schema["properties"][name]).get("items", {}))
        yield from (f"{name}[].{inner}" for inner in items.get("required", ()))
