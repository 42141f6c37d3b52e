"""Sending texts and chat actions, and what every sending method shares."""

import time

from sandbox.telegram.call import Call, Method
from sandbox.telegram.conversation import Conversation
from sandbox.telegram.error import bad_request
from sandbox.telegram.markup import apply_keyboard, read_inline_markup
from sandbox.telegram.model import Group, Json, Message
from sandbox.telegram.text import read_text

CHAT_ACTIONS = {
    "typing",
    "upload_photo",
    "record_video",
    "upload_video",
    "record_voice",
    "upload_voice",
    "upload_document",
    "choose_sticker",
    "find_location",
    "record_video_note",
    "upload_video_note",
}


async def send_message(call: Call) -> Json:
    """Send a text."""
    content = read_text(call.params) | read_inline_markup(call.params)
    if group := call.group():
        return _send_to_group(call, group, content)
    return send(call, call.conversation(), content)


async def send_chat_action(call: Call) -> bool:
    """Show for five seconds what the bot is doing."""
    conversation = call.conversation()
    action = call.params.text("action")
    if action not in CHAT_ACTIONS:
        raise bad_request("wrong parameter action in request")
    conversation.tell("action", {"action": action})
    return True


def send(
    call: Call, conversation: Conversation, content: Json, *, invoice_id: str | None = None
) -> Json:
    """Put a message of the bot into the chat, and return it."""
    reply_to_id = reply_target(call, conversation)
    apply_keyboard(call.params, conversation.chat)
    message = conversation.post(
        content, is_from_bot=True, reply_to_id=reply_to_id, invoice_id=invoice_id
    )
    return conversation.to_api(message)


def _send_to_group(call: Call, group: Group, content: Json) -> Json:
    """Answer as if the message were in the group; the journal alone keeps it."""
    topic = call.params.integer("message_thread_id")
    if topic and topic not in group.topics:
        raise bad_request("message thread not found")
    number, call.bot.next_message_id = call.bot.next_message_id, call.bot.next_message_id + 1
    shown: Json = {"message_id": number, "date": int(time.time()), "from": call.bot.to_api()}
    placed = {"message_thread_id": topic, "is_topic_message": True} if topic else {}
    return shown | {"chat": group.to_api()} | placed | content


def reply_target(call: Call, conversation: Conversation) -> int | None:
    """Return the id of the message that a call replies to."""
    reply = call.params.parsed("reply_parameters", what="reply parameters") or {}
    reply = call.params.nested(reply)
    number = reply.integer("message_id") or call.params.integer("reply_to_message_id")
    if not number:
        return None
    found: Message | None = conversation.chat.messages.get(number)
    if found and not found.is_deleted:
        return number
    if reply.flag("allow_sending_without_reply") or call.params.flag("allow_sending_without_reply"):
        return None
    raise bad_request("message to be replied not found")


METHODS: dict[str, Method] = {"sendMessage": send_message, "sendChatAction": send_chat_action}
