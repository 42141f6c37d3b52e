"""The sandbox's own API for tests: calls, messages, counters, faults, reset."""

import json

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.telegram.conversation import Conversation
from sandbox.telegram.fault import FaultRule
from sandbox.telegram.model import Bot, Group, Json
from sandbox.telegram.server import TelegramServer
from sandbox.telegram.update import Inbox


async def list_calls(request: Request) -> Response:
    """List the Bot API calls received, oldest first; `method`, `chat_id`, `bot_id` narrow it."""
    names = ("method", "chat_id", "bot_id")
    conditions = {name: request.query_params.get(name, "") for name in names}
    return JSONResponse({"calls": _server(request).journal.listed(**conditions)})


async def show_counters(request: Request) -> Response:
    """Show how many calls, answers and messages there were."""
    return JSONResponse(_server(request).journal.counters)


async def list_messages(request: Request) -> Response:
    """List every message of every chat with its edits, deleted ones included."""
    server = _server(request)
    wanted = request.query_params.get("chat_id")
    chats = [
        shown
        for bot in server.state.bots.values()
        for shown in _chats(server, bot)
        if wanted in (None, str(shown["chat_id"]))
    ]
    return JSONResponse({"chats": chats})


async def list_faults(request: Request) -> Response:
    """List the faults that are switched on."""
    return JSONResponse({"faults": _server(request).faults.listed()})


async def put_fault(request: Request) -> Response:
    """Switch a fault on."""
    try:
        rule = FaultRule.model_validate_json(await request.body())
    except ValidationError as error:
        return JSONResponse({"detail": error.errors(include_url=False)}, status_code=422)
    return JSONResponse(_server(request).faults.add(rule).to_json())


async def delete_faults(request: Request) -> Response:
    """Switch one fault off, or all."""
    _server(request).faults.remove(request.path_params.get("fault"))
    return Response(status_code=204)


async def force_updates(request: Request) -> Response:
    """Queue updates of any shape for the bot `?bot=<id>`, as they are but for their number."""
    updates = json.loads(await request.body())
    inbox = _inbox(request)
    for update in updates:
        inbox.force(update)
    return JSONResponse({"waiting": len(inbox.bot.updates)})


async def put_group(request: Request) -> Response:
    """Make a group, or change the one with the same id; what is said in it is forced."""
    try:
        group = Group.model_validate_json(await request.body())
    except ValidationError as error:
        return JSONResponse({"detail": error.errors(include_url=False)}, status_code=422)
    server = _server(request)
    server.state.groups[group.id] = group
    server.changed()
    return JSONResponse(group.to_api())


async def count_updates(request: Request) -> Response:
    """Tell how many updates wait for the bot `?bot=<id>`."""
    return JSONResponse({"waiting": len(_inbox(request).bot.updates)})


async def reset(request: Request) -> Response:
    """Forget everything but the bots."""
    _server(request).reset()
    return Response(status_code=204)


def _server(request: Request) -> TelegramServer:
    server: TelegramServer = request.app.state.telegram
    return server


def _inbox(request: Request) -> Inbox:
    bot = _server(request).bot_by_id(int(request.query_params["bot"]))
    if bot is None:
        raise HTTPException(409, "no such bot has called yet")
    return _server(request).inbox(bot)


def _chats(server: TelegramServer, bot: Bot) -> list[Json]:
    return [
        {
            "bot_id": bot.id,
            "chat_id": number,
            "is_blocked": chat.is_blocked,
            "messages": _messages(Conversation(server, bot, server.state.users[number])),
        }
        for number, chat in bot.chats.items()
    ]


def _messages(conversation: Conversation) -> list[Json]:
    return [
        conversation.to_api(message)
        | {
            "is_deleted": message.is_deleted,
            "history": [version.model_dump() for version in message.history],
        }
        for message in conversation.chat.messages.values()
    ]


ROUTES = [
    Route("/sandbox/calls", list_calls),
    Route("/sandbox/counters", show_counters),
    Route("/sandbox/messages", list_messages),
    Route("/sandbox/faults", list_faults, methods=["GET"]),
    Route("/sandbox/faults", put_fault, methods=["PUT"]),
    Route("/sandbox/faults", delete_faults, methods=["DELETE"]),
    Route("/sandbox/faults/{fault:int}", delete_faults, methods=["DELETE"]),
    Route("/sandbox/updates", force_updates, methods=["POST"]),
    Route("/sandbox/updates", count_updates, methods=["GET"]),
    Route("/sandbox/groups", put_group, methods=["POST"]),
    Route("/sandbox/reset", reset, methods=["POST"]),
]
