"""The handling of one update: its session, and the few things a handler can do.

Every one of them can be done twice. A message is sent once per update, and its id is remembered
in the session under the update's origin; an edit says the same again. So a handler begins again
from the start when the process was killed, when a call failed, or when someone else wrote the
session.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from telegram.constants import ParseMode
from telegram.error import BadRequest

from edge_bot.conversation.context import EdgeContext
from edge_bot.conversation.event import Event, Press
from edge_bot.conversation.session import Draft, Session
from edge_bot.conversation.session_store import (
    ClaimConflict,
    SessionConflict,
    StoredSession,
    load_session,
    save_session,
)
from edge_bot.telegram.error import is_message_gone, is_not_modified
from edge_bot.view.catalog import Catalog
from edge_bot.view.layout import Screen, keyboard_markup

MAX_SENT = 1_000
"""How many of the last answers this process remembers by itself."""

CLAIM_S = 10.0
"""How long an edge has to send what it began to answer with, in seconds; then another one may."""


@dataclass(slots=True)
class Interaction:
    """An event, and what there is to answer it with."""

    context: EdgeContext
    event: Event
    catalog: Catalog
    stored: StoredSession

    @property
    def session(self) -> Session:
        """The session as it was last read or written."""
        return self.stored.session

    @property
    def language(self) -> str:
        """The user's language as an IETF tag."""
        return self.event.language

    @property
    def owner(self) -> str:
        """The user as an owner of jobs."""
        return f"telegram:{self.event.user_id}"

    @property
    def new_id(self) -> str:
        """The id of the draft that this event begins: the same at every repetition."""
        name = f"telegram:{self.context.bot_id}:{self.event.origin}"
        return str(uuid.uuid5(uuid.NAMESPACE_URL, name))

    @property
    def is_applied(self) -> bool:
        """Whether the session already has what this event does to it."""
        return self.event.origin in self.session.replies

    @property
    def is_answered(self) -> bool:
        """Whether the message that answers this event is there."""
        return self.session.replies.get(self.event.origin, 0) > 0

    def id_of(self, name: str) -> str:
        """Return the id of what has this name in this chat: the same at every repetition."""
        place = f"telegram:{self.context.bot_id}:{self.event.chat_id}"
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{place}:{name}"))

    async def open(self, model_id: str) -> None:
        """Have a model in full in the catalog, or none if it is gone."""
        self.catalog = await self.context.catalog.opened(self.catalog, model_id)

    async def save(self, draft: Draft | None, **changes: Any) -> None:
        """Write the session with this current draft; a message counts as applied from now on."""
        await self.save_as(self.session.with_current(draft).model_copy(update=changes))

    async def save_as(self, session: Session) -> None:
        """Write the session; a message counts as applied from now on."""
        if not isinstance(self.event, Press) and not self.is_applied:
            session = session.with_reply(self.event.origin, 0)
        await self._write(session)

    async def claim(self) -> None:
        """Begin to answer as the only one of the edges that have this event at once.

        Raises ClaimConflict, and SessionConflict if another one was faster.
        """
        now_ms = int(self.context.clock.now().timestamp() * 1000)
        claimed_ms = -self.session.replies.get(self.event.origin, 0)
        if self.is_answered:
            return
        if claimed_ms > 0 and abs(now_ms - claimed_ms) < CLAIM_S * 1000:
            raise ClaimConflict(self.event.origin)
        await self._write(self.session.with_reply(self.event.origin, -now_ms))

    async def show(self, screen: Screen) -> int:
        """Show a screen in place of the pressed one, or as a new message; return its id."""
        if isinstance(self.event, Press) and await self.edit(
            screen, message_id=self.event.message_id
        ):
            return self.event.message_id
        return await self.reply(screen)

    async def reply(self, screen: Screen) -> int:
        """Send a screen as a new message, unless this event has its message; return its id."""
        if self.is_answered:
            return self.session.replies[self.event.origin]
        # A process that is killed between sending and noting sends the message once more: Telegram
        # has no idempotency key that would prevent it.
        message_id = await self.send(screen)
        await self.note_reply(message_id)
        return message_id

    async def send_file(self, data: bytes, *, name: str) -> None:
        """Send a file, unless this event has its message."""
        if self.is_answered:
            return
        message = await self.context.bot.send_document(
            self.event.chat_id, BytesIO(data), filename=name
        )
        await self.note_reply(message.message_id)

    async def note_reply(self, message_id: int, **changes: Any) -> None:
        """Remember the message that answers this event; what else changes is written with it.

        Should the service be away just now, this process still knows it at the next try.
        """
        origin, sent = self.event.origin, self.context.sent_replies
        sent.pop(origin, None)
        sent[origin] = message_id
        if len(sent) > MAX_SENT:
            del sent[next(iter(sent))]
        await self.note(
            lambda session: session.with_reply(origin, message_id).model_copy(update=changes)
        )

    async def note_sent(self) -> None:
        """Note the answer that was sent at an earlier try and could not be noted then."""
        message_id = self.context.sent_replies.get(self.event.origin)
        if message_id is not None and not self.is_answered:
            await self.note_reply(message_id)

    async def send(self, screen: Screen) -> int:
        """Send a screen as a new message, again at every repetition; return its id."""
        message = await self.context.bot.send_message(
            self.event.chat_id,
            screen.text,
            parse_mode=ParseMode.HTML,
            reply_markup=keyboard_markup(screen.keyboard),
        )
        return message.message_id

    async def edit(self, screen: Screen, *, message_id: int) -> bool:
        """Change what a message says; False if the message is gone.

        A message that is a picture by now has got its result and stays as it is.
        """
        try:
            await self.context.bot.edit_message_text(
                screen.text,
                chat_id=self.event.chat_id,
                message_id=message_id,
                parse_mode=ParseMode.HTML,
                reply_markup=keyboard_markup(screen.keyboard),
            )
        except BadRequest as error:
            # Telegram refuses to edit the text of a message that is a photo or a file by now.
            if is_not_modified(error) or "no text in the message" in str(error).lower():
                return True
            if is_message_gone(error):
                return False
            raise
        return True

    async def note(self, change: Callable[[Session], Session]) -> None:
        """Change the session, whatever it is by now, after something that must not be repeated."""
        while True:
            try:
                return await self._write(change(self.session))
            # The message is out and must not be sent again, so only the writing is repeated.
            except SessionConflict:
                self.stored = await load_session(self.context, self.event.chat_id)

    async def _write(self, session: Session) -> None:
        if session == self.session:
            return
        self.stored = await save_session(
            self.context, self.event.chat_id, session=session, version=self.stored.version
        )
