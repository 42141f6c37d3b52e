"""The disks that hold the service's folders."""

from typing import Protocol

from generation_svc.domain.storage_limit import DiskLevel


class DiskReader(Protocol):
    """Tells how full the disks are."""

    async def level(self) -> DiskLevel:
        """Return the level of the fullest disk, as it was a moment ago."""
