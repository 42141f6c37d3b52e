"""What a bot says about itself, and what it may know of a chat."""

import re
import time
from functools import partial

from sandbox.telegram.call import Call, Method
from sandbox.telegram.error import bad_request
from sandbox.telegram.limit import COMMAND_COUNT
from sandbox.telegram.model import Json

COMMAND = re.compile(r"[a-z0-9_]{1,32}")
TEXTS = {"name": 64, "description": 512, "short_description": 120}
"""The texts of a bot's profile and how long they may be."""


async def get_me(call: Call) -> Json:
    """Return the bot itself."""
    call.bot.last_seen = time.time()
    call.server.changed()
    return call.bot.to_api() | {
        "can_join_groups": True,
        "can_read_all_group_messages": False,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
    }


async def get_chat(call: Call) -> Json:
    """Return what the bot may know of a chat."""
    details: Json = {"accent_color_id": 0, "max_reaction_count": 11}
    gifts = ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription")
    details |= {"accepted_gift_types": dict.fromkeys((*gifts, "gifts_from_channels"), True)}
    return call.conversation().user.chat_to_api() | details


async def set_my_commands(call: Call) -> bool:
    """Set the menu of commands for a scope and a language."""
    commands = [_checked(command) for command in call.params.objects("commands")]
    if len(commands) > COMMAND_COUNT:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    call.bot.commands[_scope(call)] = commands
    call.server.changed()
    return True


async def get_my_commands(call: Call) -> list[Json]:
    """Return the menu of commands of a scope and a language."""
    return call.bot.commands.get(_scope(call), [])


async def delete_my_commands(call: Call) -> bool:
    """Remove the menu of commands of a scope and a language."""
    call.bot.commands.pop(_scope(call), None)
    call.server.changed()
    return True


def _scope(call: Call) -> str:
    scope = call.params.parsed("scope", what="BotCommandScope") or {"type": "default"}
    return f"{scope.get('type')}:{call.params.text('language_code')}"


def _checked(command: Json) -> Json:
    name = str(command.get("command", "")).removeprefix("/")
    if not COMMAND.fullmatch(name):
        raise bad_request("BOT_COMMAND_INVALID")
    if not 1 <= len(str(command.get("description", ""))) <= 256:
        raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    return {"command": name, "description": str(command["description"])}


async def _set_text(call: Call, *, kind: str) -> bool:
    text = call.params.text(kind)
    if len(text) > TEXTS[kind]:
        raise bad_request(f"bot {kind.replace('_', ' ')} is too long")
    call.bot.texts[f"{kind}:{call.params.text('language_code')}"] = text
    if kind == "name" and text and not call.params.text("language_code"):
        call.bot.first_name = text
    call.server.changed()
    return True


async def _get_text(call: Call, *, kind: str) -> Json:
    default = call.bot.first_name if kind == "name" else ""
    texts = call.bot.texts
    language = call.params.text("language_code")
    return {kind: texts.get(f"{kind}:{language}") or texts.get(f"{kind}:") or default}


async def accept(call: Call) -> bool:
    """Take a call whose effect nobody sees here."""
    return True


METHODS: dict[str, Method] = {
    "getMe": get_me,
    "getChat": get_chat,
    "setMyCommands": set_my_commands,
    "getMyCommands": get_my_commands,
    "deleteMyCommands": delete_my_commands,
    "setMyName": partial(_set_text, kind="name"),
    "getMyName": partial(_get_text, kind="name"),
    "setMyDescription": partial(_set_text, kind="description"),
    "getMyDescription": partial(_get_text, kind="description"),
    "setMyShortDescription": partial(_set_text, kind="short_description"),
    "getMyShortDescription": partial(_get_text, kind="short_description"),
    "setChatMenuButton": accept,
    "setMyDefaultAdministratorRights": accept,
    "logOut": accept,
    "close": accept,
}
