"""Measures how full the disks of media and scratch files are; a bucket has none.

Without free blocks or without free entries nothing more can be written, so both are asked; blocks
that only root may use are in neither count. What is told may be a few seconds old, since every job
asks.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import structlog

from generation_svc.domain.storage_limit import DiskLevel, DiskLimits
from generation_svc.media.meter import MediaMeter
from runtime.thread import in_thread

READ_EVERY_SECONDS = 5.0
"""How old a reading may be."""

_logger = structlog.get_logger(__name__)

StatFolder = Callable[[Path], os.statvfs_result]


class FolderDiskReader:
    """`DiskReader` of the file systems of folders."""

    def __init__(
        self,
        folders: Mapping[str, Path],
        *,
        limits: DiskLimits,
        meter: MediaMeter | None = None,
        read_every_seconds: float = READ_EVERY_SECONDS,
        stat: StatFolder = os.statvfs,
    ) -> None:
        self.folders = folders
        """Each folder under its name in the metric."""
        self.limits = limits
        self._read_every_seconds = read_every_seconds
        self._stat = stat
        self._meter = meter or MediaMeter()
        self._level = DiskLevel.ROOMY
        self._good_until = float("-inf")

    async def level(self) -> DiskLevel:
        """Return the level of the fullest disk, as it was a moment ago."""
        now = asyncio.get_running_loop().time()
        if now >= self._good_until:
            self._good_until = now + self._read_every_seconds  # the others take the one before
            await self._read()
        return self._level

    async def _read(self) -> None:
        shares = {}
        for name, folder in self.folders.items():
            try:
                found = await in_thread(partial(self._stat, folder), name="disk")
            except OSError as error:
                _logger.warning("a disk cannot be asked", folder=name, reason=str(error))
                continue
            shares[name] = used_share(found)
            self._meter.disk_used_ratio.labels(name).set(shares[name])
        self._tell(shares)

    def _tell(self, shares: Mapping[str, float]) -> None:
        """Take the new level, and tell the operator if it is another one."""
        level = self.limits.level(max(shares.values(), default=0.0))
        if level is not self._level:
            log = _logger.error if level > self._level else _logger.info
            used = {name: f"{share:.1%}" for name, share in shares.items()}
            log(_WORDS[level], action="disk_level", level=level.name.lower(), used=used)
        self._level = level


_WORDS = {
    DiskLevel.ROOMY: "the disk has room again",
    DiskLevel.FILLING: "the disk fills up: uploads and large jobs are refused",
    DiskLevel.FULL: "the disk is nearly full: all new jobs and uploads are refused",
}


def used_share(found: os.statvfs_result) -> float:
    """Return which share of a file system is used up, by blocks or by entries, as df does."""
    blocks = _share(found.f_blocks - found.f_bfree, free=found.f_bavail)
    entries = _share(found.f_files - found.f_ffree, free=found.f_favail)
    return max(blocks, entries)


def _share(used: int, *, free: int) -> float:
    return used / (used + free) if used + free else 0.0
