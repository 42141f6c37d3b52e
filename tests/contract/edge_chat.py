"""A user who talks with the edge's handlers through a sandbox Telegram."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from telegram import LinkPreviewOptions, Update
from telegram.ext import Defaults, ExtBot
from telegram.request import HTTPXRequest

from atelier.generation.v1.model_pb2 import Model
from edge_bot.conversation.context import EdgeContext
from edge_bot.conversation.handle_update import handle_update
from edge_bot.delivery.spool import MediaSpool
from edge_bot.pack.pack_cache import PackCache
from edge_bot.pack.seller import Seller
from edge_bot.payment.at_once import AtOnce
from edge_bot.payment.checkout import Checkout
from edge_bot.service_clock import ServiceClock
from edge_bot.telegram.bot import EdgeBot
from edge_bot.telegram.limiter import ChatLimiter, RateLimit
from edge_bot.view.catalog import CatalogCache
from generation_client import connect
from tests.contract.edge_job import JobService, serving_jobs
from tests.edge_model import USER
from tests.integration.sandbox_telegram import TOKEN, Json, Sandbox, sandbox

BOT_ID = int(TOKEN.partition(":")[0])


@dataclass
class Chat:
    """One user's chat; what the user does is handled at once."""

    telegram: Sandbox
    service: JobService
    context: EdgeContext
    handled: list[Update] = field(default_factory=list)
    _offset: int = 0

    async def updates(self) -> list[Update]:
        """Take the updates that wait."""
        waiting = await self.context.bot.get_updates(offset=self._offset)
        if waiting:
            self._offset = waiting[-1].update_id + 1
        return list(waiting)

    async def pump(self) -> None:
        """Handle the updates that wait."""
        for update in await self.updates():
            self.handled.append(update)
            await self._at_once(update)
            await handle_update(self.context, update)

    async def _at_once(self, update: Update) -> None:
        context = self.context
        checkout = Checkout(context.bot, context.client, context.seller)
        await AtOnce(context.bot, checkout)(update)

    async def force(self, **update: Any) -> None:
        """Have an update come that no user of the sandbox can cause."""
        url = f"/sandbox/updates?bot={BOT_ID}"
        assert (await self.telegram.http.post(url, json=[update])).is_success
        await self.pump()

    async def repeat(self) -> None:
        """Handle the latest update again, as after a kill."""
        await handle_update(self.context, self.handled[-1])

    async def say(self, text: str = "", **fields: Any) -> None:
        await self.telegram.say(USER, text, **fields)
        await self.pump()

    async def press(self, label: str, *, message: Json | None = None) -> str:
        """Press the button with this label, by default of the last message; return the query."""
        message = message or await self.last()
        data = next(data for shown, data in buttons(message) if label in shown)
        return await self.press_data(data, message_id=message["message_id"])

    async def press_data(self, data: str, *, message_id: int) -> str:
        """Press a button that the message may no longer have."""
        url = f"/sandbox/chats/{USER}/press"
        body = {"message_id": message_id, "data": data, "force": True}
        response = await self.telegram.http.post(url, json=body)
        assert response.status_code == 200, response.text
        await self.pump()
        return str(response.json()["callback_query_id"])

    async def answer(self, query_id: str) -> Json | None:
        """Return how a press was answered."""
        response = await self.telegram.http.get(f"/sandbox/callbacks/{query_id}")
        assert response.status_code == 200, response.text
        answer: Json | None = response.json()["answer"]
        return answer

    async def from_bot(self) -> list[Json]:
        messages = await self.telegram.messages(USER)
        return [message for message in messages if message["from"]["is_bot"]]

    async def message(self, message_id: int) -> Json:
        """Return a message of the bot."""
        return next(each for each in await self.from_bot() if each["message_id"] == message_id)

    async def last(self) -> Json:
        return (await self.from_bot())[-1]

    async def last_text(self) -> str:
        message = await self.last()
        return str(message.get("text") or message.get("caption", ""))

    async def labels(self) -> list[str]:
        return [label for label, _ in buttons(await self.last())]

    @property
    def session(self) -> bytes:
        return self.service.edge.sessions[f"chat:{USER}"].data


def buttons(message: Json) -> list[tuple[str, str]]:
    rows = message.get("reply_markup", {}).get("inline_keyboard", [])
    return [
        (button["text"], button["callback_data"])
        for row in rows
        for button in row
        if "callback_data" in button
    ]


@asynccontextmanager
async def chatting(
    *, language: str = "en", models: Sequence[Model] = (), is_sold: bool = False, **telegram: Any
) -> AsyncIterator[Chat]:
    """Chat with an edge of a stand-in for the service, where credits are sold or are not."""
    async with serving_jobs() as service:
        service.wallet.is_off = not is_sold
        service.generation.models = tuple(models) or service.generation.models
        address = f"127.0.0.1:{service.port}"
        async with chatting_at(address, service=service, language=language, **telegram) as chat:
            yield chat


@asynccontextmanager
async def chatting_at(
    address: str,
    *,
    service: JobService | None = None,
    language: str = "en",
    seller: Seller = Seller("127.0.0.1"),  # noqa: B008 - an immutable value
    **telegram: Any,
) -> AsyncIterator[Chat]:
    """Chat with an edge of the service at an address; of the real one there is no stand-in."""
    async with (
        sandbox(**telegram) as running,
        _hasty_bot(running.url) as bot,
        connect(address) as client,
    ):
        clock = ServiceClock()
        catalog = CatalogCache(client.generation, service_clock=clock)
        spool = MediaSpool(client, limit_bytes=10**9)
        context = EdgeContext(
            bot=bot,
            bot_id=BOT_ID,
            client=client,
            catalog=catalog,
            clock=clock,
            spool=spool,
            packs=PackCache(client.wallet, fresh_s=0),
            seller=seller,
        )
        chat = Chat(running, service or JobService(), context)
        await running.started(USER, language_code=language)
        await chat.pump()
        yield chat


def _plain_request() -> HTTPXRequest:
    """Return a client that reads no certificates, which takes longer than a test."""
    return HTTPXRequest(httpx_kwargs={"verify": False})


def _hasty_bot(url: str) -> EdgeBot:
    """Return a client that does not keep Telegram's rate limit, which would make tests slow."""
    return ExtBot(
        TOKEN,
        base_url=f"{url}/bot",
        base_file_url=f"{url}/file/bot",
        request=_plain_request(),
        get_updates_request=_plain_request(),
        defaults=Defaults(link_preview_options=LinkPreviewOptions(is_disabled=True)),
        rate_limiter=ChatLimiter(
            chat=lambda: RateLimit(interval_s=0, burst=1), overall=RateLimit(interval_s=0, burst=1)
        ),
    )
