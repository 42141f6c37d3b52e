"""What Telegram shows about the bot before a word is said: commands and descriptions."""

from __future__ import annotations

import asyncio

import structlog
from telegram import Bot, BotCommand
from telegram.error import TelegramError

from edge_bot.interrupt import interruptible, pause
from edge_bot.language import LANGUAGES, SOURCE_LANGUAGE, Texts, texts
from runtime.backoff import Backoff

_BACKOFF = Backoff(first_s=30.0, cap_s=1800.0)
"""Slow, since Telegram counts the changes."""

_logger = structlog.get_logger(__name__)


async def publish_profile(bot: Bot, *, stop: asyncio.Event, backoff: Backoff = _BACKOFF) -> None:
    """Bring commands and descriptions up to date, in every language, however long that takes."""
    for delay_s in backoff:
        try:
            await interruptible(stop, _publish_all(bot))
        except TelegramError as error:
            _logger.info("the bot's profile is not up to date", error=str(error))
        else:
            return
        await pause(stop, delay_s)
        if stop.is_set():
            return


async def _publish_all(bot: Bot) -> None:
    for language in LANGUAGES:
        await _publish(bot, language)


async def _publish(bot: Bot, language: str) -> None:
    """Change what differs: Telegram allows few changes a day."""
    # The texts for no language in particular are those of everyone whose language we lack.
    code = None if language == SOURCE_LANGUAGE else language
    speak = texts(language)
    commands = _commands(speak)
    if await bot.get_my_commands(language_code=code) != commands:
        await bot.set_my_commands(commands, language_code=code)
    description = speak.plain(
        "I draw pictures from your words and change the ones you send. "
        "Describe what you would like to see."
    )
    if (await bot.get_my_description(language_code=code)).description != description:
        await bot.set_my_description(description, language_code=code)
    about = speak.plain("Pictures from words, and changes to your own.")
    if (await bot.get_my_short_description(language_code=code)).short_description != about:
        await bot.set_my_short_description(about, language_code=code)


def _commands(speak: Texts) -> tuple[BotCommand, ...]:
    return (
        BotCommand("start", speak.plain("Start over")),
        BotCommand("models", speak.plain("Choose a model")),
        BotCommand("help", speak.plain("How it works")),
        BotCommand("cancel", speak.plain("Cancel what is under way")),
    )
