"""Shows receipts, and where questions about payments go."""

from __future__ import annotations

from collections.abc import Sequence

from atelier.wallet.v1 import wallet_service_pb2 as pb
from atelier.wallet.v1.top_up_pb2 import TopUp
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

PAGE_SIZE = 100
MAX_PAGES = 5
"""How many of the latest top-ups the chat shows, in pages; nobody pays that often."""


async def top_ups_of(interaction: Interaction) -> Sequence[TopUp]:
    """Return the user's top-ups, the latest first; raises GenerationError."""
    found: list[TopUp] = []
    request = pb.ListTopUpsRequest(owner=interaction.owner, page_size=PAGE_SIZE)
    with translated():
        for _ in range(MAX_PAGES):
            answer = await interaction.context.client.wallet.ListTopUps(request)
            found += answer.top_ups
            request.page_token = answer.next_page_token
            if not request.page_token:
                break
    return found


async def show_receipts(interaction: Interaction, *, page: int) -> None:
    """Show a page of the top-ups."""
    top_ups = await top_ups_of(interaction)
    await interaction.show(receipts_screen(top_ups, interaction.language, page=page))


async def show_receipt(interaction: Interaction, action: ShowReceipt) -> None:
    """Show the receipt of a top-up."""
    top_ups = await top_ups_of(interaction)
    found = next((each for each in top_ups if each.id == action.top_up_id), None)
    language = interaction.language
    if found is None:
        screen = receipts_screen(top_ups, language, page=0)
        screen = Screen(paragraphs(receipt_gone(language), screen.text), screen.keyboard)
    else:
        screen = receipt_screen(found, language, seller=interaction.context.seller)
    await (interaction.reply(screen) if action.is_apart else interaction.show(screen))


async def ask_support(interaction: Interaction, *, top_up_id: str = "") -> None:
    """Say where questions go, with this payment, else with the latest one."""
    top_ups = await top_ups_of(interaction)
    named = [each for each in top_ups if each.id == top_up_id] or top_ups
    top_up = next(iter(named), None)
    screen = support_screen(
        top_up,
        interaction.language,
        seller=interaction.context.seller,
        has_others=len(top_ups) > 1,
    )
    await interaction.reply(screen)


async def show_terms(interaction: Interaction) -> None:
    """Show the terms."""
    await interaction.show(terms_screen(interaction.language, seller=interaction.context.seller))
