"""How full the disks are, and who is told."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from structlog.testing import capture_logs

from generation_svc.catalog import load_catalog
from generation_svc.domain.media import MediaKind
from generation_svc.domain.purpose import Purpose
from generation_svc.domain.storage_limit import (
    LARGE_BYTES,
    DiskLevel,
    DiskLimits,
    expected_bytes,
)
from generation_svc.media.disk import FolderDiskReader, used_share
from generation_svc.media.meter import MediaMeter
from generation_svc.media.store import open_media
from generation_svc.server.wiring import storage_of
from generation_svc.settings import GenerationSettings


def disk(
    *, blocks: int = 1000, free: int, reserved: int = 0, files: int = 0, free_files: int = 0
) -> os.statvfs_result:
    """What the system says of a file system, in blocks; `reserved` is free to root alone."""
    return os.statvfs_result(
        (4096, 4096, blocks, free + reserved, free, files, free_files, free_files, 0, 255)
    )


@pytest.mark.parametrize(
    ("found", "share"),
    [
        (disk(free=1000), 0.0),
        (disk(free=100), 0.9),
        (disk(free=0), 1.0),
        (disk(free=450, reserved=500), 0.1),
        (disk(free=900, files=100, free_files=3), 0.97),
        (disk(blocks=0, free=0), 0.0),
    ],
    ids=["empty", "blocks", "full", "reserved", "entries", "no such thing"],
)
def test_a_disk_is_as_full_as_df_says(found: os.statvfs_result, share: float) -> None:
    assert used_share(found) == pytest.approx(share)


@pytest.mark.parametrize(
    ("share", "level"),
    [
        (0.0, DiskLevel.ROOMY),
        (0.899, DiskLevel.ROOMY),
        (0.90, DiskLevel.FILLING),
        (0.969, DiskLevel.FILLING),
        (0.97, DiskLevel.FULL),
        (1.0, DiskLevel.FULL),
    ],
)
def test_levels_begin_at_90_and_97_percent(share: float, level: DiskLevel) -> None:
    assert DiskLimits().level(share) is level


def test_the_models_on_offer_make_small_results() -> None:
    assert all(expected_bytes(model) < LARGE_BYTES for model in load_catalog().offered)


@pytest.mark.parametrize(
    ("kinds", "is_large"),
    [
        ((MediaKind.IMAGE,), False),
        ((MediaKind.AUDIO, MediaKind.IMAGE), False),
        ((MediaKind.VIDEO, MediaKind.IMAGE), True),
        ((MediaKind.AUDIO, MediaKind.VIDEO), True),
    ],
)
@pytest.mark.parametrize("purpose", [Purpose.IMAGE_EDIT, Purpose.TEXT_TO_MUSIC, Purpose.VIDEO_EDIT])
def test_a_job_is_large_by_what_it_makes(
    purpose: Purpose, kinds: tuple[MediaKind, ...], is_large: bool
) -> None:
    image = load_catalog().get("z-image")
    model = replace(image, purpose=purpose, result=replace(image.result, kinds=kinds))
    assert (expected_bytes(model) >= LARGE_BYTES) is is_large
    assert DiskLevel.FILLING.takes_job(model) is not is_large


def reader(
    stat: Callable[[Path], os.statvfs_result],
    *,
    seconds: float = 0,
    registry: CollectorRegistry | None = None,
) -> FolderDiskReader:
    return FolderDiskReader(
        {"media": Path("/m"), "scratch": Path("/s")},
        limits=DiskLimits(),
        meter=MediaMeter(registry),
        read_every_seconds=seconds,
        stat=stat,
    )


def used_ratio(registry: CollectorRegistry, folder: str) -> float | None:
    return registry.get_sample_value("atelier_media_disk_used_ratio", {"folder": folder})


async def test_the_fullest_disk_counts_and_the_operator_is_told_once() -> None:
    free, registry = {"/m": 50, "/s": 800}, CollectorRegistry()
    disks = reader(lambda folder: disk(free=free[str(folder)]), registry=registry)
    with capture_logs() as logs:
        assert [await disks.level() for _ in range(3)] == [DiskLevel.FILLING] * 3
        used = {folder: used_ratio(registry, folder) for folder in ("media", "scratch")}
        assert used == pytest.approx({"media": 0.95, "scratch": 0.2})
        free["/s"] = 20
        assert await disks.level() is DiskLevel.FULL
        free |= {"/m": 500, "/s": 500}
        assert await disks.level() is DiskLevel.ROOMY
    told = [(each["log_level"], each["level"]) for each in logs if each.get("action")]
    assert told == [("error", "filling"), ("error", "full"), ("info", "roomy")]


async def test_a_disk_is_not_asked_again_at_once() -> None:
    asked: list[Path] = []

    def stat(folder: Path) -> os.statvfs_result:
        asked.append(folder)
        return disk(free=500)

    disks = reader(stat, seconds=60)
    for _ in range(5):
        await disks.level()
    assert len(asked) == 2


async def test_a_disk_that_cannot_be_asked_stops_nothing() -> None:
    def stat(folder: Path) -> os.statvfs_result:
        raise OSError("stale file handle")

    with capture_logs() as logs:
        assert await reader(stat).level() is DiskLevel.ROOMY
    assert "stale file handle" in logs[0]["reason"]


def settings(**wishes: Any) -> GenerationSettings:
    return GenerationSettings(kie_api_key=SecretStr("a-key"), **wishes)


def test_the_settings_say_which_disks_and_how_full_they_may_be(tmp_path: Path) -> None:
    given = settings(data_folder=str(tmp_path), disk_filling_percent=80, disk_full_percent=85)
    folder = open_media((tmp_path / "media").as_uri())
    disks = storage_of(given, store=folder).disk
    assert isinstance(disks, FolderDiskReader)
    assert disks.folders == {"scratch": tmp_path / "scratch", "media": tmp_path / "media"}
    assert disks.limits == DiskLimits(filling=0.8, full=0.85)

    bucket = storage_of(given, store=open_media("s3://bucket/prefix")).disk
    assert isinstance(bucket, FolderDiskReader)
    assert list(bucket.folders) == ["scratch"]


def test_the_settings_say_what_is_kept_and_for_how_long(tmp_path: Path) -> None:
    store = open_media((tmp_path / "media").as_uri())
    wishes = {
        "job_retention_days": 1,
        "callback_retention_days": 2,
        "video_retention_days": 3,
        "media_retention_days": 4,
        "upload_retention_days": 5,
        "max_stored_mb": 6,
        "owner_max_stored_mb": 7,
    }
    storage = storage_of(settings(**wishes), store=store)
    kept = storage.retention
    spans = (kept.jobs, kept.callbacks, kept.videos, kept.media, kept.uploads)
    assert [span.days for span in spans] == [1, 2, 3, 4, 5]
    assert (storage.quota.overall_bytes, storage.quota.owner_bytes) == (6 << 20, 7 << 20)
