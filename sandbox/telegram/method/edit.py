"""Editing and deleting messages."""

from dataclasses import dataclass

from sandbox.telegram.attachment import read_input_media
from sandbox.telegram.call import Call, Method
from sandbox.telegram.conversation import Conversation
from sandbox.telegram.error import bad_request, not_modified
from sandbox.telegram.markup import read_inline_markup, read_invoice_markup
from sandbox.telegram.model import Json, Message
from sandbox.telegram.text import read_caption, read_text

CAPTION = {"caption", "caption_entities"}
MARKUP = {"reply_markup"}


@dataclass(frozen=True)
class Target:
    """The message that a call edits."""

    conversation: Conversation
    message: Message

    def replace(self, content: Json) -> Json:
        """Change the message and return it; refuse a change that changes nothing."""
        if content == self.message.content:
            raise not_modified()
        self.conversation.edit(self.message, content)
        return self.conversation.to_api(self.message)

    def without(self, *names: str) -> Json:
        """Return the present content but for some fields."""
        return {name: value for name, value in self.message.content.items() if name not in names}


def _target(call: Call) -> Target:
    conversation = call.conversation()
    number = call.params.integer("message_id")
    if not number:
        raise bad_request("message identifier is not specified")
    message = conversation.find(number, otherwise="message to edit not found")
    if not message.is_from_bot:
        raise bad_request("message can't be edited")
    return Target(conversation, message)


async def edit_message_text(call: Call) -> Json:
    """Replace the text and the buttons."""
    content = read_text(call.params) | read_inline_markup(call.params)
    target = _target(call)
    if "text" not in target.message.content:
        raise bad_request("there is no text in the message to edit")
    return target.replace(content)


async def edit_message_caption(call: Call) -> Json:
    """Replace the caption and the buttons."""
    content = read_caption(call.params) | read_inline_markup(call.params)
    target = _target(call)
    if not {"text", "invoice"}.isdisjoint(target.message.content):
        raise bad_request("there is no caption in the message to edit")
    return target.replace(target.without(*CAPTION, *MARKUP) | content)


async def edit_message_media(call: Call) -> Json:
    """Replace the file, the caption and the buttons; a text becomes a file (Bot API 7.11)."""
    item = call.params.parsed("media", what="InputMedia")
    if not isinstance(item, dict):
        raise bad_request("can't parse InputMedia: media not found")
    params = call.params.nested(item)
    content = read_caption(params) | read_inline_markup(call.params)
    target = _target(call)
    if "invoice" in target.message.content:
        raise bad_request("message can't be edited")
    kind, media = await read_input_media(call, params)
    album = target.message.content.get("media_group_id")
    if album and not _same_album(kind, target.message.content):
        raise bad_request("can't change media type in the album")
    return target.replace(media | content | ({"media_group_id": album} if album else {}))


def _same_album(kind: str, content: Json) -> bool:
    """Tell whether an album with this message in it may hold this kind, too."""
    visual = {"photo", "video"}
    return kind in content or (kind in visual and not visual.isdisjoint(content))


async def edit_message_reply_markup(call: Call) -> Json:
    """Replace the buttons."""
    target = _target(call)
    invoice = target.message.content.get("invoice")
    if invoice:
        markup = read_invoice_markup(call.params, stars=invoice["total_amount"])
    else:
        markup = read_inline_markup(call.params)
    return target.replace(target.without(*MARKUP) | markup)


async def delete_message(call: Call) -> bool:
    """Delete one message of either side."""
    conversation = call.conversation()
    number = call.params.integer("message_id")
    conversation.delete(conversation.find(number, otherwise="message to delete not found"))
    return True


async def delete_messages(call: Call) -> bool:
    """Delete those of several messages that are there."""
    conversation = call.conversation()
    for number in call.params.objects("message_ids"):
        message = conversation.chat.messages.get(number)
        if message and not message.is_deleted:
            conversation.delete(message)
    return True


METHODS: dict[str, Method] = {
    "editMessageText": edit_message_text,
    "editMessageCaption": edit_message_caption,
    "editMessageMedia": edit_message_media,
    "editMessageReplyMarkup": edit_message_reply_markup,
    "deleteMessage": delete_message,
    "deleteMessages": delete_messages,
}
