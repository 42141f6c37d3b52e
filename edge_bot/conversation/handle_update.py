"""Dispatches an update to its handler."""

from __future__ import annotations

from collections.abc import Awaitable

import structlog
from telegram import Chat, Update
from telegram.constants import ParseMode
from telegram.error import BadRequest, Forbidden

from atelier.wallet.v1.top_up_pb2 import TopUp
from edge_bot.conversation.context import EdgeContext
from edge_bot.conversation.event import (
    Clip,
    Command,
    Credited,
    Event,
    GroupCall,
    Paid,
    Picture,
    Press,
    Returned,
    Text,
    Unblocked,
    Uncredited,
    Unsupported,
    WrongFile,
    read_event,
)
from edge_bot.conversation.handler.group import answer_group_call
from edge_bot.conversation.handler.late_payment import recorded
from edge_bot.conversation.handler.message import (
    answer_clip,
    answer_command,
    answer_notice,
    answer_picture,
    answer_text,
    answer_wrong_file,
)
from edge_bot.conversation.handler.missed import offer_missed
from edge_bot.conversation.handler.press import answer_press
from edge_bot.conversation.handler.top_up import answer_payment
from edge_bot.conversation.interaction import Interaction
from edge_bot.conversation.payment import untold_event
from edge_bot.conversation.session_store import SessionConflict, load_session
from edge_bot.telegram.error import is_chat_gone
from edge_bot.view import notice
from edge_bot.view.button import DraftAction, PickModel
from edge_bot.view.input_form import ModelUnopened
from generation_client import translated

MAX_CONFLICTS = 5
"""How often an interaction begins again because someone else wrote the session."""

log = structlog.get_logger(__name__)


async def handle_update(context: EdgeContext, update: Update) -> None:
    """Answer what a user did; harmless to repeat.

    Raises GenerationError or TelegramError: after a transient one the update is handled again,
    after any other the user gets an apology.
    """
    event = read_event(update)
    if event is None:
        return
    correlation_id = f"telegram-{context.bot_id}-{update.update_id}"
    with structlog.contextvars.bound_contextvars(correlation_id=correlation_id):
        await _reach(context, event)


async def tell_untold(context: EdgeContext, top_up: TopUp) -> None:
    """Tell an owner of a payment that no update told of; harmless to repeat.

    Raises GenerationError, TelegramError, SessionConflict and ClaimConflict.
    """
    service, _, number = top_up.owner.partition(":")
    if service != "telegram" or not number.isdecimal():  # credited by an operator, to no user
        return
    user_id = int(number)
    with translated():
        session = (await load_session(context, user_id)).session
        event = await untold_event(context, top_up, user_id=user_id, language=session.language)
    await _reach(context, event)


async def _reach(context: EdgeContext, event: Event) -> None:
    try:
        with translated():
            await _converse(context, event)
    except (Forbidden, BadRequest) as error:
        # A user who has blocked the bot is reached neither by a repetition nor by an apology.
        if isinstance(error, BadRequest) and not is_chat_gone(error):
            raise
        log.info("the user cannot be reached", error=str(error))


async def apologize(context: EdgeContext, update: Update) -> None:
    """Tell the user that an update could not be handled."""
    chat, user = update.effective_chat, update.effective_user
    if update.my_chat_member is not None:  # nothing was asked for
        return
    if chat is None or user is None or chat.type != Chat.PRIVATE:
        return
    text = notice.apology(user.language_code or "")
    await context.bot.send_message(chat.id, text, parse_mode=ParseMode.HTML)


async def _converse(context: EdgeContext, event: Event) -> None:
    if isinstance(event, GroupCall):
        await answer_group_call(context, event)
        return
    if isinstance(event, Paid):
        is_private, event = event.is_private, await recorded(context, event)
        if not is_private:  # there is nobody to be answered
            return
    catalog = await context.catalog.get()
    conflicts = 0
    while conflicts < MAX_CONFLICTS:
        stored = await load_session(context, event.chat_id)
        interaction = Interaction(context, event, catalog=catalog, stored=stored)
        try:
            await _open_models(interaction)
            await _answer(interaction)
        # Another update of this chat was faster, perhaps at another replica: its session is read
        # anew.
        except SessionConflict:
            conflicts += 1
        # What was done led to a model that nothing named beforehand, such as the first of a kind.
        except ModelUnopened as unopened:
            catalog = await context.catalog.opened(interaction.catalog, unopened.model_id)
        else:
            return
    raise SessionConflict(event.chat_id)


async def _open_models(interaction: Interaction) -> None:
    """Read the models in full that an event is about."""
    action = interaction.event.action if isinstance(interaction.event, Press) else None
    tag = action.draft if isinstance(action, DraftAction) else ""
    draft = interaction.session.find_draft(tag) or interaction.session.draft
    if draft is not None and not draft.job_id:
        await interaction.open(draft.model_id)
    if isinstance(action, PickModel):
        await interaction.open(action.model_id)


async def _answer(interaction: Interaction) -> None:
    await interaction.note_sent()
    if isinstance(interaction.event, Press):
        await answer_press(interaction, interaction.event)
        return
    if not isinstance(interaction.event, Unblocked) and not interaction.is_answered:
        await _handled(interaction, interaction.event)
    await offer_missed(interaction)


def _handled(interaction: Interaction, event: Event) -> Awaitable[None]:
    match event:
        case Command():
            return answer_command(interaction, event)
        case Text():
            return answer_text(interaction, event)
        case Picture():
            return answer_picture(interaction, event)
        case Clip():
            return answer_clip(interaction, event)
        case WrongFile():
            return answer_wrong_file(interaction)
        case Credited() | Uncredited() | Returned():
            return answer_payment(interaction, event)
        case Unsupported():
            return answer_notice(interaction, notice.unsupported(interaction.language))
        case _:
            raise TypeError(event)
