"""Keeps the bot's menu of commands at what there is: those about money only where it is."""

from __future__ import annotations

import asyncio

import structlog

from edge_bot.pack.pack_cache import PackCache, Packs
from edge_bot.pack.seller import Seller
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

    def __init__(
        self, bot: EdgeBot, *, packs: PackCache, seller: Seller, look_s: float = LOOK_S
    ) -> None:
        self._bot, self._packs, self._seller, self._look_s = bot, packs, seller, look_s
        self._has_money: bool | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Publish the profile now, and again whenever there is money or no longer is."""
        while not stop.is_set():
            await interruptible(stop, self._look(stop))
            is_known = self._has_money is not None
            await is_set_within(stop, self._look_s if is_known else RETRY_S)

    async def _look(self, stop: asyncio.Event) -> None:
        try:
            packs = await self._packs.get()
        except GenerationError as error:
            # Published without knowing, it would lose its commands at each start.
            _logger.info("it is not known yet what is sold", error=str(error))
            return
        if packs.is_on != self._has_money:
            _warn(packs, seller=self._seller)
            await publish_profile(self._bot, stop=stop, has_money=packs.is_on)
            self._has_money = packs.is_on


def _warn(packs: Packs, *, seller: Seller) -> None:
    """Say what a bot that sells still lacks; it runs all the same, for payments are under way."""
    if not packs.is_on or seller.contact:
        return
    # Telegram asks of every bot that takes payments to help with them, and to say by which terms.
    log = _logger.error if packs.is_live else _logger.warning
    log(
        "this bot sells, and does not say where questions about payments go: set EDGE_SUPPORT to"
        " @name, https://… or an address of mail, which /paysupport shows"
    )
