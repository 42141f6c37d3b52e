"""Adds to a review what its user has, and to its confirmation the price that is agreed to."""

from __future__ import annotations

from atelier.generation.v1.generation_service_pb2 import QuoteJobResponse
from edge_bot.conversation.handler.balance import wallet_of
from edge_bot.conversation.interaction import Interaction
from edge_bot.view.button import Generate
from edge_bot.view.charge_text import credits_of
from edge_bot.view.layout import Button, Rows, Screen, paragraphs
from edge_bot.view.money_button import Agree
from edge_bot.view.top_up import missing_credits, missing_rows, price_lines


async def priced(interaction: Interaction, screen: Screen, *, quote: QuoteJobResponse) -> Screen:
    """Return a review with the balance, and with the buttons to buy what is missing.

    The confirmation carries the price that it was shown with, so that no other one is charged.
    """
    packs = await interaction.context.packs.get()
    price = credits_of(quote.price)
    if not packs.is_on or not price:
        return screen
    wallet = await wallet_of(interaction)
    language, missing = interaction.language, missing_credits(price, wallet)
    offer = (
        missing_rows(missing, language, packs=packs) if missing and not wallet.is_blocked else ()
    )
    text = paragraphs(screen.text, price_lines(price, language, wallet=wallet, packs=packs))
    return Screen(text, (*offer, *_agreeing(screen.keyboard, price)))


def _agreeing(rows: Rows, price: int) -> Rows:
    return tuple(tuple(_agreed(each, price) for each in row) for row in rows)


def _agreed(button: Button, price: int) -> Button:
    if not isinstance(button.action, Generate):
        return button
    return Button(button.label, Agree(button.action.draft, price))
