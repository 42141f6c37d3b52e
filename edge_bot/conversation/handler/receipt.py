"""Shows receipts, and where questions about payments go."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from atelier.wallet.v1 import wallet_service_pb2 as pb
from atelier.wallet.v1.top_up_pb2 import TopUp
from edge_bot.conversation.handler.list_page import latest_pages
from edge_bot.conversation.interaction import Interaction
from edge_bot.view.layout import Screen, paragraphs
from edge_bot.view.money_button import ShowReceipt
from edge_bot.view.receipt import (
    receipt_gone,
    receipt_screen,
    receipts_screen,
    support_screen,
    terms_screen,
)
from generation_client import translated

_logger = structlog.get_logger(__name__)


async def top_ups_of(interaction: Interaction) -> Sequence[TopUp]:
    """Return the user's top-ups, the latest first; raises GenerationError."""
    request = pb.ListTopUpsRequest(owner=interaction.owner)
    pages = latest_pages(interaction.context.client.wallet.ListTopUps, request)
    return [each async for page in pages for each in page.top_ups]


async def show_receipts(interaction: Interaction, *, page: int) -> None:
    """Show a page of the top-ups."""
    top_ups = await top_ups_of(interaction)
    await interaction.show(receipts_screen(top_ups, interaction.language, page=page))


async def show_receipt(interaction: Interaction, action: ShowReceipt) -> None:
    """Show the receipt of a top-up."""
    top_ups = await top_ups_of(interaction)
    found = next((each for each in top_ups if each.id == action.top_up_id), None)
    if found is None:
        screen = _gone(top_ups, interaction.language)
    else:
        seller_text = await _seller_text(interaction)
        screen = receipt_screen(found, interaction.language, seller_text=seller_text)
    await (interaction.reply(screen) if action.is_apart else interaction.show(screen))


async def send_receipt(interaction: Interaction, top_up_id: str) -> None:
    """Send the receipt of one of the user's top-ups as a file."""
    top_ups = await top_ups_of(interaction)
    if top_up_id not in {each.id for each in top_ups}:
        await interaction.show(_gone(top_ups, interaction.language))
        return
    if interaction.is_answered:
        return
    request = pb.GetReceiptRequest(top_up_id=top_up_id, language_code=interaction.language)
    with translated():
        made = await interaction.context.client.wallet.GetReceipt(request)
    await interaction.send_file(made.data, name=made.file_name)


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


def _gone(top_ups: Sequence[TopUp], language: str) -> Screen:
    screen = receipts_screen(top_ups, language, page=0)
    return Screen(paragraphs(receipt_gone(language), screen.text), screen.keyboard)
