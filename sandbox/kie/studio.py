"""Making the result of any model, by what it makes."""

from collections.abc import Callable, Mapping

import av

from sandbox.kie.commission import Commission
from sandbox.kie.drawing import drawn
from sandbox.kie.filming import filmed
from sandbox.kie.knowledge import known, lyrics
from sandbox.kie.made import Result
from sandbox.kie.picture import UnreadablePictureError
from sandbox.kie.recording import recorded, separated, sung


class NoSourceError(Exception):
    """Nothing was given that the model could work on."""


_BY_SHAPE: Mapping[str, Callable[[Commission], Result]] = {
    "songs": sung,
    "lyrics": lyrics,
    "stems": separated,
    "object": known,
}
_BY_KIND: Mapping[str, Callable[[Commission], Result]] = {
    "image": drawn,
    "video": filmed,
    "audio": recorded,
}


def make(asked: Commission) -> Result:
    """Return what the model makes of what was asked; raises NoSourceError."""
    maker = _BY_SHAPE.get(asked.entry.shape) or _BY_KIND.get(asked.entry.kind, known)
    try:
        return maker(asked)
    except (IndexError, UnreadablePictureError, av.FFmpegError) as error:
        raise NoSourceError from error
