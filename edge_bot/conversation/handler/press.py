"""Answers button presses, one case for each action."""

from __future__ import annotations

from edge_bot.conversation.draft import with_choice
from edge_bot.conversation.draft_screen import (
    choices_screen,
    draft_screen,
    models_for_screen,
    options_screen,
)
from edge_bot.conversation.event import Press
from edge_bot.conversation.handler.generate import generate
from edge_bot.conversation.handler.job import answer_job_press, answer_made_draft
from edge_bot.conversation.handler.message import current_screen
from edge_bot.conversation.handler.missed import show_missed
from edge_bot.conversation.interaction import Interaction
from edge_bot.conversation.session import Draft
from edge_bot.view import button, notice
from edge_bot.view.button import Action, DraftAction
from edge_bot.view.layout import Screen, paragraphs
from edge_bot.view.welcome import cleared_screen, welcome_screen


async def answer_press(interaction: Interaction, press: Press) -> None:
    """Do what a button asks for."""
    match press.action:
        case None:
            await _explain(interaction, notice.unknown_button(interaction.language))
        case button.Home():
            await interaction.save(None)
            await interaction.show(
                welcome_screen(interaction.language, catalog=interaction.catalog)
            )
        case button.ShowMissed():
            await show_missed(interaction)
        case button.PickKind(draft="") | button.PickModel(draft="") as action:
            await _begin(interaction, action)
        case button.JobAction() as action:
            if not await answer_job_press(interaction, press, action):
                await _explain(interaction, notice.job_gone(interaction.language))
        case button.DraftAction() as action:
            await _go_on(interaction, action, press=press)
        case action:
            raise TypeError(action)


async def _begin(interaction: Interaction, action: Action) -> None:
    new = Draft(id=interaction.new_id)
    await _choose(interaction, interaction.session.find_draft(new.tag) or new, action)


async def _go_on(interaction: Interaction, action: DraftAction, *, press: Press) -> None:
    draft = interaction.session.find_draft(action.draft)
    if draft is None:
        return await _explain(interaction, notice.stale_draft(interaction.language))
    if draft.job_id:
        return await _show_made(interaction, draft, press=press)
    match action:
        case button.Discard():
            await interaction.save_as(interaction.session.without_draft(draft))
            await interaction.show(cleared_screen(interaction.language))
        case button.Generate():
            await generate(interaction, draft)
        case _:
            await _choose(interaction, draft, action)
    return None


async def _show_made(interaction: Interaction, draft: Draft, *, press: Press) -> None:
    if not await answer_made_draft(interaction, draft, press=press):
        await _explain(interaction, notice.job_gone(interaction.language))


async def _choose(interaction: Interaction, draft: Draft, action: Action) -> None:
    chosen = with_choice(draft, action, language=interaction.language, catalog=interaction.catalog)
    await interaction.save(chosen)
    await interaction.show(_view(interaction, chosen, action))


async def _explain(interaction: Interaction, why: str) -> None:
    """Say why and show where we are, in a new message: the old one may show a job."""
    screen = current_screen(interaction)
    await interaction.reply(Screen(paragraphs(why, screen.text), screen.keyboard))


def _view(interaction: Interaction, draft: Draft, action: Action) -> Screen:
    """Return what a press wants to look at; the draft itself unless it asks for a list."""
    model = interaction.catalog.find(draft.model_id)
    options = {option.field: option for option in model.options} if model else {}
    match action:
        case button.ShowModels():
            return models_for_screen(draft, interaction.language, catalog=interaction.catalog)
        case button.ShowOptions() if model is not None and len(options) > 1:
            return options_screen(draft, interaction.language, model=model)
        case button.ShowOptions() if options:
            return choices_screen(draft, interaction.language, option=next(iter(options.values())))
        case button.ShowChoices(field=field) if field in options:
            return choices_screen(draft, interaction.language, option=options[field])
        case _:
            return draft_screen(draft, interaction.language, catalog=interaction.catalog)
