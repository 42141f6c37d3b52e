"""Shows receipts, and sends them as files."""

from __future__ import annotations

from collections.abc import Sequence

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
)
from generation_client import translated


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
        seller_text = (await interaction.context.packs.get()).seller_text
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


def _gone(top_ups: Sequence[TopUp], language: str) -> Screen:
    screen = receipts_screen(top_ups, language, page=0)
    return Screen(paragraphs(receipt_gone(language), screen.text), screen.keyboard)
