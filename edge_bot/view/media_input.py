"""Which media input of a model the conversation asks for: one picture, if the model needs one."""

from atelier.generation.v1.media_pb2 import MEDIA_KIND_IMAGE
from atelier.generation.v1.model_pb2 import Model


def picture_input(model: Model) -> str:
    """Return the name of the input that takes the user's picture; empty if there is none.

    A service of the release 0.1 tells it in `picture_field` alone.
    """
    if not model.media_inputs:
        return model.picture_field
    needed = [each.name for each in model.media_inputs if each.min_count]
    return needed[0] if needed else ""


def is_askable(model: Model) -> bool:
    """Tell whether all the media that a model needs can be asked for: at most one picture."""
    needed = [each for each in model.media_inputs if each.min_count]
    counts = sum(each.min_count for each in needed)
    return counts <= 1 and all(
        each.kind == MEDIA_KIND_IMAGE and "." not in each.name for each in needed
    )


def input_of(field: str) -> str:
    """Return the name of the input that a violation is about: `images` for `inputs.images[0]`."""
    return field.removeprefix("inputs.").partition("[")[0]
