"""What a user did, as read from an update."""

from __future__ import annotations

from typing import Annotated, TypedDict

import structlog
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from telegram import (
    Audio,
    CallbackQuery,
    Chat,
    ChatMember,
    ChatMemberUpdated,
    Document,
    Message,
    PhotoSize,
    Update,
    User,
    Video,
    Voice,
)

from edge_bot.conversation.mention import called_ids, called_names, topic_of
from edge_bot.view.button import Action, Again
from edge_bot.view.button_data import decode

PICTURE_TYPES = frozenset(
    f"image/{each}" for each in ("jpeg", "png", "webp", "heic", "heif", "avif", "bmp", "x-ms-bmp")
)
"""The types of file that are taken as a picture; whether it can be read is the service's word."""

_ODD = (AttributeError, LookupError, TypeError, ValueError)
"""What a field of the wrong kind raises when it is read."""

_logger = structlog.get_logger(__name__)

Id = Annotated[int, Field(ge=-(2**63), lt=2**63)]
"""A number by which Telegram names a chat, a user or a message."""

STRICT = ConfigDict(strict=True)
"""An event holds what its fields say or is not made: ValidationError is a ValueError."""

PAYMENT = ("successful_payment", "invoice", "passport_data")
"""Attachments that no one sends to be drawn."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Event:
    """Something that a user did."""

    chat_id: Id
    user_id: Id
    language: str
    """The user's language as an IETF tag; empty if Telegram does not say."""
    origin: str
    """The stable name of this event, the same however often its update comes."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Command(Event):
    """A command, such as `start`."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Text(Event):
    """A text without a command."""

    text: str
    reply_job_id: str = ""
    """The job whose result it replies to."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Picture(Event):
    """A photo, or a picture sent as a file."""

    file_id: str
    size_bytes: Id
    """The size; 0 if Telegram does not say."""
    caption: str
    album_id: str


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Clip(Event):
    """A video or a sound."""

    file_id: str
    size_bytes: Id
    """The size; 0 if Telegram does not say."""
    caption: str
    is_video: bool
    is_document: bool = False
    """Whether it was sent as a file."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class WrongFile(Event):
    """A file that is not a picture."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Unsupported(Event):
    """A sticker, a voice message and the like."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Press(Event):
    """A press of a button."""

    query_id: str
    message_id: Id
    """The message under which the button is."""
    action: Action | None
    """The action of the button; None if it is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Unblocked(Event):
    """The user lets the bot write again."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class GroupCall(Event):
    """A message in a group that calls some bots or users by their names."""

    names: frozenset[str]
    """Whom it calls, by user name in lower case."""
    ids: frozenset[int]
    """Whom it calls, by id: those without a user name."""
    topic_id: Id | None
    """The topic of a forum in which it stands, to be named in an answer."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Paid(Event):
    """A payment that Telegram has taken."""

    charge_id: str
    payload: str
    amount: Id
    currency: str
    is_private: bool
    """Whether it was made in the chat with the bot, where there is somebody to answer."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Credited(Event):
    """A payment that is credited.

    Its origin is the payment's own: who was told of it without an update is not told again by one.
    """

    top_up_id: str
    receipt_number: str
    """The number of its receipt; empty until it is given."""
    credits: Id
    balance: Id
    debt: Id

    @staticmethod
    def name(charge_id: str) -> str:
        """Return the origin of what a payment brought."""
        return f"payment:{charge_id}"


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Uncredited(Event):
    """A payment that the service did not take."""

    charge_id: str


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Returned(Event):
    """A payment whose Stars went back."""

    charge_id: str
    amount: Id
    is_taken: bool = False
    """Whether its credits are taken from the balance already, as Telegram's list told."""

    @staticmethod
    def name(charge_id: str) -> str:
        """Return the origin of what the return of a payment brought."""
        return f"returned:{charge_id}"


class Sender(TypedDict):
    """The fields that every event has."""

    chat_id: int
    user_id: int
    language: str
    origin: str


def read_event(update: Update) -> Event | None:
    """Return what the user did; None for other updates and malformed ones."""
    try:
        return _event_of(update)
    except _ODD as error:
        _logger.warning("a malformed update is skipped", error=type(error).__name__)
        return None


def _event_of(update: Update) -> Event | None:
    if update.callback_query is not None:
        return _from_press(update.callback_query)
    if update.my_chat_member is not None:
        return _from_membership(update.my_chat_member, update_id=update.update_id)
    message = update.message
    if message is None or message.from_user is None:
        return None
    if message.successful_payment or message.refunded_payment:
        return _from_payment(message, message.from_user)
    if message.chat.type != Chat.PRIVATE:
        return _from_group(message, message.from_user)
    if message.from_user.is_bot:
        return None
    return _from_message(message, message.from_user)


def _from_press(query: CallbackQuery) -> Event | None:
    message = query.message
    if message is None or message.chat.type != Chat.PRIVATE:
        return None
    return Press(
        chat_id=message.chat.id,
        user_id=query.from_user.id,
        language=query.from_user.language_code or "",
        origin=f"press:{query.id}",
        query_id=query.id,
        message_id=message.message_id,
        action=decode(query.data or ""),
    )


def _from_membership(change: ChatMemberUpdated, *, update_id: int) -> Event | None:
    was, is_now = change.old_chat_member.status, change.new_chat_member.status
    if change.chat.type != Chat.PRIVATE or is_now == was or is_now != ChatMember.MEMBER:
        return None
    return Unblocked(
        chat_id=change.chat.id,
        user_id=change.from_user.id,
        language=change.from_user.language_code or "",
        origin=f"member:{update_id}",
    )


def _from_group(message: Message, user: User) -> Event | None:
    """Read whom a message calls: a command without a name is for any bot, so for none."""
    is_anonymous = message.sender_chat is not None and message.sender_chat.id == message.chat.id
    names = frozenset(called_names(message))
    ids = frozenset(called_ids(message))
    if (user.is_bot and not is_anonymous) or not (names or ids):
        return None
    sender = _sender(message, user)
    return GroupCall(**sender, names=names, ids=ids, topic_id=topic_of(message))


def _from_payment(message: Message, user: User) -> Event | None:
    sender, is_private = _sender(message, user), message.chat.type == Chat.PRIVATE
    if paid := message.successful_payment:
        return Paid(
            **sender,
            charge_id=paid.telegram_payment_charge_id,
            payload=paid.invoice_payload,
            amount=paid.total_amount,
            currency=paid.currency,
            is_private=is_private,
        )
    back = message.refunded_payment
    if back is None or not is_private:
        return None
    charge_id, amount = back.telegram_payment_charge_id, back.total_amount
    sender["origin"] = Returned.name(charge_id)
    return Returned(**sender, charge_id=charge_id, amount=amount)


def _from_message(message: Message, user: User) -> Event | None:
    sender = _sender(message, user)
    if command := _command(message):
        return Command(**sender, name=command)
    if message.text:
        return Text(**sender, text=message.text.strip(), reply_job_id=_reply_job_id(message))
    if message.photo:
        # Telegram lists the sizes of a photo from the smallest to the largest.
        return _from_picture(message, sender, file=message.photo[-1])
    # A GIF comes as an animation, with a document beside it for old clients (Bot API, Message).
    if message.document and not message.animation:
        if message.document.mime_type in PICTURE_TYPES:
            return _from_picture(message, sender, file=message.document)
        kind = (message.document.mime_type or "").partition("/")[0]
        if kind in ("video", "audio"):
            is_video = kind == "video"
            return _from_clip(message, sender, file=message.document, is_video=is_video)
        return WrongFile(**sender)
    if clip := message.video or message.audio or message.voice:
        return _from_clip(message, sender, file=clip, is_video=message.video is not None)
    is_sent = message.effective_attachment and not any(getattr(message, name) for name in PAYMENT)
    return Unsupported(**sender) if is_sent else None


def _from_picture(message: Message, sender: Sender, *, file: PhotoSize | Document) -> Event:
    return Picture(
        **sender,
        file_id=file.file_id,
        size_bytes=file.file_size or 0,
        caption=(message.caption or "").strip(),
        album_id=message.media_group_id or "",
    )


def _from_clip(
    message: Message, sender: Sender, *, file: Document | Video | Audio | Voice, is_video: bool
) -> Event:
    return Clip(
        **sender,
        file_id=file.file_id,
        size_bytes=file.file_size or 0,
        caption=(message.caption or "").strip(),
        is_video=is_video,
        is_document=message.document is not None,
    )


def _reply_job_id(message: Message) -> str:
    """Return the job of the result that a message replies to, as its buttons name it."""
    replied = message.reply_to_message
    markup = replied.reply_markup if replied else None
    buttons = [each for row in (markup.inline_keyboard if markup else ()) for each in row]
    actions = [decode(str(each.callback_data or "")) for each in buttons]
    return next((each.job_id for each in actions if isinstance(each, Again)), "")


def _command(message: Message) -> str:
    """Return the command that a text begins with, in lower case and without the bot's name."""
    text = message.text or ""
    if not text.startswith("/"):
        return ""
    words = text.split()
    # The link of an invoice that was forwarded: https://t.me/<bot>?start=topup.
    if words[:2] == ["/start", "topup"]:
        return "topup"
    return words[0].removeprefix("/").partition("@")[0].lower()


def _sender(message: Message, user: User) -> Sender:
    return {
        "chat_id": message.chat.id,
        "user_id": user.id,
        "language": user.language_code or "",
        "origin": f"message:{message.chat.id}:{message.message_id}",
    }
