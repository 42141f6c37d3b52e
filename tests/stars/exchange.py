"""Calls of the Bot API and their answers, written down as they pass."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

from telegram import Bot
from telegram.request import HTTPXRequest, RequestData

from tests.integration.sandbox_telegram import TOKEN, Sandbox


@dataclass(frozen=True)
class Exchange:
    """One call and its answer; `fits` says whether they are of Telegram's shape."""

    method: str
    params: dict[str, Any]
    answer: dict[str, Any]
    fits: bool = True
    about: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Recorder(HTTPXRequest):
    """Sends what python-telegram-bot sends, and keeps it."""

    def __init__(self, exchanges: list[Exchange]) -> None:
        super().__init__(read_timeout=5)
        self._exchanges = exchanges

    async def do_request(self, *args: Any, **options: Any) -> tuple[int, bytes]:
        code, body = await super().do_request(*args, **options)
        data: RequestData | None = options["request_data"]
        params = data.parameters if data else {}
        name = options["url"].rpartition("/")[2]
        self._exchanges.append(Exchange(name, dict(params), json.loads(body)))
        return code, body


@asynccontextmanager
async def recording(telegram: Sandbox, exchanges: list[Exchange]) -> AsyncIterator[Bot]:
    """Use the sandbox with python-telegram-bot and keep every exchange."""
    bot = Bot(
        TOKEN,
        base_url=f"{telegram.url}/bot",
        request=Recorder(exchanges),
        get_updates_request=Recorder(exchanges),
    )
    async with bot:
        yield bot
