"""The edge over HTTP: how it is, and in webhook mode the way in for updates.

Telegram proves itself twice: by the path and by a header, both derived from the bot's token, so
that every replica knows them and no setting can be wrong.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from telegram.error import InvalidToken, TelegramError

from edge_bot.telegram.bot import EdgeBot
from edge_bot.telegram.parse_update import parse_update
from edge_bot.telegram.token_health import TokenHealth
from edge_bot.update.dispatcher import Dispatcher
from edge_bot.update.polling import ALLOWED_UPDATES
from runtime.backoff import Backoff
from runtime.redaction import redact
from runtime.wait import interruptible, is_set_within

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
"""The header in which Telegram repeats the secret of setWebhook."""

MAX_BODY_BYTES = 1 << 20
"""The longest update that is read."""

MAX_WAIT_S = 25.0
"""How long one update is tried before Telegram is asked to send it again."""

_MAX_CONNECTIONS = 100
"""As many as Telegram makes: what waits for the service must keep no press from its answer."""

_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Secrets:
    """What proves that a request comes from Telegram."""

    path: str
    header: str

    @classmethod
    def of_token(cls, token: str) -> Secrets:
        """Derive them from the bot's token."""
        return cls(f"/telegram/{_derived(token, 'path')[:32]}", _derived(token, "header"))


class Webhook:
    """Takes updates over HTTP and answers when they are handled."""

    def __init__(
        self,
        *,
        bot: EdgeBot,
        dispatcher: Dispatcher,
        token_health: TokenHealth,
        max_wait_s: float = MAX_WAIT_S,
    ) -> None:
        self._bot, self._dispatcher, self._token_health = bot, dispatcher, token_health
        self._max_wait_s = max_wait_s
        self._secrets = Secrets.of_token(bot.token)
        self.is_registered = False
        """Whether Telegram knows where to send updates."""

    def route(self) -> Route:
        """Return the route that Telegram posts to."""
        return Route(self._secrets.path, self._receive, methods=["POST"])

    async def register(self, base_url: str, *, stop: asyncio.Event) -> None:
        """Tell Telegram where to send updates, until it has taken it."""
        redact(self._secrets.path, self._secrets.header)
        for delay_s in Backoff(first_s=1.0, cap_s=30.0):
            await interruptible(stop, self._token_health.wait_good())
            if stop.is_set() or await interruptible(stop, self._is_set(base_url)):
                return
            await is_set_within(stop, delay_s)

    async def _is_set(self, base_url: str) -> bool:
        try:
            self.is_registered = await self._bot.set_webhook(
                f"{base_url}{self._secrets.path}",
                secret_token=self._secrets.header,
                allowed_updates=ALLOWED_UPDATES,
                max_connections=_MAX_CONNECTIONS,
            )
        except InvalidToken:
            self._token_health.refuse()
        except TelegramError as error:
            _logger.warning("the webhook could not be set", error=str(error))
        return self.is_registered

    async def _receive(self, request: Request) -> Response:
        given = request.headers.get(SECRET_HEADER, "")
        if not hmac.compare_digest(given.encode(), self._secrets.header.encode()):
            return PlainTextResponse("forbidden\n", status_code=403)
        body = await _body(request)
        if body is None:
            return PlainTextResponse("too large\n", status_code=413)
        data = _parsed(body)
        if data is None:
            return PlainTextResponse("no update\n", status_code=400)
        update = parse_update(data, self._bot)
        if update is None:  # what is refused comes again, and holds back what is behind it
            return Response(status_code=200)
        is_settled = await self._dispatcher.settle(update, max_wait_s=self._max_wait_s)
        return Response(status_code=200 if is_settled else 503)


def create_app(*, is_ready: Callable[[], bool], routes: list[Route]) -> Starlette:
    """Build the edge's HTTP side: /healthz, /readyz and what else there is."""

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        ready = is_ready()
        return PlainTextResponse("ready\n" if ready else "not ready\n", 200 if ready else 503)

    return Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), *routes])


async def _body(request: Request) -> bytes | None:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
    return bytes(body)


def _parsed(body: bytes) -> dict[str, Any] | None:
    """Return a JSON object that has an update's number."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) and "update_id" in data else None


def _derived(token: str, purpose: str) -> str:
    return hmac.new(token.encode(), f"webhook {purpose}".encode(), hashlib.sha256).hexdigest()
