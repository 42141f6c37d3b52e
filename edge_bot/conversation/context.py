"""The dependencies of every handler."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from edge_bot.delivery.spool import MediaSpool
from edge_bot.pack.pack_cache import PackCache
from edge_bot.pack.seller import Seller
from edge_bot.service_clock import ServiceClock
from edge_bot.telegram.bot import EdgeBot
from edge_bot.view.catalog import CatalogCache
from generation_client import GenerationClient


@dataclass(frozen=True, slots=True)
class EdgeContext:
    """The bot and the service behind it."""

    bot: EdgeBot
    bot_id: int
    """The digits before the colon of the bot's token."""
    client: GenerationClient
    catalog: CatalogCache
    clock: ServiceClock
    spool: MediaSpool
    packs: PackCache
    seller: Seller
    star_news: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when Telegram's list of Stars should be read at once."""
    late_payments: set[str] = field(default_factory=set)
    """The charges of payments whose users know that they are late."""
    sent_replies: dict[str, int] = field(default_factory=dict)
    """The messages that this process answered with last, by the origin of what they answer."""
