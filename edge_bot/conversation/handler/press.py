"""Answers button presses, one case for each action."""

from __future__ import annotations

from edge_bot.conversation.draft import with_choice
from edge_bot.conversation.draft_screen import (
    choices_screen,
    models_for_screen,
    options_screen,
)
from edge_bot.conversation.event import Press
from edge_bot.conversation.form_screen import choice_page_screen, items_page_screen, settings_screen
from edge_bot.conversation.form_start import fills_form
from edge_bot.conversation.handler.earlier import show_results, take_result
from edge_bot.conversation.handler.generate import generate
from edge_bot.conversation.handler.job import answer_job_press, answer_made_draft
from edge_bot.conversation.handler.message import current_screen
from edge_bot.conversation.handler.missed import show_missed
from edge_bot.conversation.handler.money import answer_money_press
from edge_bot.conversation.handler.quote import agree, quoted_screen
from edge_bot.conversation.handler.upload_page import take_upload
from edge_bot.conversation.interaction import Interaction
from edge_bot.conversation.session import Draft
from edge_bot.view import button, notice, payment_notice
from edge_bot.view.button import Action, DraftAction
from edge_bot.view.layout import Screen, paragraphs
from edge_bot.view.money_button import Agree, MoneyAction, ResumeDraft
from edge_bot.view.shelf import (
    chosen_purpose,
    family_screen,
    group_purposes,
    group_screen,
    purpose_screen,
    shelf_screen,
)
from edge_bot.view.welcome import cleared_screen, welcome_screen

_SHELVES = (button.ShowGroup, button.ShowPurpose, button.ShowShelf, button.ShowFamily)
"""The actions that look at models."""

_BEGINNINGS = (*_SHELVES, button.PickKind, button.PickModel)
"""The actions that need no draft."""


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
        case MoneyAction() as action:
            await _on_money(interaction, action)
        case button.DraftAction(draft="") as action if isinstance(action, _BEGINNINGS):
            await _begin(interaction, action)
        case button.JobAction() as action:
            await _on_job(interaction, action, press=press)
        case button.DraftAction() as action:
            await _go_on(interaction, action, press=press)
        case action:
            raise TypeError(action)


async def _on_job(interaction: Interaction, action: button.JobAction, *, press: Press) -> None:
    if not await answer_job_press(interaction, press, action):
        await _explain(interaction, notice.job_gone(interaction.language))


async def _begin(interaction: Interaction, action: Action) -> None:
    if isinstance(action, _SHELVES):
        purpose = _looked_at(interaction, action)
        await interaction.note(lambda each: each.model_copy(update={"purpose": purpose}))
        await interaction.show(_shelf(interaction, action))
        return
    new = Draft(id=interaction.new_id)
    await _choose(interaction, interaction.session.find_draft(new.tag) or new, action)


def _looked_at(interaction: Interaction, action: Action) -> int:
    """Return the purpose whose models a press shows; 0 if it shows none."""
    match action:
        case button.ShowGroup(group=group):
            purposes = group_purposes(group, catalog=interaction.catalog)
            return int(purposes[0]) if len(purposes) == 1 else 0
        case button.ShowPurpose() | button.ShowShelf() | button.ShowFamily():
            return action.purpose
        case _:
            return 0


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
        case Agree(credits=agreed):
            await generate(interaction, draft, agreed_credits=agreed)
        case ResumeDraft():
            await interaction.save(draft)
            await interaction.reply(await quoted_screen(interaction, draft))
        case _:
            await _fill_in(interaction, draft, action)
    return None


async def _fill_in(interaction: Interaction, draft: Draft, action: DraftAction) -> None:
    match action:
        case button.RecordConsent() as agreed:
            await agree(interaction, draft, agreed)
        case button.TakeUpload() as sent:
            await take_upload(interaction, draft, sent)
        case button.ShowResults(page=page):
            await show_results(interaction, draft, page=page)
        case button.TakeResult() as chosen:
            await take_result(interaction, draft, chosen)
        case _:
            await _choose(interaction, draft, action)


async def _show_made(interaction: Interaction, draft: Draft, *, press: Press) -> None:
    if not await answer_made_draft(interaction, draft, press=press):
        await _explain(interaction, notice.job_gone(interaction.language))


async def _choose(interaction: Interaction, draft: Draft, action: Action) -> None:
    chosen = with_choice(draft, action, language=interaction.language, catalog=interaction.catalog)
    await interaction.save(chosen)
    if isinstance(action, button.PickModel) and not chosen.model_id:
        why = notice.model_gone(interaction.language)
        await interaction.show(await quoted_screen(interaction, chosen, why=why))
        return
    await interaction.show(await _view(interaction, chosen, action))


async def _on_money(interaction: Interaction, action: MoneyAction) -> None:
    """Answer a button about money, which may be left from a time when something was sold."""
    if (await interaction.context.packs.get()).is_on:
        await answer_money_press(interaction, action)
    else:
        await _explain(interaction, payment_notice.nothing_sold(interaction.language))


async def _explain(interaction: Interaction, why: str) -> None:
    """Say why and show where we are, in a new message: the old one may show a job."""
    screen = await current_screen(interaction)
    await interaction.reply(Screen(paragraphs(why, screen.text), screen.keyboard))


def _shelf(interaction: Interaction, action: Action) -> Screen:
    """Return what a press wants to see of the models."""
    catalog, language = interaction.catalog, interaction.language
    match action:
        case button.ShowGroup(draft=tag, group=group):
            return group_screen(group, language, catalog=catalog, draft=tag)
        case button.ShowPurpose(draft=tag, purpose=number):
            purpose = chosen_purpose(number)
            return purpose_screen(purpose, language, catalog=catalog, draft=tag)
        case button.ShowShelf(draft=tag, purpose=number, page=page):
            purpose = chosen_purpose(number)
            return shelf_screen(purpose, language, catalog=catalog, page=page, draft=tag)
        case button.ShowFamily():
            return family_screen(action, language, catalog=catalog)
        case _:
            raise TypeError(action)


async def _view(interaction: Interaction, draft: Draft, action: Action) -> Screen:
    """Return what a press wants to look at; the draft itself unless it asks for a list."""
    model = interaction.catalog.find(draft.model_id)
    if isinstance(action, _SHELVES):
        return _shelf(interaction, action)
    if model is not None and fills_form(draft, model):
        return await _form_view(interaction, draft, action)
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
            return await quoted_screen(interaction, draft)


async def _form_view(interaction: Interaction, draft: Draft, action: Action) -> Screen:
    """Return what a press wants to see of a form; what is asked next unless it asks for more."""
    model = interaction.catalog.find(draft.model_id)
    match action:
        case button.ShowChoicePage(place=place, page=page) if model is not None:
            return choice_page_screen(
                draft, interaction.language, model=model, place=place, page=page
            )
        case button.ShowItems(place=place, page=page) if model is not None:
            return items_page_screen(
                draft, interaction.language, model=model, place=place, page=page
            )
        case button.ShowSettings(page=page) if model is not None:
            return settings_screen(draft, interaction.language, model=model, page=page)
        case _:
            return await quoted_screen(interaction, draft)
