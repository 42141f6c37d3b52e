"""What people do: they write, send files, press buttons, block. The chat page and tests use it."""

from typing import Any

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.telegram.error import ApiError
from sandbox.telegram.event import EVERYWHERE, Place
from sandbox.telegram.model import Bot, Json, User
from sandbox.telegram.param import read_params
from sandbox.telegram.place import bot_of, conversation_of, server_of
from sandbox.telegram.presence import EventStream
from sandbox.telegram.server import TelegramServer
from sandbox.telegram.speech import say

FIRST_USER_ID = 1001


async def list_bots(request: Request) -> Response:
    """List the bots, the one that people talk to by default first."""
    server = server_of(request)
    bots = sorted(server.state.bots.values(), key=lambda bot: -bot.last_seen)
    language = request.query_params.get("language", "")
    return JSONResponse({"bots": [_bot_to_json(bot, language=language) for bot in bots]})


async def list_users(request: Request) -> Response:
    """List the users."""
    users = server_of(request).state.users.values()
    return JSONResponse({"users": [user.to_api() for user in users]})


async def put_user(request: Request) -> Response:
    """Make a user, or change the one with the same id."""
    server = server_of(request)
    values: dict[str, Any] = (await read_params(request)).values
    number = values.get("id", max(server.state.users, default=FIRST_USER_ID - 1) + 1)
    known = server.state.users.get(int(number))
    old = known.model_dump() if known else {}
    try:
        user = User.model_validate(old | values | {"id": number})
    except ValidationError as error:
        raise HTTPException(422, str(error)) from error
    server.state.users[user.id] = user
    server.changed()
    server.events.publish_everywhere("users")
    return JSONResponse(user.to_api())


async def show_chat(request: Request) -> Response:
    """Show who talks with whom, and whether the bot is blocked."""
    conversation = conversation_of(request)
    chat = conversation.chat
    return JSONResponse(
        {
            "user": conversation.user.to_api(),
            "bot": conversation.bot.to_api(),
            "is_blocked": chat.is_blocked,
            "keyboard": chat.keyboard,
            "stars": conversation.user.stars,
        }
    )


async def list_messages(request: Request) -> Response:
    """List the messages of a chat that are there to see."""
    conversation = conversation_of(request)
    messages = conversation.chat.messages.values()
    shown = [conversation.to_api(message) for message in messages if not message.is_deleted]
    return JSONResponse({"messages": shown})


async def send(request: Request) -> Response:
    """Send a text, photos or a document to the bot."""
    conversation = conversation_of(request)
    messages = await say(conversation, await read_params(request))
    return JSONResponse(messages[0] | {"album": messages[1:]} if messages[1:] else messages[0])


async def press(request: Request) -> Response:
    """Press an inline button; `force` presses one that the message no longer has."""
    conversation = conversation_of(request)
    params = await read_params(request)
    message = conversation.find(params.integer("message_id"), otherwise="no such message")
    data = params.text("data")
    if not params.flag("force") and data not in _buttons(message.content):
        raise HTTPException(409, "the message has no such button")
    query = conversation.press(message, data=data)
    return JSONResponse({"callback_query_id": query.id})


async def show_callback(request: Request) -> Response:
    """Show a press of a button and its answer."""
    bot = bot_of(request)
    query = bot.callbacks.get(request.path_params["query"])
    if query is None:
        raise HTTPException(404, "no such callback query")
    return JSONResponse(query.model_dump())


async def block(request: Request) -> Response:
    """Block the bot."""
    conversation_of(request).set_blocked(True)
    return Response(status_code=204)


async def unblock(request: Request) -> Response:
    """Let the bot write again."""
    conversation_of(request).set_blocked(False)
    return Response(status_code=204)


async def watch(request: Request) -> Response:
    """Stream the changes of a chat as server-sent events."""
    conversation = conversation_of(request)
    return _stream(conversation.server, (conversation.bot.id, conversation.user.id))


async def watch_all(request: Request) -> Response:
    """Stream the changes of every chat with every bot."""
    return _stream(server_of(request), EVERYWHERE)


async def show_file(request: Request) -> Response:
    """Hand out a file by its `file_unique_id`."""
    server = server_of(request)
    file = server.state.files.get(request.path_params["file"])
    if file is None:
        raise HTTPException(404, "no such file")
    headers = {"Cache-Control": "max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return Response(server.files.read(file), media_type=_harmless(file.mime_type), headers=headers)


def _stream(server: TelegramServer, place: Place) -> Response:
    frames = server.events.stream(place)
    return EventStream(frames, headers={"Cache-Control": "no-store"})


def _harmless(mime_type: str) -> str:
    """Keep a sent file from running as a page of the sandbox."""
    is_picture = mime_type in ("image/jpeg", "image/png", "image/webp", "image/gif")
    is_played = mime_type.startswith(("video/", "audio/"))
    return mime_type if is_picture or is_played else "application/octet-stream"


def _buttons(content: Json) -> set[str]:
    rows = content.get("reply_markup", {}).get("inline_keyboard", [])
    return {button["callback_data"] for row in rows for button in row if "callback_data" in button}


def _bot_to_json(bot: Bot, *, language: str) -> Json:
    def first(found: dict[str, Any], kind: str) -> Any:
        return found.get(f"{kind}:{language}") or found.get(f"{kind}:")

    return bot.to_api() | {
        "description": first(bot.texts, "description") or "",
        "commands": first(bot.commands, "all_private_chats")
        or first(bot.commands, "default")
        or [],
    }


async def refuse(request: Request, error: Exception) -> Response:
    """Answer with the reason why the sandbox, or Telegram itself, refuses a user's action."""
    if isinstance(error, ApiError):
        return JSONResponse({"detail": error.description}, status_code=error.code)
    if isinstance(error, HTTPException):
        return JSONResponse({"detail": error.detail}, status_code=error.status_code)
    raise error


ROUTES = [
    Route("/sandbox/bots", list_bots),
    Route("/sandbox/users", list_users, methods=["GET"]),
    Route("/sandbox/users", put_user, methods=["POST"]),
    Route("/sandbox/chats/{chat:int}", show_chat),
    Route("/sandbox/chats/{chat:int}/messages", list_messages, methods=["GET"]),
    Route("/sandbox/chats/{chat:int}/messages", send, methods=["POST"]),
    Route("/sandbox/chats/{chat:int}/press", press, methods=["POST"]),
    Route("/sandbox/chats/{chat:int}/block", block, methods=["POST"]),
    Route("/sandbox/chats/{chat:int}/unblock", unblock, methods=["POST"]),
    Route("/sandbox/chats/{chat:int}/events", watch),
    Route("/sandbox/events", watch_all),
    Route("/sandbox/callbacks/{query}", show_callback),
    Route("/sandbox/files/{file}", show_file),
]
