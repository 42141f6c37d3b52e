"""Answers texts, pictures and commands."""

from __future__ import annotations

from atelier.generation.v1.media_pb2 import MEDIA_KIND_IMAGE
from edge_bot.conversation.draft import from_shelf, with_picture, with_text
from edge_bot.conversation.event import Clip, Command, Picture, Text
from edge_bot.conversation.handler.follow import find_job, is_under_way
from edge_bot.conversation.handler.form import (
    answer_form_clip,
    answer_form_picture,
    answer_form_text,
    form_model,
    refuse_file,
)
from edge_bot.conversation.handler.money import answer_money_command
from edge_bot.conversation.handler.quote import quoted_screen
from edge_bot.conversation.handler.upload import (
    PictureTooLarge,
    PictureUnreadable,
    UploadRefused,
    take_picture,
)
from edge_bot.conversation.interaction import Interaction
from edge_bot.conversation.session import Draft
from edge_bot.view import notice, payment_notice
from edge_bot.view.layout import Screen, paragraphs
from edge_bot.view.progress import cancel_question_screen
from edge_bot.view.purpose import Purpose
from edge_bot.view.search import found_models
from edge_bot.view.shelf import found_screen
from edge_bot.view.welcome import (
    cleared_screen,
    clip_screen,
    help_screen,
    models_screen,
    notice_screen,
    welcome_screen,
)


async def answer_command(interaction: Interaction, command: Command) -> None:
    """Answer a command; an unknown one gets the help."""
    if await answer_money_command(interaction, command.name):
        return
    if command.name == "cancel" and await _asked_about_job(interaction):
        return
    if command.name == "start":
        await interaction.save(None)
    if command.name == "cancel":
        await interaction.save_as(interaction.session.without_unmade_drafts())
    match command.name:
        case "start":
            screen = welcome_screen(interaction.language, catalog=interaction.catalog)
        case "models":
            screen = models_screen(interaction.language, catalog=interaction.catalog)
        case "cancel":
            screen = cleared_screen(interaction.language)
        case _:
            screen = await _help_screen(interaction)
    await interaction.reply(screen)


async def _help_screen(interaction: Interaction) -> Screen:
    has_money = (await interaction.context.packs.get()).is_on
    return help_screen(interaction.language, catalog=interaction.catalog, has_money=has_money)


async def _asked_about_job(interaction: Interaction) -> bool:
    """Ask whether to cancel the job that the draft became, if it is under way."""
    draft = interaction.session.draft
    job = await find_job(interaction, draft.job_id) if draft and draft.job_id else None
    if job is None or not is_under_way(job):
        return False
    await interaction.reply(cancel_question_screen(job, interaction.language, is_apart=True))
    return True


async def answer_text(interaction: Interaction, event: Text) -> None:
    """Take a text as an answer to a form, a word to search for, or a prompt."""
    if await answer_form_text(interaction, event):
        return
    # A repetition finds the draft already changed and owes nothing but the answer.
    if not interaction.is_applied:
        await interaction.save(_with_text(interaction, event.text))
    screen = _found_screen(interaction, event) or await current_screen(interaction)
    note = await _question_note(interaction, event)
    await interaction.reply(Screen(paragraphs(note, screen.text), screen.keyboard))


def _with_text(interaction: Interaction, text: str) -> Draft:
    """Return the draft after a text: who looks at models for a purpose says what to make of it."""
    session, new_id, catalog = interaction.session, interaction.new_id, interaction.catalog
    is_looking = session.purpose not in (0, Purpose.TEXT_TO_IMAGE)
    if is_looking and not found_models(text, catalog=catalog):
        begun = from_shelf(text, purpose=session.purpose, new_id=new_id, catalog=catalog)
        if begun is not None:
            return begun
    return with_text(session.draft, text, new_id=new_id, catalog=catalog)


async def answer_clip(interaction: Interaction, event: Clip) -> None:
    """Take a video or a sound where a form asks for it; elsewhere say what it is good for."""
    if await answer_form_clip(interaction, event):
        return
    if interaction.catalog.is_large:
        await interaction.reply(
            clip_screen(interaction.language, catalog=interaction.catalog, is_video=event.is_video)
        )
    elif event.is_document:
        await answer_wrong_file(interaction)
    else:
        await answer_notice(interaction, notice.unsupported(interaction.language))


async def answer_wrong_file(interaction: Interaction) -> None:
    """Say which files can be used: by the form that asks for one, else as a picture."""
    if not await refuse_file(interaction):
        await answer_notice(interaction, notice.wrong_file(interaction.language))


async def answer_picture(interaction: Interaction, event: Picture) -> None:
    """Take a picture, and its caption as what to do with it; of an album only the first."""
    if interaction.is_applied:
        await interaction.reply(await current_screen(interaction))
    elif form_model(interaction) is not None:
        await _use_picture(interaction, event)
    elif event.album_id and event.album_id == interaction.session.album_id:
        await _mention_album(interaction)
    else:
        await _use_picture(interaction, event)


async def answer_notice(interaction: Interaction, text: str) -> None:
    """Answer with a few words and leave everything as it is."""
    await interaction.reply(notice_screen(text, interaction.language))


async def _use_picture(interaction: Interaction, event: Picture) -> None:
    try:
        picture = await take_picture(interaction, event)
    except PictureTooLarge:
        return await answer_notice(interaction, notice.picture_too_large(interaction.language))
    except PictureUnreadable:
        if await refuse_file(interaction, kind=MEDIA_KIND_IMAGE):
            return None
        return await answer_notice(interaction, notice.wrong_file(interaction.language))
    except UploadRefused as refused:
        why = notice.refusal(refused.error, interaction.language, model=None)
        return await answer_notice(interaction, why)
    if await answer_form_picture(interaction, event, picture=picture.name):
        return None
    draft = with_picture(
        interaction.session.draft,
        picture.name,
        size=picture.size,
        caption=event.caption,
        new_id=interaction.new_id,
        catalog=interaction.catalog,
    )
    await interaction.save(draft, album_id=event.album_id, is_album_noticed=False)
    screen = await current_screen(interaction)
    note = await _payment_note(interaction, event)
    await interaction.reply(Screen(paragraphs(note, screen.text), screen.keyboard))
    return None


async def _payment_note(interaction: Interaction, event: Picture) -> str:
    """Return that no picture is a payment, if this one seems to be meant as one; else nothing."""
    if not payment_notice.is_about_payment(event.caption):
        return ""
    is_on = (await interaction.context.packs.get()).is_on
    return payment_notice.not_by_picture(interaction.language) if is_on else ""


async def _question_note(interaction: Interaction, event: Text) -> str:
    """Return where a payment is seen, if somebody asks for one instead of a picture."""
    if not payment_notice.asks_for_payment(event.text):
        return ""
    is_on = (await interaction.context.packs.get()).is_on
    return payment_notice.by_itself(interaction.language) if is_on else ""


def _found_screen(interaction: Interaction, event: Text) -> Screen | None:
    """Return the models that a text names, unless it is the prompt that was asked for."""
    draft = interaction.session.draft
    if draft is None or draft.id != interaction.new_id:
        return None
    models = found_models(event.text, catalog=interaction.catalog)
    if not models:
        return None
    return found_screen(models, interaction.language, words=event.text, draft=draft.tag)


async def _mention_album(interaction: Interaction) -> None:
    if interaction.session.is_album_noticed:
        return
    await interaction.save(interaction.session.draft, is_album_noticed=True)
    await interaction.reply(Screen(notice.one_of_album(interaction.language)))


async def current_screen(interaction: Interaction) -> Screen:
    """Return the screen of the draft as it is now, or the welcome if there is none."""
    draft = interaction.session.draft
    if draft is None or draft.job_id:
        return welcome_screen(interaction.language, catalog=interaction.catalog)
    return await quoted_screen(interaction, draft)
