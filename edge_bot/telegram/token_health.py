"""How the edge stands with Telegram: whether its token is known there."""

from __future__ import annotations

import asyncio

import structlog
from telegram import Bot
from telegram.error import InvalidToken, TelegramError

from runtime.wait import interruptible, is_set_within

_logger = structlog.get_logger(__name__)


class TokenHealth:
    """Good until Telegram refuses the token; while it is bad, nothing is leased or polled."""

    def __init__(self, *, check_s: float = 30.0) -> None:
        self._check_s = check_s
        self._good, self._bad = asyncio.Event(), asyncio.Event()
        self._good.set()

    @property
    def is_good(self) -> bool:
        """Whether Telegram accepts the token, as far as is known."""
        return self._good.is_set()

    def refuse(self) -> None:
        """Note that Telegram refused the token."""
        if self.is_good:
            _logger.error("Telegram refuses the bot token; set TELEGRAM_BOT_TOKEN anew")
        self._good.clear()
        self._bad.set()

    def accept(self) -> None:
        """Note that Telegram accepts the token."""
        if not self.is_good:
            _logger.info("Telegram accepts the bot token again")
        self._bad.clear()
        self._good.set()

    async def wait_good(self) -> None:
        """Wait until Telegram accepts the token."""
        await self._good.wait()

    async def watch(self, bot: Bot, *, stop: asyncio.Event) -> None:
        """Ask Telegram now and then while the token is refused, until `stop` is set."""
        while not stop.is_set():
            await interruptible(stop, self._bad.wait())
            await is_set_within(stop, self._check_s)
            if not stop.is_set():
                await self._check(bot)

    async def _check(self, bot: Bot) -> None:
        try:
            await bot.get_me()
        except InvalidToken:
            _logger.debug("the bot token is still refused")
        except TelegramError as error:
            _logger.warning("cannot ask Telegram about the bot token", error=str(error))
        else:
            self.accept()
