"""A call of the Bot API on its way to the method that handles it."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from sandbox.telegram.conversation import Conversation
from sandbox.telegram.error import bad_request, blocked, chat_not_found
from sandbox.telegram.model import Bot, Group
from sandbox.telegram.param import Params
from sandbox.telegram.server import TelegramServer


@dataclass(frozen=True)
class Call:
    """Who calls, and with what."""

    server: TelegramServer
    bot: Bot
    params: Params

    def conversation(self) -> Conversation:
        """Return the chat that `chat_id` names, if the bot may speak there."""
        given = self.params.text("chat_id")
        if not given:
            raise bad_request("chat_id is empty")
        number = int(given) if re.fullmatch(r"-?\d{1,19}", given) else 0
        user = self.server.state.users.get(number)
        if user is None or number not in self.bot.chats:
            raise chat_not_found()
        if self.bot.chats[number].is_blocked:
            raise blocked()
        return Conversation(self.server, self.bot, user)

    def group(self) -> Group | None:
        """Return the group that `chat_id` names, if it is one."""
        given = self.params.text("chat_id")
        is_negative = re.fullmatch(r"-\d{1,19}", given)
        return self.server.state.groups.get(int(given)) if is_negative else None


Method: TypeAlias = Callable[[Call], Awaitable[Any]]
"""What handles a method: it returns `result`, or raises the refusal."""
