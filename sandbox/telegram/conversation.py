"""One bot and one user, and what passes between them."""

import time
from dataclasses import dataclass

from sandbox.telegram.error import bad_request
from sandbox.telegram.model import Bot, CallbackQuery, Chat, Json, Message, User
from sandbox.telegram.server import TelegramServer


@dataclass(frozen=True)
class Conversation:
    """The chat of a bot with a user, in which each side can act."""

    server: TelegramServer
    bot: Bot
    user: User

    @property
    def chat(self) -> Chat:
        """The chat's memory, made when it is first needed."""
        return self.bot.chats.setdefault(self.user.id, Chat())

    def post(
        self,
        content: Json,
        *,
        is_from_bot: bool,
        reply_to_id: int | None = None,
        invoice_id: str | None = None,
    ) -> Message:
        """Add a message to the chat."""
        message = Message(
            id=self.bot.next_message_id,
            is_from_bot=is_from_bot,
            content=content,
            reply_to_id=reply_to_id,
            invoice_id=invoice_id,
        )
        self.bot.next_message_id += 1
        self.chat.messages[message.id] = message
        self.server.journal.counters["messages.bot" if is_from_bot else "messages.user"] += 1
        self.tell("message", self.to_api(message))
        return message

    def edit(self, message: Message, content: Json) -> None:
        """Change what a message says."""
        message.edit(content)
        self.server.journal.counters["messages.edited"] += 1
        self.tell("edit", self.to_api(message))

    def delete(self, message: Message) -> None:
        """Take a message away from the chat; the inspection still shows it."""
        message.is_deleted = True
        self.tell("delete", {"message_id": message.id})

    def find(self, message_id: int, *, otherwise: str) -> Message:
        """Return a message that is still there, or raise a 400 with the given words."""
        message = self.chat.messages.get(message_id)
        if message is None or message.is_deleted:
            raise bad_request(otherwise)
        return message

    def press(self, message: Message, *, data: str) -> CallbackQuery:
        """Press an inline button."""
        number = str(self.user.id * 2**32 + int(time.time() * 1000) % 2**32)
        query = CallbackQuery(id=number, user_id=self.user.id, message_id=message.id, data=data)
        while query.id in self.bot.callbacks:
            query.id = str(int(query.id) + 1)
        self.bot.callbacks[query.id] = query
        update: Json = {"id": query.id, "from": self.user.to_api(), "data": data}
        update |= {"chat_instance": str(self.user.id), "message": self.to_api(message)}
        self.server.inbox(self.bot).add("callback_query", update)
        return query

    def set_blocked(self, is_blocked: bool) -> None:
        """Block the bot, or let it in again; the bot is told by `my_chat_member`."""
        if self.chat.is_blocked == is_blocked:
            return
        self.chat.is_blocked = is_blocked
        states = ("member", "kicked") if is_blocked else ("kicked", "member")
        old, new = (self._member(state) for state in states)
        update: Json = {"chat": self.user.chat_to_api(), "from": self.user.to_api()}
        update |= {"date": int(time.time()), "old_chat_member": old, "new_chat_member": new}
        self.server.inbox(self.bot).add("my_chat_member", update)
        self.tell("chat", {"is_blocked": is_blocked})

    def _member(self, status: str) -> Json:
        member: Json = {"user": self.bot.to_api(), "status": status}
        return member | ({"until_date": 0} if status == "kicked" else {})

    def tell(self, event: str, data: Json) -> None:
        """Notify everybody who watches the chat, and have the state written."""
        self.server.events.publish((self.bot.id, self.user.id), event=event, data=data)
        self.server.changed()

    def to_api(self, message: Message) -> Json:
        """Return a message with the one it replies to."""
        shown = self._shown(message)
        replied = self.chat.messages.get(message.reply_to_id or 0)
        return shown | ({"reply_to_message": self._shown(replied)} if replied else {})

    def _shown(self, message: Message) -> Json:
        sender = self.bot if message.is_from_bot else self.user
        shown: Json = {
            "message_id": message.id,
            "from": sender.to_api(),
            "chat": self.user.chat_to_api(),
            "date": message.date,
        }
        edited = {"edit_date": message.edit_date} if message.edit_date else {}
        return shown | edited | message.content
