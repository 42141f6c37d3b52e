"""Wires the parts of the edge together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import structlog

from edge_bot.conversation.context import EdgeContext
from edge_bot.conversation.handle_update import apologize, handle_update, tell_untold
from edge_bot.conversation.missed import note_missed
from edge_bot.delivery.render import Renderer
from edge_bot.delivery.spool import MediaSpool
from edge_bot.delivery.worker import DeliveryTiming, DeliveryWorker
from edge_bot.metric import Meter
from edge_bot.pack.pack_cache import PackCache
from edge_bot.pack.seller import Seller
from edge_bot.payment.at_once import AtOnce
from edge_bot.payment.checkout import Checkout
from edge_bot.payment.menu import Menu
from edge_bot.payment.refund import RefundWorker
from edge_bot.payment.star_reader import StarReader
from edge_bot.service_clock import ServiceClock
from edge_bot.settings import EdgeSettings
from edge_bot.telegram.bot import EdgeBot, open_bot
from edge_bot.telegram.token_health import TokenHealth
from edge_bot.update.deferred import DeferredUpdates
from edge_bot.update.dispatcher import Dispatcher
from edge_bot.update.lease import PollingLease
from edge_bot.update.polling import Poller
from edge_bot.update.waiting_notice import WaitingNotice
from edge_bot.update.webhook import Webhook, create_app
from edge_bot.view.catalog import CatalogCache
from edge_bot.view.large_file import LargeFiles
from generation_client import GenerationClient, connect
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
        self._token_health = TokenHealth()
        context = _context(settings, bot=bot, client=client)
        clock = context.clock
        dispatcher = Dispatcher(
            partial(handle_update, context),
            acknowledge=AtOnce(bot, Checkout(bot, client, context.seller)),
            apologize=partial(apologize, context),
            meter=meter,
            waiting=WaitingNotice(bot),
        )
        lease = PollingLease(client, bot_id=settings.bot_id, clock=clock)
        self._menu = Menu(bot, packs=context.packs, seller=context.seller)
        self._refunds = _refund_worker(context, token_health=self._token_health)
        self._star_reader = _star_reader(
            context, settings, lease=lease, token_health=self._token_health
        )
        self._poller = Poller(
            bot=bot,
            dispatcher=dispatcher,
            lease=lease,
            deferred=DeferredUpdates(client, bot=bot, bot_id=settings.bot_id),
            token_health=self._token_health,
        )
        self._webhook = Webhook(bot=bot, dispatcher=dispatcher, token_health=self._token_health)
        self._worker = DeliveryWorker(
            bot=bot,
            bot_id=settings.bot_id,
            client=client,
            renderer=Renderer(
                context.spool, catalog=context.catalog, clock=clock, wallet=client.wallet
            ),
            note_missed=partial(note_missed, context),
            clock=clock,
            token_health=self._token_health,
            meter=meter,
            timing=DeliveryTiming(lease_s=settings.delivery_lease_s),
        )

    @property
    def is_ready(self) -> bool:
        """Whether Telegram accepts the bot and knows how to reach it."""
        return self._token_health.is_good and (not self._webhook_url or self._webhook.is_registered)

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
            group.create_task(self._worker.run(stop), name="deliveries")
            group.create_task(self._take_updates(stop), name="updates")
            group.create_task(self._token_health.watch(self._bot, stop=stop), name="token_health")
            group.create_task(self._menu.run(stop), name="profile")
            group.create_task(self._refunds.run(stop), name="refunds")
            group.create_task(self._star_reader.run(stop), name="stars")

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


def _context(settings: EdgeSettings, *, bot: EdgeBot, client: GenerationClient) -> EdgeContext:
    clock = ServiceClock()
    return EdgeContext(
        bot=bot,
        bot_id=settings.bot_id,
        client=client,
        catalog=CatalogCache(
            client.generation,
            service_clock=clock,
            large_files=LargeFiles(client, settings.bot_id),
        ),
        clock=clock,
        spool=MediaSpool(client, limit_bytes=settings.edge_spool_limit_mb * 1_000_000),
        packs=PackCache(client.wallet),
        seller=Seller(settings.telegram_host, settings.edge_support),
    )


def _refund_worker(context: EdgeContext, *, token_health: TokenHealth) -> RefundWorker:
    return RefundWorker(
        tell=partial(tell_untold, context),
        bot=context.bot,
        bot_id=context.bot_id,
        client=context.client,
        packs=context.packs,
        star_news=context.star_news,
        token_health=token_health,
    )


def _star_reader(
    context: EdgeContext, settings: EdgeSettings, *, lease: PollingLease, token_health: TokenHealth
) -> StarReader:
    return StarReader(
        bot=context.bot,
        bot_id=context.bot_id,
        client=context.client,
        packs=context.packs,
        seller=context.seller,
        lease=lease,
        is_polling=settings.telegram_webhook_url is None,
        news=context.star_news,
        token_health=token_health,
        heals=settings.edge_heal_stars,
        read_s=settings.star_read_s,
    )
