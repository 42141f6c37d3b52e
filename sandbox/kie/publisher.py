"""Putting what was made behind links, with the faults that a task carries."""

import secrets
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sandbox.kie.download import FOREIGN_LINK
from sandbox.kie.fault import KieFault
from sandbox.kie.file import File
from sandbox.kie.made import Made, Result, linked
from sandbox.kie.state import Asset, Kie
from sandbox.kie.task import Task

SLOW_S = 5.0
NO_SONG: Mapping[str, Any] = MappingProxyType({})


class Publisher:
    """Publishes what one task made: the same file has one link, wherever it stands."""

    def __init__(self, kie: Kie, task: Task) -> None:
        self._kie = kie
        self._task = task
        self._links: dict[int, str] = {}

    def publish(self, result: Result) -> dict[str, Any]:
        """Return what the record tells, and let later tasks name what has an id."""
        told: dict[str, Any] = linked(result.told, self._link)
        if "resultUrls" in told:
            told["resultUrls"] += self._extra()
        for each in told.get("data", told.get("origin_data", ())):
            if each.get("id") in result.ids:
                self._keep(each["id"], kind=result.ids[each["id"]], song=each)
        for asset, kind in result.ids.items():
            self._keep(asset, kind=kind)
        return told

    @property
    def links(self) -> list[str]:
        """The links of what was published, in order."""
        return [*self._links.values()]

    def _keep(self, asset: str, *, kind: str, song: Mapping[str, Any] = NO_SONG) -> None:
        kept = Asset(kind, self._task.account, song.get("audio_url", ""), song.get("prompt", ""))
        self._kie.assets.setdefault(asset, kept)

    def _link(self, made: Made) -> str:
        if id(made) not in self._links:
            self._links[id(made)] = self._put(made)
        return self._links[id(made)]

    def _put(self, made: Made) -> str:
        task = self._task
        slow, bad = task.fault(KieFault.SLOW_DOWNLOAD), task.fault(KieFault.BAD_RESULT)
        bad_fresh = task.fault(KieFault.BAD_FRESH_LINK)
        file = File(
            content=made.content,
            padding=made.padding,
            mime_type=made.mime_type,
            ttl_s=self._kie.settings.result_ttl_s,
            is_result=True,
            is_dead=task.fault(KieFault.DEAD_RESULT_LINK) is not None,
            slow_s=0 if slow is None else (SLOW_S if slow.seconds is None else slow.seconds),
            trouble=(bad.variant or "empty") if bad else "",
            trouble_s=bad.seconds if bad else None,
            bad_fresh=(bad_fresh.variant or "refused") if bad_fresh else "",
        )
        return self._kie.files.put(f"s/{secrets.token_hex(8)}.{made.ending}", file)

    def _extra(self) -> list[str]:
        extra = self._task.fault(KieFault.EXTRA_LINK)
        if extra is None:
            return []
        if extra.variant == "foreign":
            return [FOREIGN_LINK]
        return [f"{self._kie.settings.base_url.rstrip('/')}/s/{secrets.token_hex(8)}.png"]
