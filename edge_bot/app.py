"""The edge, put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import structlog

from edge_bot.bot import EdgeBot, open_bot
from edge_bot.catalog import CatalogCache
from edge_bot.context import EdgeContext
from edge_bot.delivery import Courier, Rhythm
from edge_bot.dispatch import Dispatcher
from edge_bot.handler import acknowledge, apologize, handle_update
from edge_bot.lease import PollingLease
from edge_bot.meter import Meter
from edge_bot.packing import Packer
from edge_bot.parking import Parking
from edge_bot.profile import publish_profile
from edge_bot.service_clock import ServiceClock
from edge_bot.settings import EdgeSettings
from edge_bot.standing import Standing
from edge_bot.update import Poller
from edge_bot.webhook import Webhook, create_app
from generation_svc.client import GenerationClient, connect
from runtime.address import Address
from runtime.http import serving

_logger = structlog.get_logger(__name__)


class Edge:
    """The parts of one edge, wired to its bot and the service."""

    def __init__(
        self, settings: EdgeSettings, *, bot: EdgeBot, client: GenerationClient, meter: Meter
    ) -> None:
        self._webhook_url = settings.telegram_webhook_url
        self._bot = bot
        self._standing = Standing()
        clock = ServiceClock()
        catalog = CatalogCache(client.generation, service_clock=clock)
        context = EdgeContext(
            bot=bot,
            bot_id=settings.bot_id,
            client=client,
            catalog=catalog,
            clock=clock,
        )
        dispatcher = Dispatcher(
            partial(handle_update, context),
            acknowledge=partial(acknowledge, bot),
            apologize=partial(apologize, context),
            meter=meter,
        )
        self._poller = Poller(
            bot=bot,
            dispatcher=dispatcher,
            lease=PollingLease(client, bot_id=settings.bot_id, clock=clock),
            parking=Parking(client, bot=bot, bot_id=settings.bot_id),
            standing=self._standing,
        )
        self._webhook = Webhook(bot=bot, dispatcher=dispatcher, standing=self._standing)
        self._courier = Courier(
            bot=bot,
            bot_id=settings.bot_id,
            client=client,
            packer=Packer(client, catalog=catalog, clock=clock),
            clock=clock,
            standing=self._standing,
            meter=meter,
            rhythm=Rhythm(lease_s=settings.delivery_lease_s),
        )

    @property
    def is_ready(self) -> bool:
        """Whether Telegram accepts the bot and knows how to reach it."""
        return self._standing.is_good and (not self._webhook_url or self._webhook.is_registered)

    @asynccontextmanager
    async def listening(self, address: Address) -> AsyncIterator[Address]:
        """Answer over HTTP while the context is open and yield the address."""
        routes = [self._webhook.route()] if self._webhook_url else []
        app = create_app(is_ready=lambda: self.is_ready, routes=routes)
        async with serving(app, address) as bound:
            yield bound

    async def run(self, stop: asyncio.Event) -> None:
        """Take updates and send deliveries until `stop` is set."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._courier.run(stop), name="deliveries")
            group.create_task(self._take_updates(stop), name="updates")
            group.create_task(self._standing.watch(self._bot, stop=stop), name="standing")
            group.create_task(publish_profile(self._bot, stop=stop), name="profile")

    async def _take_updates(self, stop: asyncio.Event) -> None:
        if self._webhook_url:
            await self._webhook.register(self._webhook_url, stop=stop)
        else:
            await self._poller.run(stop)


async def serve(settings: EdgeSettings, *, stop: asyncio.Event, meter: Meter) -> None:
    """Run the edge until `stop` is set; raises StartError."""
    async with AsyncExitStack() as stack:
        bot = await stack.enter_async_context(open_bot(settings))
        client = await stack.enter_async_context(
            connect(
                settings.generation_address,
                token=settings.generation_token,
                transport=settings.transport,
            )
        )
        edge = Edge(settings, bot=bot, client=client, meter=meter)
        address = await stack.enter_async_context(edge.listening(settings.edge_listen))
        _logger.info(
            "listening",
            address=str(address),
            bot_id=settings.bot_id,
            updates="webhook" if settings.telegram_webhook_url else "long polling",
        )
        await edge.run(stop)
