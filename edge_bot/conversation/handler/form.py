"""Takes what a user writes or sends as answers to the form of the current draft."""

from __future__ import annotations

from atelier.generation.v1.media_pb2 import MEDIA_KIND_AUDIO, MEDIA_KIND_IMAGE, MEDIA_KIND_VIDEO
from atelier.generation.v1.model_pb2 import Model
from edge_bot.conversation.draft import Stage, stage_of, with_picture
from edge_bot.conversation.event import Clip, Picture, Text
from edge_bot.conversation.form_answer import (
    asked_file,
    with_form_caption,
    with_form_media,
    with_form_text,
)
from edge_bot.conversation.form_start import fills_form
from edge_bot.conversation.handler.earlier import first_picture, with_replied
from edge_bot.conversation.handler.follow import find_job
from edge_bot.conversation.handler.quote import quoted_screen
from edge_bot.conversation.handler.upload import (
    PictureTooLarge,
    PictureUnreadable,
    UploadRefused,
    take_clip,
)
from edge_bot.conversation.handler.upload_page import offer_upload_page
from edge_bot.conversation.interaction import Interaction
from edge_bot.conversation.session import MAX_BYTES, Draft
from edge_bot.view import notice
from edge_bot.view.layout import DOWNLOAD_BYTES
from edge_bot.view.typed_value import NotTaken


def form_model(interaction: Interaction) -> Model | None:
    """Return the model whose form the current draft fills in; None if it has none."""
    draft = interaction.session.draft
    if draft is None or draft.job_id:
        return None
    model = interaction.catalog.find(draft.model_id)
    return model if model is not None and fills_form(draft, model) else None


async def answer_form_text(interaction: Interaction, event: Text) -> bool:
    """Take a text as an answer to a form; False if there is no form that it could answer."""
    draft, model = interaction.session.draft, form_model(interaction)
    if draft is None or model is None:
        return await _edit_replied(interaction, event)
    if not interaction.is_applied:
        try:
            await _save(interaction, await _texted(interaction, event, draft=draft, model=model))
        except NotTaken as refused:
            await _explain(interaction, str(refused))
            return True
    await _show(interaction)
    return True


async def answer_form_picture(interaction: Interaction, event: Picture, *, picture: str) -> bool:
    """Take a picture as an answer to a form; False if no form takes one."""
    return await _take_media(interaction, picture, kind=MEDIA_KIND_IMAGE, caption=event.caption)


async def answer_form_clip(interaction: Interaction, event: Clip) -> bool:
    """Take a video or a sound as an answer to a form; False if no form takes one."""
    draft, model = interaction.session.draft, form_model(interaction)
    if interaction.is_applied and model is not None:
        await _show(interaction)
        return True
    kind = MEDIA_KIND_VIDEO if event.is_video else MEDIA_KIND_AUDIO
    if draft is None or model is None or with_form_media(draft, "", kind=kind, model=model) is None:
        return False
    try:
        name = await take_clip(interaction, event)
    except PictureTooLarge:
        is_here = 0 < event.size_bytes <= DOWNLOAD_BYTES  # then it is the service that refuses it
        language = interaction.language
        draft = with_form_caption(draft, event.caption, language=language, model=model)
        if is_here or not await offer_upload_page(interaction, event, draft=draft, kind=kind):
            await _explain(interaction, notice.clip_too_large(interaction.language))
    except PictureUnreadable:
        await refuse_file(interaction, kind=kind)
    except UploadRefused as refused:
        why = notice.refusal(refused.error, interaction.language, model=None)
        await _explain(interaction, why)
    else:
        await _take_media(interaction, name, kind=kind, caption=event.caption)
    return True


async def refuse_file(interaction: Interaction, *, kind: int = 0) -> bool:
    """Say that a file cannot be used where a form asks for one; False if none does.

    `kind` is what the file was taken for, if that is known.
    """
    draft, model = interaction.session.draft, form_model(interaction)
    if draft is None or model is None:
        return False
    field = asked_file(draft, model=model, kind=kind)
    if field is None:
        return False
    await _explain(interaction, notice.file_unusable(interaction.language, field=field))
    return True


async def _take_media(interaction: Interaction, value: str, *, kind: int, caption: str) -> bool:
    draft, model = interaction.session.draft, form_model(interaction)
    if draft is None or model is None:
        return False
    given = with_form_media(draft, value, kind=kind, model=model)
    if given is None:
        return False
    if stage_of(draft, interaction.catalog) is Stage.CONFIRM:
        given = given.model_copy(update={"id": interaction.new_id})
    language = interaction.language
    given = with_form_caption(given, caption, language=language, model=model)
    await _save(interaction, given)
    await _show(interaction)
    return True


async def _texted(interaction: Interaction, event: Text, *, draft: Draft, model: Model) -> Draft:
    """Return the draft after a text or a reply; raises NotTaken."""
    job = await find_job(interaction, event.reply_job_id) if event.reply_job_id else None
    replied = with_replied(interaction, draft, job=job, model=model) if job else None
    if replied is not None:
        return replied
    return with_form_text(
        draft,
        event.text,
        new_id=interaction.new_id,
        language=interaction.language,
        model=model,
    )


async def _edit_replied(interaction: Interaction, event: Text) -> bool:
    """Begin to change the picture that a text replies to, as the text says."""
    if not event.reply_job_id or not interaction.catalog.is_large:
        return False
    if not interaction.is_applied:
        job = await find_job(interaction, event.reply_job_id)
        picture = first_picture(job) if job else None
        if picture is None:
            return False
        draft = with_picture(
            None,
            f"media:{picture.id}",
            size=(picture.width, picture.height),
            caption=event.text,
            new_id=interaction.new_id,
            catalog=interaction.catalog,
        )
        await interaction.save(draft)
    await _show(interaction)
    return True


async def _save(interaction: Interaction, draft: Draft) -> None:
    """Write the draft; raises NotTaken if the service has no room for so long a form."""
    if len(interaction.session.with_current(draft).packed()) > MAX_BYTES:
        raise NotTaken(notice.form_too_long(interaction.language))
    await interaction.save(draft)


async def _show(interaction: Interaction) -> None:
    draft = interaction.session.draft
    if draft is not None:
        await interaction.reply(await quoted_screen(interaction, draft))


async def _explain(interaction: Interaction, why: str) -> None:
    draft = interaction.session.draft
    if draft is not None:
        await interaction.reply(await quoted_screen(interaction, draft, why=why))
