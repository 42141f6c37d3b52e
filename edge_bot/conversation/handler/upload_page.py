"""Offers a page for a file that Telegram does not give to bots, and takes what was sent there."""

from __future__ import annotations

from atelier.generation.v1 import edge_service_pb2 as pb
from atelier.generation.v1.upload_link_pb2 import UploadLink
from edge_bot.conversation.event import Clip
from edge_bot.conversation.form_answer import with_form_media
from edge_bot.conversation.handler.quote import quoted_screen
from edge_bot.conversation.interaction import Interaction
from edge_bot.conversation.session import Draft
from edge_bot.view import notice
from edge_bot.view.button import TakeUpload
from edge_bot.view.upload_page import upload_page_screen
from generation_client import GenerationError, translated


async def offer_upload_page(
    interaction: Interaction, event: Clip, *, draft: Draft, kind: int
) -> bool:
    """Offer the page for a file that is too large; False where the operator serves none.

    The message that brought the file names the upload, so that each file has one of its own.
    """
    message_id = int(event.origin.rpartition(":")[2])
    action = TakeUpload(draft.tag, message_id, kind)
    try:
        link = await _link(interaction, draft, action)
    except GenerationError as error:
        if error.reason != "UPLOAD_LINKS_OFF":
            raise
        return False
    if draft != interaction.session.draft:  # its caption has come along
        await interaction.save(draft)
    await interaction.reply(upload_page_screen(link, action, interaction.language))
    return True


async def take_upload(interaction: Interaction, draft: Draft, action: TakeUpload) -> None:
    """Answer the form with the file that was sent on the page, or offer the page again."""
    language = interaction.language
    try:
        link = await _link(interaction, draft, action)
    except GenerationError as error:
        if error.reason != "UPLOAD_LINKS_OFF":
            raise
        why = notice.clip_too_large(language)
        await interaction.show(await quoted_screen(interaction, draft, why=why))
        return
    if not link.HasField("upload"):
        await interaction.show(upload_page_screen(link, action, language, is_missed=True))
        return
    given = _with_upload(interaction, draft, f"upload:{link.upload.id}", kind=action.kind)
    await interaction.save(given)
    await interaction.show(await quoted_screen(interaction, given))


def _with_upload(interaction: Interaction, draft: Draft, value: str, *, kind: int) -> Draft:
    model = interaction.catalog.find(draft.model_id)
    if model is None or value in _texts_in(draft.inputs):
        return draft
    return with_form_media(draft, value, kind=kind, model=model) or draft


def _texts_in(value: object) -> set[str]:
    """Return all texts in a form: a press that comes twice takes its file once."""
    if isinstance(value, dict):
        return {text for each in value.values() for text in _texts_in(each)}
    if isinstance(value, list):
        return {text for each in value for text in _texts_in(each)}
    return {value} if isinstance(value, str) else set()


async def _link(interaction: Interaction, draft: Draft, action: TakeUpload) -> UploadLink:
    request = pb.CreateUploadLinkRequest(
        owner=interaction.owner,
        draft=f"{draft.tag}:{interaction.event.chat_id}:{action.message_id}",
        language_code=interaction.language,
        return_uri=await _chat_uri(interaction),
    )
    request.kinds.append(action.kind)  # type: ignore[arg-type]
    with translated():
        return (await interaction.context.client.edge.CreateUploadLink(request)).link


async def _chat_uri(interaction: Interaction) -> str:
    bot = interaction.context.bot
    try:
        username = bot.username
    except RuntimeError:  # it was not asked for yet; the client remembers it
        username = (await bot.get_me()).username or ""
    return f"https://t.me/{username}"
