"""How large an upload may be: as large as some model takes it, within what the operator allows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from generation_svc.domain.limit import MAX_UPLOAD_BYTES
from generation_svc.domain.media import MediaKind
from generation_svc.domain.model import Model

UPLOAD_KINDS = (MediaKind.IMAGE, MediaKind.VIDEO, MediaKind.AUDIO)
"""What can be uploaded: whose metadata is known to go."""
MAX_PICTURE_BYTES = 50 * 2**20
"""The largest picture that is examined: it is read whole."""
_CEILINGS = MappingProxyType({MediaKind.IMAGE: MAX_PICTURE_BYTES})


@dataclass(frozen=True, slots=True)
class UploadBounds:
    """The greatest number of bytes of an upload by its kind; another kind is not taken."""

    by_kind: Mapping[MediaKind, int] = field(
        default_factory=lambda: {
            kind: _CEILINGS.get(kind, MAX_UPLOAD_BYTES) for kind in UPLOAD_KINDS
        }
    )

    def most(self, kinds: Iterable[MediaKind] = UPLOAD_KINDS) -> int:
        """Return the largest of the bounds of these kinds; 0 where none of them is taken."""
        return max((self.by_kind.get(kind, 0) for kind in kinds), default=0)


def bounds_of(models: Iterable[Model], *, ceiling_bytes: int) -> UploadBounds:
    """Return what the largest inputs of these models allow, and no more than the ceiling."""
    bounds: dict[MediaKind, int] = {}
    for model in models:
        for one in model.media_inputs:
            if one.kind in UPLOAD_KINDS:
                most = min(one.max_bytes, ceiling_bytes, _CEILINGS.get(one.kind, ceiling_bytes))
                bounds[one.kind] = max(most, bounds.get(one.kind, 0))
    return UploadBounds(bounds)
