"""The encoding of actions into 64 bytes.

`encode` writes `<code>:<field>:<field>`, `decode` reads it back and gives None for what it does
not know: buttons outlive releases, and a client can send anything.
"""

from __future__ import annotations

from dataclasses import fields

from edge_bot.view.button import ACTIONS, Action

MAX_DATA_BYTES = 64
"""The size of `callback_data` (Bot API, InlineKeyboardButton)."""
_SEPARATOR = ":"
_BY_CODE = {action.code: action for action in ACTIONS}


class ButtonDataInvalid(ValueError):
    """The action cannot be written as callback data."""


def encode(action: Action) -> str:
    """Return the callback data of an action; raises ButtonDataInvalid if it does not fit."""
    parts = [str(getattr(action, field.name)) for field in fields(action)]
    data = _SEPARATOR.join([action.code, *parts])
    if len(data.encode()) > MAX_DATA_BYTES or any(_SEPARATOR in part for part in parts):
        raise ButtonDataInvalid(data)
    return data


def decode(data: str) -> Action | None:
    """Return the action of callback data, or None for unknown data."""
    code, *parts = data.split(_SEPARATOR)
    # An old message keeps its buttons for ever, and a client may send whatever it likes.
    kind = _BY_CODE.get(code)
    if kind is None or len(parts) != len(fields(kind)):
        return None
    try:
        return kind(*map(_value, parts, (str(field.type) for field in fields(kind))))
    except ValueError:
        return None


def _value(part: str, type_name: str) -> str | int:
    return int(part) if type_name == "int" else part
