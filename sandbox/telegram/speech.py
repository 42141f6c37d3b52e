"""What a user sends, turned into messages and updates."""

import secrets

from sandbox.telegram.conversation import Conversation
from sandbox.telegram.error import bad_request
from sandbox.telegram.limit import CAPTION_LENGTH, TEXT_LENGTH
from sandbox.telegram.model import Json
from sandbox.telegram.param import Params
from sandbox.telegram.text import caption_content, with_detected


async def say(conversation: Conversation, params: Params) -> list[Json]:
    """Send a text, a document or photos; several photos make an album. Return the messages."""
    contents = await _contents(conversation, params)
    reply_to_id = params.integer("reply_to_message_id") or None
    conversation.set_blocked(False)
    return [_sent(conversation, content, reply_to_id=reply_to_id) for content in contents]


def _sent(conversation: Conversation, content: Json, *, reply_to_id: int | None) -> Json:
    message = conversation.post(content, is_from_bot=False, reply_to_id=reply_to_id)
    shown = conversation.to_api(message)
    conversation.server.inbox(conversation.bot).add("message", shown)
    return shown


async def _contents(conversation: Conversation, params: Params) -> list[Json]:
    if not params.files:
        return [_text(params.text("text").strip())]
    media = [await _media(conversation, params, field=field) for field in params.files]
    album = {"media_group_id": str(secrets.randbits(62))} if len(media) > 1 else {}
    media[0] |= _caption((params.text("caption") or params.text("text")).strip())
    return [content | album for content in media]


async def _media(conversation: Conversation, params: Params, *, field: str) -> Json:
    """Keep one file; fields named `photo…` hold photos, all others documents."""
    store, upload = conversation.server.files, params.files[field]
    is_photo = field.startswith("photo")
    ids = await (store.add_photo(upload.data) if is_photo else store.add_document(upload))
    return store.shown(ids, bot_id=conversation.bot.id)


def _text(text: str) -> Json:
    if not 1 <= len(text) <= TEXT_LENGTH:
        raise bad_request("a text has 1 to 4096 characters")
    entities = with_detected(text, [])
    return {"text": text} | ({"entities": entities} if entities else {})


def _caption(text: str) -> Json:
    if len(text) > CAPTION_LENGTH:
        raise bad_request("a caption has up to 1024 characters")
    return caption_content(text, with_detected(text, []))
