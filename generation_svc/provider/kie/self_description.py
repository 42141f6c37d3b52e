"""Reads what KIE says of its models: the list, and of each its schema, price and success rate.

KIE allows one request a second for all four together (kie-api.md §9).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from generation_svc.domain.error import ProviderBusy, ProviderRefused
from generation_svc.provider.kie.described_model import Description
from runtime.clock import loop_time

PAUSE_SECONDS = 1.0
MOST_TRIES = 5
"""How often KIE is asked for one thing: others who read with the same key share its limit."""
_Json = dict[str, Any]
Get = Callable[[str], Awaitable[Any]]
"""Reads the `data` of what is below `/api/v1`. Raises ProviderError."""


class SelfDescription:
    """KIE's own words, at its pace."""

    def __init__(self, get: Get, *, pause_seconds: float = PAUSE_SECONDS) -> None:
        self._get, self._pause = get, pause_seconds
        self._free_at = float("-inf")

    async def models(self) -> list[_Json]:
        """Read the list of models, each with its name under `model`. Raises ProviderError."""
        found = await self._read("models")
        if isinstance(found, dict):
            found = found.get("list") or found.get("records") or found.get("models")
        entries = found if isinstance(found, list) else []
        return [each for each in entries if isinstance(each, dict) and each.get("model")]

    async def describe(self, listing: _Json) -> Description:
        """Read what KIE says of a model. Raises ProviderError."""
        model = str(listing["model"])
        schema = await self._read_known(f"models/{model}/schema")
        price = await self._read_known(f"models/{model}/price")
        openapi = schema.get("openapi", schema) if isinstance(schema, dict) else None
        return Description(model, listing, openapi, price)

    async def _read_known(self, path: str) -> Any:
        try:
            return await self._read(path)
        except ProviderRefused:  # it has none of that: what follows from that is named later
            return None

    async def _read(self, path: str) -> Any:
        """Read what is at a path, however often KIE says "not now". Raises ProviderError."""
        for tries in range(1, MOST_TRIES):
            try:
                return await self._read_once(path)
            except ProviderBusy:
                self._free_at = loop_time() + self._pause * 2**tries
        return await self._read_once(path)

    async def _read_once(self, path: str) -> Any:
        wait = self._free_at - loop_time()
        if wait > 0:
            await asyncio.sleep(wait)
        self._free_at = loop_time() + self._pause
        return await self._get(path)
