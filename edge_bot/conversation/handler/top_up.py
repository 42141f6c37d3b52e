"""Sells packs, and answers what Telegram says of payments."""

from __future__ import annotations

import structlog
from telegram import LabeledPrice

from atelier.wallet.v1 import top_up_pb2
from atelier.wallet.v1 import wallet_service_pb2 as pb
from atelier.wallet.v1.top_up_pb2 import Pack
from atelier.wallet.v1.transfer_pb2 import TRANSFER_KIND_DEBT_PAYMENT
from atelier.wallet.v1.wallet_pb2 import Wallet
from edge_bot.conversation.draft import Stage, stage_of
from edge_bot.conversation.event import Credited, Returned, Uncredited
from edge_bot.conversation.handler.balance import wallet_of
from edge_bot.conversation.handler.quote import quoted_screen
from edge_bot.conversation.handler.receipt import top_ups_of
from edge_bot.conversation.interaction import Interaction
from edge_bot.conversation.session import Draft
from edge_bot.pack.payload import CURRENCY, Payload
from edge_bot.view.layout import Screen
from edge_bot.view.top_up import (
    credited_screen,
    invoice_of,
    packs_screen,
    returned_screen,
    uncredited_screen,
)
from generation_client import translated

START = "topup"
"""What the link of a forwarded invoice says to the bot: only a copy without it could be paid."""

PAGE_SIZE = 20
"""Among how many of the latest transfers it is looked for how much of a top-up paid a debt."""

_TAKEN = (
    top_up_pb2.TOP_UP_STATE_REFUNDING,
    top_up_pb2.TOP_UP_STATE_REFUNDED,
    top_up_pb2.TOP_UP_STATE_CHARGED_BACK,
)

_logger = structlog.get_logger(__name__)


async def show_packs(interaction: Interaction, *, is_apart: bool = False) -> None:
    """Show what is sold."""
    packs = await interaction.context.packs.get()
    screen = packs_screen(packs, interaction.language, wallet=await wallet_of(interaction))
    await (interaction.reply(screen) if is_apart else interaction.show(screen))


async def buy_pack(interaction: Interaction, pack_id: str) -> None:
    """Send the invoice of a pack; of one that is no longer sold the others are shown."""
    pack = (await interaction.context.packs.get()).find(pack_id)
    if pack is None:
        await show_packs(interaction, is_apart=True)
        return
    if interaction.is_answered:
        return
    sent_id = await _send_invoice(interaction, pack)
    await interaction.note_reply(sent_id, language=interaction.language)


async def answer_payment(interaction: Interaction, event: Credited | Uncredited | Returned) -> None:
    """Say what became of a payment, once: its update may come to two edges at the same time."""
    await interaction.claim()
    match event:
        case Credited():
            await _answer_credited(interaction, event)
            return
        case Uncredited():
            screen = uncredited_screen(event.charge_id, interaction.language)
        case Returned():
            screen = await _returned_screen(interaction, event)
    await interaction.reply(screen)


async def _answer_credited(interaction: Interaction, event: Credited) -> None:
    """Say that a payment is credited, and bring the draft that waits, one press from its job."""
    draft = _waiting(interaction)
    # Asked for beforehand: what fails is done again as a whole.
    review = await quoted_screen(interaction, draft) if draft else None
    screen = await _credited_screen(interaction, event, draft=draft)
    await interaction.reply(screen)
    # A process that is killed here leaves the button that brings the draft.
    if review is not None:
        await interaction.send(review)


async def _credited_screen(
    interaction: Interaction, event: Credited, *, draft: Draft | None
) -> Screen:
    """Return that a payment is credited, with the way back to the draft that waits."""
    return credited_screen(
        amount=event.credits,
        paid_debt=await _paid_debt(interaction, event),
        wallet=Wallet(balance=event.balance, debt=event.debt),
        top_up_id=event.top_up_id,
        number=event.receipt_number,
        draft=draft.tag if draft else "",
        language=interaction.language,
    )


async def _returned_screen(interaction: Interaction, event: Returned) -> Screen:
    """Return that a payment went back.

    One that Telegram took back is found in its own list: the edge has no right to take credits.
    """
    is_on = (await interaction.context.packs.get()).is_on
    top_ups = await top_ups_of(interaction) if is_on else ()
    states = [each.state for each in top_ups if each.external_id == event.charge_id]
    is_taken = event.is_taken or any(state in _TAKEN for state in states)
    if not is_taken:
        _logger.warning("Telegram returned a payment by itself", charge_id=event.charge_id)
        interaction.context.star_news.set()
    return returned_screen(
        stars=event.amount,
        is_taken=is_taken,
        wallet=await wallet_of(interaction) if is_on else None,
        language=interaction.language,
    )


async def _send_invoice(interaction: Interaction, pack: Pack) -> int:
    words = invoice_of(pack.credits, interaction.language)
    message = await interaction.context.bot.send_invoice(
        interaction.event.chat_id,
        title=words.title,
        description=words.description,
        payload=Payload(pack.id, interaction.event.user_id).text(),
        currency=CURRENCY,
        prices=[LabeledPrice(words.title, pack.stars)],
        start_parameter=START,
    )
    return message.message_id


async def _paid_debt(interaction: Interaction, event: Credited) -> int:
    """Return how much of a top-up paid a debt."""
    request = pb.ListTransfersRequest(owner=interaction.owner, page_size=PAGE_SIZE)
    with translated():
        answer = await interaction.context.client.wallet.ListTransfers(request)
    caused = [each for each in answer.transfers if each.cause_id == event.top_up_id]
    if not any(each.kind == TRANSFER_KIND_DEBT_PAYMENT for each in caused):
        return 0
    return event.credits - sum(each.amount for each in caused)


def _waiting(interaction: Interaction) -> Draft | None:
    """Return the draft that only waits to be confirmed and paid for, if there is one."""
    draft = interaction.session.draft
    model = interaction.catalog.find(draft.model_id) if draft else None
    if draft is None or draft.job_id or model is None or model.pricing.is_free:
        return None
    return draft if stage_of(draft, interaction.catalog) is Stage.CONFIRM else None
