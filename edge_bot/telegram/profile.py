"""Publishes the bot's commands and descriptions."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, TypeAlias

import structlog
from telegram import Bot, BotCommand
from telegram.error import TelegramError

from edge_bot.view.language import LANGUAGES, SOURCE_LANGUAGE, Texts, texts
from runtime.backoff import Backoff
from runtime.wait import interruptible, is_set_within

_BACKOFF = Backoff(first_s=30.0, cap_s=1800.0)
"""Slow, since Telegram counts the changes."""

_Part: TypeAlias = "partial[Coroutine[Any, Any, None]]"
"""Publishes one part of the profile in one language; it wants the bot."""

_logger = structlog.get_logger(__name__)


async def publish_profile(
    bot: Bot, *, stop: asyncio.Event, backoff: Backoff = _BACKOFF, has_money: bool = False
) -> None:
    """Bring commands and descriptions up to date, in every language, however long that takes.

    Each part is published separately, so that one that is refused does not hold up the others.
    """
    parts = [part for language in LANGUAGES for part in _parts(language, has_money=has_money)]
    for delay_s in backoff:
        parts = await interruptible(stop, _refused(bot, parts)) or []
        if not parts:
            return
        if await is_set_within(stop, delay_s):
            return


async def _refused(bot: Bot, parts: Sequence[_Part]) -> list[_Part]:
    """Publish the parts and return those that Telegram did not take."""
    refused = []
    for part in parts:
        try:
            await part(bot)
        except TelegramError as error:
            _logger.warning(
                "a part of the bot's profile could not be updated",
                part=part.func.__name__.removeprefix("_publish_"),
                language=part.keywords["language"],
                error=str(error),
            )
            refused.append(part)
    return refused


def _parts(language: str, *, has_money: bool) -> tuple[_Part, ...]:
    methods = (_publish_commands, _publish_description, _publish_about)
    return tuple(partial(method, language=language, has_money=has_money) for method in methods)


# Each changes what differs only: Telegram allows few changes a day.


async def _publish_commands(bot: Bot, *, language: str, has_money: bool) -> None:
    commands, code = _commands(texts(language), has_money=has_money), _code(language)
    if await bot.get_my_commands(language_code=code) != commands:
        await bot.set_my_commands(commands, language_code=code)


async def _publish_description(bot: Bot, *, language: str, has_money: bool) -> None:
    description = _description(texts(language), has_money=has_money)
    code = _code(language)
    if (await bot.get_my_description(language_code=code)).description != description:
        await bot.set_my_description(description, language_code=code)


async def _publish_about(bot: Bot, *, language: str, has_money: bool) -> None:
    about = _about(texts(language), has_money=has_money)
    code = _code(language)
    if (await bot.get_my_short_description(language_code=code)).short_description != about:
        await bot.set_my_short_description(about, language_code=code)


def _code(language: str) -> str | None:
    """Return the language code for Telegram; None for the default texts."""
    return None if language == SOURCE_LANGUAGE else language


def _description(speak: Texts, *, has_money: bool) -> str:
    """Return what somebody reads before the first message; free models make pictures alone."""
    if has_money:
        return speak.plain(
            "I make pictures, videos, music and speech, and change the pictures and videos you "
            "send. Tell me what you would like."
        )
    return speak.plain(
        "I draw pictures from your words and change the ones you send. "
        "Describe what you would like to see."
    )


def _about(speak: Texts, *, has_money: bool) -> str:
    if has_money:
        return speak.plain("Pictures, videos, music and speech from your words and files.")
    return speak.plain("Pictures from words, and changes to your own.")


def _commands(speak: Texts, *, has_money: bool) -> tuple[BotCommand, ...]:
    sold = _money_commands(speak) if has_money else ()
    return (
        BotCommand("start", speak.plain("Start over")),
        BotCommand("models", speak.plain("Choose a model")),
        *sold[:3],
        BotCommand("help", speak.plain("How it works")),
        BotCommand("cancel", speak.plain("Cancel what is under way")),
        *sold[3:],
    )


def _money_commands(speak: Texts) -> tuple[BotCommand, ...]:
    """Return the commands about money, those that are used often first."""
    return (
        BotCommand("balance", speak.plain("Your balance")),
        BotCommand("topup", speak.plain("Buy credits")),
        BotCommand("receipts", speak.plain("Your receipts")),
        BotCommand("paysupport", speak.plain("Questions about a payment")),
        BotCommand("terms", speak.plain("Terms")),
    )
