"""What Telegram shows about the bot before a word is said: commands and descriptions."""

from __future__ import annotations

import asyncio

import structlog
from telegram import Bot, BotCommand
from telegram.error import TelegramError

from edge_bot.interrupt import interruptible
from edge_bot.language import LANGUAGES, SOURCE_LANGUAGE, Texts, texts

_logger = structlog.get_logger(__name__)


async def publish_profile(bot: Bot, *, stop: asyncio.Event) -> None:
    """Bring commands and descriptions up to date, in every language; a failure only costs them."""
    try:
        for language in LANGUAGES:
            await interruptible(stop, _publish(bot, language))
    except TelegramError as error:
        _logger.warning("the bot's profile was not brought up to date", error=str(error))


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
