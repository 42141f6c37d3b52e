"""The client of the Bot API."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from telegram import LinkPreviewOptions
from telegram.ext import Defaults, ExtBot
from telegram.request import HTTPXRequest

from edge_bot.settings import EdgeSettings
from edge_bot.telegram.body import bounded
from edge_bot.telegram.limiter import ChatLimiter
from edge_bot.telegram.parse_update import PollRequest

# Otherwise python-telegram-bot warns, whenever Telegram answers 429, that it will give timedeltas.
os.environ.setdefault("PTB_TIMEDELTA", "1")

EdgeBot = ExtBot[float]
"""The client; `rate_limit_args` of its methods is the longest wait of `ChatLimiter`."""


@asynccontextmanager
async def open_bot(settings: EdgeSettings) -> AsyncIterator[EdgeBot]:
    """Open a client; it does not ask Telegram anything, which may be away."""
    # Read once for both: the authorities take time to read, and each reading takes memory.
    tls = httpx.create_ssl_context()
    calls = HTTPXRequest(
        connection_pool_size=128,
        connect_timeout=5,
        pool_timeout=5,
        write_timeout=10,
        media_write_timeout=30,
        read_timeout=20,
        httpx_kwargs={**bounded(), "verify": tls},
    )
    # Long polls wait on connections of their own, so that a full pool cannot stop them.
    polls = PollRequest(
        connection_pool_size=2,
        connect_timeout=5,
        pool_timeout=5,
        read_timeout=10,
        httpx_kwargs={**bounded(), "verify": tls},
    )
    async with calls, polls:
        yield ExtBot(
            settings.telegram_bot_token.get_secret_value(),
            base_url=f"{settings.telegram_api_url}/bot",
            base_file_url=f"{settings.telegram_api_url}/file/bot",
            request=calls,
            get_updates_request=polls,
            # A prompt may hold a link, whose preview would push the picture out of sight.
            defaults=Defaults(link_preview_options=LinkPreviewOptions(is_disabled=True)),
            rate_limiter=ChatLimiter(),
        )
