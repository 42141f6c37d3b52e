"""Keyboards, checked as Telegram checks them."""

from typing import Any

from sandbox.telegram.error import bad_request
from sandbox.telegram.limit import BUTTON_COUNT, CALLBACK_DATA_BYTES
from sandbox.telegram.link import checked_link
from sandbox.telegram.model import Chat, Json
from sandbox.telegram.param import Params

ACTIONS = (
    "url",
    "callback_data",
    "web_app",
    "login_url",
    "copy_text",
    "switch_inline_query",
    "pay",
)


def read_inline_markup(params: Params) -> Json:
    """Return the `reply_markup` field of a message; nothing if the call has no inline keyboard."""
    rows = _inline_rows(params)
    if any("pay" in button for row in rows for button in row):
        raise bad_request("BUTTON_TYPE_INVALID")
    return {"reply_markup": {"inline_keyboard": rows}} if rows else {}


def read_invoice_markup(params: Params, *, stars: int) -> Json:
    """Return the `reply_markup` field of an invoice, in which the first button pays."""
    rows = _inline_rows(params) or [[{"text": f"Pay ⭐️{stars}", "pay": True}]]
    first, *others = [button for row in rows for button in row]
    if "pay" not in first:
        raise bad_request("REPLY_MARKUP_BUY_EMPTY")
    if any("pay" in button for button in others):
        raise bad_request("BUTTON_POS_INVALID")
    return {"reply_markup": {"inline_keyboard": rows}}


def _inline_rows(params: Params) -> list[list[Json]]:
    markup = _markup(params)
    if "inline_keyboard" not in markup:
        return []
    rows = [[_button(button) for button in row] for row in _rows(markup["inline_keyboard"])]
    rows = [[button for button in row if button["text"]] for row in rows]
    rows = [row for row in rows if row]
    if sum(map(len, rows)) > BUTTON_COUNT:
        raise bad_request("REPLY_MARKUP_TOO_LONG")
    return rows


def apply_keyboard(params: Params, chat: Chat) -> None:
    """Show or remove the reply keyboard that a call asks for."""
    markup = _markup(params)
    if "keyboard" in markup:
        chat.keyboard = [[_key(key) for key in row] for row in _rows(markup["keyboard"])]
    elif markup.get("remove_keyboard"):
        chat.keyboard = []


def _markup(params: Params) -> Json:
    markup = params.parsed("reply_markup", what="reply keyboard markup")
    if markup is None:
        return {}
    if not isinstance(markup, dict):
        raise bad_request("object expected as reply markup")
    return markup


def _rows(rows: Any) -> list[list[Any]]:
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        kind = "inline keyboard" if not isinstance(rows, list) else "keyboard button"
        raise bad_request(f"can't parse {kind}: expected an Array of Arrays")
    return rows


def _key(key: Any) -> Json:
    return {"text": key} if isinstance(key, str) else _checked(key, what="keyboard button")


def _button(given: Any) -> Json:
    button = _checked(given, what="inline keyboard button")
    actions = [name for name in ACTIONS if name in button]
    if not actions:
        reason = "Text buttons are unallowed in the inline keyboard"
        raise bad_request(f"can't parse inline keyboard button: {reason}")
    if "callback_data" in button:
        _check_data(button["callback_data"])
    if "url" in button and not checked_link(str(button["url"])):
        raise bad_request(
            f"inline keyboard button URL '{button['url']}' is invalid: Wrong HTTP URL"
        )
    return button


def _checked(button: object, *, what: str) -> Json:
    if not isinstance(button, dict):
        raise bad_request(f"can't parse {what}: expected an Object")
    if "text" not in button:
        raise bad_request(f"can't parse {what}: Can't find field \"text\"")
    if not isinstance(button["text"], str):
        raise bad_request(f'can\'t parse {what}: Field "text" must be of type String')
    return button


def _check_data(data: Any) -> None:
    if not isinstance(data, str):
        reason = 'Field "callback_data" must be of type String'
        raise bad_request(f"can't parse inline keyboard button: {reason}")
    if not 1 <= len(data.encode()) <= CALLBACK_DATA_BYTES:
        raise bad_request("BUTTON_DATA_INVALID")
