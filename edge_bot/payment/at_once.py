"""Does about an update what must not wait for its turn."""

from __future__ import annotations

from telegram import Update

from edge_bot.payment.checkout import Checkout
from edge_bot.telegram.acknowledge import acknowledge
from edge_bot.telegram.bot import EdgeBot


class AtOnce:
    """Acknowledges presses and answers checkouts."""

    def __init__(self, bot: EdgeBot, checkout: Checkout) -> None:
        self._bot, self._checkout = bot, checkout

    async def __call__(self, update: Update) -> None:
        """Answer what Telegram wants answered within seconds; other updates are left alone."""
        if update.pre_checkout_query is not None:
            await self._checkout(update)
        else:
            await acknowledge(self._bot, update)
