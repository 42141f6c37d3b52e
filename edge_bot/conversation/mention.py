"""Finds who is mentioned in a group message, and the topic of the answer."""

from __future__ import annotations

from collections.abc import Iterator

from telegram import Message, MessageEntity

GENERAL_TOPIC = 1
"""The topic of a forum that must not be named in an answer: Telegram knows no such thread."""


def called_names(message: Message) -> Iterator[str]:
    """Give the user names that a text or caption calls, in lower case."""
    for entity in (*message.entities, *message.caption_entities):
        if entity.type in (MessageEntity.MENTION, MessageEntity.BOT_COMMAND):
            text = _cut(message.text or message.caption or "", entity)
            if name := text.partition("@")[2]:
                yield name.lower()


def called_ids(message: Message) -> Iterator[int]:
    """Give the ids of those whom it calls without a user name."""
    for entity in (*message.entities, *message.caption_entities):
        if entity.type == MessageEntity.TEXT_MENTION and entity.user is not None:
            yield entity.user.id


def topic_of(message: Message) -> int | None:
    """Return the forum topic to name in an answer; None outside of topics."""
    topic_id = message.message_thread_id if message.is_topic_message else None
    return None if topic_id == GENERAL_TOPIC else topic_id


def _cut(text: str, entity: MessageEntity) -> str:
    """Return the part of a text that an entity is about; Telegram counts UTF-16 units."""
    start, end = 2 * entity.offset, 2 * (entity.offset + entity.length)
    return text.encode("utf-16-le")[start:end].decode("utf-16-le", errors="ignore")
