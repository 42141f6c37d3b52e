"""What a request of the sandbox's own API is about: the server, a bot, a chat."""

from starlette.exceptions import HTTPException
from starlette.requests import Request

from sandbox.telegram.conversation import Conversation
from sandbox.telegram.model import Bot
from sandbox.telegram.server import TelegramServer


def server_of(request: Request) -> TelegramServer:
    """Return the sandbox itself."""
    server: TelegramServer = request.app.state.telegram
    return server


def bot_of(request: Request) -> Bot:
    """Return the bot that `?bot=<id>` names, or the one that said hello last."""
    server = server_of(request)
    number = request.query_params.get("bot", "")
    bot = server.bot_by_id(int(number)) if number.isdecimal() else server.latest_bot()
    if bot is None:
        raise HTTPException(409, "no bot has called yet")
    return bot


def conversation_of(request: Request) -> Conversation:
    """Return the chat of that bot with the user whom the address names."""
    return conversation_with(request, request.path_params["chat"])


def conversation_with(request: Request, user_id: int) -> Conversation:
    """Return the chat of that bot with a user."""
    server = server_of(request)
    user = server.state.users.get(user_id)
    if user is None:
        raise HTTPException(404, "no such user")
    return Conversation(server, bot_of(request), user)
