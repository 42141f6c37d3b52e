"""Keeps the bot's menu of commands at what there is: those about money only where it is."""

from __future__ import annotations

import asyncio

import structlog

from edge_bot.pack.pack_cache import PackCache
from edge_bot.telegram.bot import EdgeBot
from edge_bot.telegram.profile import publish_profile
from generation_client import GenerationError
from runtime.wait import interruptible, is_set_within

LOOK_S = 60.0
"""How often the service is asked whether there is money, in seconds."""

RETRY_S = 2.0
"""How soon it is asked again while that is not known, in seconds."""

_logger = structlog.get_logger(__name__)


class Menu:
    """The published profile of one bot, and whether its commands about money are there."""

    def __init__(self, bot: EdgeBot, *, packs: PackCache, look_s: float = LOOK_S) -> None:
        self._bot, self._packs, self._look_s = bot, packs, look_s
        self._has_money: bool | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Publish the profile now, and again whenever there is money or no longer is."""
        while not stop.is_set():
            await interruptible(stop, self._look(stop))
            is_known = self._has_money is not None
            await is_set_within(stop, self._look_s if is_known else RETRY_S)

    async def _look(self, stop: asyncio.Event) -> None:
        try:
            has_money = (await self._packs.get()).is_on
        except GenerationError as error:
            # Published without knowing, it would lose its commands at each start.
            _logger.info("it is not known yet what is sold", error=str(error))
            return
        if has_money != self._has_money:
            await publish_profile(self._bot, stop=stop, has_money=has_money)
            self._has_money = has_money
