"""Storage limits: quotas in bytes, and what is still accepted on a disk that fills up."""

from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum

from generation_svc.domain.media import MediaKind
from generation_svc.domain.model import Model

_MIB = 2**20
EXPECTED_BYTES = {MediaKind.VIDEO: 200 * _MIB, MediaKind.AUDIO: 16 * _MIB}
"""The size that a result of a kind is expected to have."""
EXPECTED_BYTES_OF_OTHERS = 8 * _MIB
LARGE_BYTES = 32 * _MIB
"""The expected size from which a job counts as large."""
DISK_RETRY = timedelta(minutes=1)
"""How long a caller that is refused because of the disk is told to wait."""


class DiskLevel(IntEnum):
    """How full the fullest of our disks is."""

    ROOMY = 0
    FILLING = 1
    """Nothing large is begun, so that the results of what was accepted still fit."""
    FULL = 2
    """Nothing is begun."""

    def takes_job(self, model: Model) -> bool:
        """Return whether a job of this model may begin: its result has to fit once it is there."""
        if self is DiskLevel.FILLING:
            return expected_bytes(model) < LARGE_BYTES
        return self is DiskLevel.ROOMY

    @property
    def takes_uploads(self) -> bool:
        """Whether an upload may begin."""
        return self is DiskLevel.ROOMY


class NoDisk:
    """There is no disk that could be full."""

    async def level(self) -> DiskLevel:
        """Return that there is room."""
        return DiskLevel.ROOMY


def expected_bytes(model: Model) -> int:
    """Return the size that a result of the model is expected to have, by the largest it makes."""
    return max(EXPECTED_BYTES.get(kind, EXPECTED_BYTES_OF_OTHERS) for kind in model.result.kinds)


@dataclass(frozen=True, slots=True)
class DiskLimits:
    """From which share of a disk on it is filling, and full."""

    filling: float = 0.90
    full: float = 0.97

    def level(self, used_share: float) -> DiskLevel:
        """Return the level of a disk of which this share is used."""
        if used_share >= self.full:
            return DiskLevel.FULL
        return DiskLevel.FILLING if used_share >= self.filling else DiskLevel.ROOMY


@dataclass(frozen=True, slots=True)
class StorageQuota:
    """The most bytes of results and uploads that are kept; results of accepted jobs always are."""

    overall_bytes: int = 2**40
    owner_bytes: int = 5 * 2**30
