"""Answers to what a user writes or sends."""

from __future__ import annotations

from edge_bot.draft import with_picture, with_text
from edge_bot.handler.event import Command, Picture, Text
from edge_bot.handler.follow import find_job, is_under_way
from edge_bot.handler.turn import Turn
from edge_bot.handler.upload import PictureTooLarge, PictureUnreadable, take_picture
from edge_bot.screen import notice
from edge_bot.screen.draft import draft_screen
from edge_bot.screen.layout import Screen
from edge_bot.screen.progress import cancel_question_screen
from edge_bot.screen.welcome import (
    cleared_screen,
    help_screen,
    models_screen,
    notice_screen,
    welcome_screen,
)


async def answer_command(turn: Turn, command: Command) -> None:
    """Answer a command; one that nobody knows gets the help."""
    if command.name == "cancel" and await _asked_about_job(turn):
        return
    if command.name == "start":
        await turn.save(None)
    if command.name == "cancel":
        await turn.save_as(turn.session.without_unmade_drafts())
    match command.name:
        case "start":
            screen = welcome_screen(turn.language, catalog=turn.catalog)
        case "models":
            screen = models_screen(turn.language, catalog=turn.catalog)
        case "cancel":
            screen = cleared_screen(turn.language)
        case _:
            screen = help_screen(turn.language, catalog=turn.catalog)
    await turn.reply(screen)


async def _asked_about_job(turn: Turn) -> bool:
    """Ask whether to cancel the job that the draft became, if it is under way."""
    draft = turn.session.draft
    job = await find_job(turn, draft.job_id) if draft and draft.job_id else None
    if job is None or not is_under_way(job):
        return False
    await turn.reply(cancel_question_screen(job, turn.language, is_apart=True))
    return True


async def answer_text(turn: Turn, event: Text) -> None:
    """Take a text as a prompt."""
    if not turn.is_applied:
        current = turn.session.draft
        draft = with_text(current, event.text, new_id=turn.new_id, catalog=turn.catalog)
        await turn.save(draft)
    await turn.reply(current_screen(turn))


async def answer_picture(turn: Turn, event: Picture) -> None:
    """Take a picture, and its caption as what to do with it; of an album only the first."""
    if turn.is_applied:
        await turn.reply(current_screen(turn))
    elif event.album_id and event.album_id == turn.session.album_id:
        await _mention_album(turn)
    else:
        await _use_picture(turn, event)


async def answer_notice(turn: Turn, text: str) -> None:
    """Answer with a few words and leave everything as it is."""
    await turn.reply(notice_screen(text, turn.language))


async def _use_picture(turn: Turn, event: Picture) -> None:
    try:
        picture = await take_picture(turn, event)
    except PictureTooLarge:
        return await answer_notice(turn, notice.picture_too_large(turn.language))
    except PictureUnreadable:
        return await answer_notice(turn, notice.wrong_file(turn.language))
    draft = with_picture(
        turn.session.draft,
        picture.name,
        size=picture.size,
        caption=event.caption,
        new_id=turn.new_id,
        catalog=turn.catalog,
    )
    await turn.save(draft, album_id=event.album_id, is_album_noticed=False)
    await turn.reply(current_screen(turn))
    return None


async def _mention_album(turn: Turn) -> None:
    if turn.session.is_album_noticed:
        return
    await turn.save(turn.session.draft, is_album_noticed=True)
    await turn.reply(Screen(notice.one_of_album(turn.language)))


def current_screen(turn: Turn) -> Screen:
    """Return the screen of the draft as it is now, or the welcome if there is none."""
    draft = turn.session.draft
    if draft is None or draft.job_id:
        return welcome_screen(turn.language, catalog=turn.catalog)
    return draft_screen(draft, turn.language, catalog=turn.catalog)
