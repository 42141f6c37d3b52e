"""Shows the terms, and where questions about payments go."""

from __future__ import annotations

import structlog

from edge_bot.conversation.handler.receipt import top_ups_of
from edge_bot.conversation.interaction import Interaction
from edge_bot.view.support import support_screen, terms_screen

_logger = structlog.get_logger(__name__)


async def ask_support(interaction: Interaction, *, top_up_id: str = "") -> None:
    """Say where questions go, with this payment, else with the latest one."""
    top_ups = await top_ups_of(interaction)
    named = [each for each in top_ups if each.id == top_up_id] or top_ups
    top_up = next(iter(named), None)
    seller, seller_text = interaction.context.seller, await _seller_text(interaction)
    if not seller.contact:
        _logger.error(
            "a user asks about a payment, and EDGE_SUPPORT is empty",
            user_id=interaction.event.user_id,
            charge_id=top_up.external_id if top_up else "",
        )
    screen = support_screen(
        top_up,
        interaction.language,
        seller=seller,
        seller_text=seller_text,
        has_others=len(top_ups) > 1,
    )
    await interaction.reply(screen)


async def show_terms(interaction: Interaction) -> None:
    """Show the terms."""
    seller_text = await _seller_text(interaction)
    await interaction.show(terms_screen(interaction.language, seller_text=seller_text))


async def _seller_text(interaction: Interaction) -> str:
    return (await interaction.context.packs.get()).seller_text
