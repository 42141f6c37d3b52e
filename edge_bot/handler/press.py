"""Answers to presses: each action of each button has its place here."""

from __future__ import annotations

from edge_bot import button
from edge_bot.button import Action, DraftAction
from edge_bot.draft import with_choice
from edge_bot.handler.event import Press
from edge_bot.handler.generate import generate
from edge_bot.handler.job import answer_job_press, answer_made_draft
from edge_bot.handler.message import current_screen
from edge_bot.handler.missed import show_missed
from edge_bot.handler.turn import Turn
from edge_bot.screen import notice
from edge_bot.screen.draft import choices_screen, draft_screen, models_for_screen, options_screen
from edge_bot.screen.layout import Screen, paragraphs
from edge_bot.screen.welcome import cleared_screen, welcome_screen
from edge_bot.session import Draft


async def answer_press(turn: Turn, press: Press) -> None:
    """Do what a button asks for."""
    match press.action:
        case None:
            await _explain(turn, notice.unknown_button(turn.language))
        case button.Home():
            await turn.save(None)
            await turn.show(welcome_screen(turn.language, catalog=turn.catalog))
        case button.ShowMissed():
            await show_missed(turn)
        case button.PickKind(draft="") | button.PickModel(draft="") as action:
            await _begin(turn, action)
        case button.JobAction() as action:
            if not await answer_job_press(turn, press, action):
                await _explain(turn, notice.job_gone(turn.language))
        case button.DraftAction() as action:
            await _go_on(turn, action, press=press)
        case action:
            raise TypeError(action)


async def _begin(turn: Turn, action: Action) -> None:
    new = Draft(id=turn.new_id)
    await _choose(turn, turn.session.find_draft(new.tag) or new, action)


async def _go_on(turn: Turn, action: DraftAction, *, press: Press) -> None:
    draft = turn.session.find_draft(action.draft)
    if draft is None:
        return await _explain(turn, notice.stale_draft(turn.language))
    if draft.job_id:
        return await _show_made(turn, draft, press=press)
    match action:
        case button.Discard():
            await turn.save_as(turn.session.without_draft(draft))
            await turn.show(cleared_screen(turn.language))
        case button.Generate():
            await generate(turn, draft)
        case _:
            await _choose(turn, draft, action)
    return None


async def _show_made(turn: Turn, draft: Draft, *, press: Press) -> None:
    if not await answer_made_draft(turn, draft, press=press):
        await _explain(turn, notice.job_gone(turn.language))


async def _choose(turn: Turn, draft: Draft, action: Action) -> None:
    chosen = with_choice(draft, action, language=turn.language, catalog=turn.catalog)
    await turn.save(chosen)
    await turn.show(_view(turn, chosen, action))


async def _explain(turn: Turn, why: str) -> None:
    """Say why and show where we are, in a new message: the old one may show a job."""
    screen = current_screen(turn)
    await turn.reply(Screen(paragraphs(why, screen.text), screen.keyboard))


def _view(turn: Turn, draft: Draft, action: Action) -> Screen:
    """Return what a press wants to look at; the draft itself unless it asks for a list."""
    model = turn.catalog.find(draft.model_id)
    options = {option.field: option for option in model.options} if model else {}
    match action:
        case button.ShowModels():
            return models_for_screen(draft, turn.language, catalog=turn.catalog)
        case button.ShowOptions() if model is not None and len(options) > 1:
            return options_screen(draft, turn.language, model=model)
        case button.ShowOptions() if options:
            return choices_screen(draft, turn.language, option=next(iter(options.values())))
        case button.ShowChoices(field=field) if field in options:
            return choices_screen(draft, turn.language, option=options[field])
        case _:
            return draft_screen(draft, turn.language, catalog=turn.catalog)
