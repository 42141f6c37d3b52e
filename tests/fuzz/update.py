"""Updates of the Bot API: every kind, as Telegram writes them, and then damaged."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from edge_bot.view.button import ACTIONS
from tests.fuzz.known import Known
from tests.fuzz.odd import Odd

Json = dict[str, Any]
GONE = 999_999_999
"""A user who is at no sandbox."""


@dataclass(frozen=True)
class Chats:
    """What there is at Telegram."""

    users: list[int]
    buttons: list[str]
    """The callback data of buttons of ours, of this bot and of the other one."""
    files: list[str]
    live: list[tuple[int, int, str]] = field(default_factory=list)
    """Buttons that are there to be pressed: the user, the message, the data."""


class Updates:
    """Draws updates without their number."""

    def __init__(self, odd: Odd, known: Known, chats: Chats) -> None:
        self._odd, self._known, self._chats = odd, known, chats
        self._kinds = self._all_kinds()
        self._contents = self._all_contents()

    def _all_kinds(self) -> dict[str, Callable[[], Any]]:
        odd = self._odd
        return {
            "message": self._message,
            "edited_message": self._message,
            "channel_post": self._message,
            "edited_channel_post": self._message,
            "business_message": self._message,
            "edited_business_message": self._message,
            "callback_query": self._press,
            "business_connection": lambda: self._by(user_chat_id=1, can_reply=True, date=1),
            "deleted_business_messages": lambda: self._in(message_ids=[1, 2]),
            "message_reaction": lambda: self._in(
                message_id=1, date=1, old_reaction=[], new_reaction=[_emoji("👍")]
            ),
            "message_reaction_count": lambda: self._in(message_id=1, date=1, reactions=[]),
            "inline_query": lambda: self._by(query=odd.text(), offset=""),
            "chosen_inline_result": lambda: self._by(result_id="1", query=odd.text()),
            "shipping_query": lambda: self._by(invoice_payload="x", shipping_address={}),
            "pre_checkout_query": lambda: self._by(
                currency="XTR", total_amount=1, invoice_payload=odd.text()
            ),
            "purchased_paid_media": lambda: self._by(paid_media_payload="x"),
            "poll": self._poll,
            "poll_answer": lambda: {"poll_id": "1", "user": self._user(), "option_ids": [0]},
            "my_chat_member": self._member,
            "chat_member": self._member,
            "chat_join_request": lambda: self._in(user_chat_id=1, date=1) | self._by(),
            "chat_boost": lambda: self._in(boost={"boost_id": "1"}),
            "removed_chat_boost": lambda: self._in(boost_id="1", remove_date=1, source={}),
        }

    def _all_contents(self) -> list[Callable[[], Json]]:
        odd = self._odd
        return [
            lambda: {"text": odd.text()},
            lambda: {
                "text": odd.pick(("/start", "/models", "/cancel", "/help x", "/", "//", "/@"))
            },
            lambda: {"text": odd.text() * odd.pick((1, 50)), "entities": self._entities()},
            lambda: {"photo": [self._file(width=640, height=480)], "caption": odd.text()},
            lambda: {"photo": [self._file(width=1, height=1)], "media_group_id": odd.pick("123")},
            lambda: {"photo": []},
            lambda: {"document": self._file(mime_type=odd.pick(("image/png", "text/html", "")))},
            lambda: {"animation": self._file(width=1, height=1, duration=1), "document": {}},
            lambda: {"voice": self._file(duration=1)},
            lambda: {"video_note": self._file(length=1, duration=1)},
            lambda: {"video": self._file(width=1, height=1, duration=1)},
            lambda: {"audio": self._file(duration=1, title=odd.text())},
            lambda: {"sticker": self._file(width=1, height=1, type="regular")},
            lambda: {"contact": {"phone_number": "+1", "first_name": odd.text()}},
            lambda: {"location": {"latitude": 1.5, "longitude": 2.5}},
            lambda: {"dice": {"emoji": "🎲", "value": odd.whole()}},
            lambda: {"poll": self._poll()},
            lambda: {"successful_payment": {"currency": "XTR", "total_amount": odd.whole()}},
            lambda: {"new_chat_members": [self._user(), self._user()]},
            lambda: {"web_app_data": {"data": odd.text(), "button_text": odd.text()}},
            lambda: {"users_shared": {"request_id": 1, "users": []}},
            lambda: {"giveaway": odd.tree(is_json=True)},
            lambda: {odd.text(): odd.tree(is_json=True)},
            dict,
        ]

    def draw(self) -> Json:
        """Return an update; half of them are damaged."""
        odd = self._odd
        if odd.chance(0.02):
            return {odd.text(): odd.tree(is_json=True)}
        usual = ("message", "message", "callback_query")
        kind = odd.pick(usual) if odd.chance(0.6) else odd.pick(list(self._kinds))
        update = {kind: self._kinds[kind]()}
        return self._damaged(update) if odd.chance(0.5) else update

    def some_users(self) -> list[int]:
        """Return a few of those who are there."""
        return self._odd.random.sample(self._chats.users, min(8, len(self._chats.users)))

    def _user(self) -> Json:
        odd = self._odd
        number = odd.pick(self._chats.users) if odd.chance(0.97) else GONE
        user = {"id": number, "is_bot": odd.chance(0.02), "first_name": odd.text()}
        tag = odd.pick(("en", "ru", "de-AT", "", "zz-zz-zz", odd.text()))
        return user | ({"language_code": tag} if odd.chance(0.9) else {})

    def _chat(self, user: Json) -> Json:
        kind = self._odd.pick(("private",) * 9 + ("group", "supergroup", "channel", "sender"))
        number = user["id"] if kind == "private" else -user["id"]
        return {"id": number, "type": kind, "first_name": "A", "title": self._odd.text()}

    def _message(self) -> Json:
        odd, user = self._odd, self._user()
        number = odd.random.randrange(1, 2**31)
        message = {
            "message_id": number,
            "from": user,
            "chat": self._chat(user),
            "date": 1_700_000_000,
        }
        message |= odd.pick(self._contents)()
        if odd.chance(0.05):
            message |= odd.pick(self._contents)()
        if odd.chance(0.05):
            message["reply_to_message"] = {**message, "message_id": number - 1}
        return message

    def _press(self) -> Json:
        odd, user = self._odd, self._user()
        message = self._message() | {"chat": self._chat(user), "message_id": odd.pick(range(1, 40))}
        if self._chats.live and odd.chance(0.4):
            return self._true_press(message)
        press = {"id": str(odd.random.getrandbits(60)), "from": user, "chat_instance": "1"}
        if odd.chance(0.95):
            press["data"] = self._data()
        if odd.chance(0.1):
            message = {"chat": message["chat"], "message_id": message["message_id"], "date": 0}
        return press | ({"message": message} if odd.chance(0.95) else {"inline_message_id": "1"})

    def _true_press(self, message: Json) -> Json:
        """Return a press that could be: of a button that the user sees."""
        number, message_id, data = self._odd.pick(self._chats.live)
        user = {"id": number, "is_bot": False, "first_name": "A", "language_code": "en"}
        message |= {"chat": {"id": number, "type": "private"}, "message_id": message_id}
        press = {"id": str(self._odd.random.getrandbits(60)), "chat_instance": "1"}
        return press | {"from": user, "message": message, "data": data}

    def _data(self) -> str:
        """Return what a button says: a real one's, or one that could be."""
        odd = self._odd
        if odd.chance(0.4):
            return odd.pick(self._chats.buttons)
        if odd.chance(0.2):
            return odd.text()
        action = odd.pick(ACTIONS)
        values = [self._argument(each.name, str(each.type)) for each in fields(action)]
        return ":".join([action.code, *values])

    def _argument(self, name: str, kind: str) -> str:
        odd = self._odd
        if kind == "int":
            return odd.pick(("0", "1", "-1", "2", "99", "٣", "1_0", " 1", "9" * 40, "1e3", ""))
        if name == "job_id" and odd.chance(0.8):
            return odd.pick(self._known.jobs)
        if name == "draft" and odd.chance(0.6):
            return odd.pick(["", *(each.partition(":")[2][:8] for each in self._chats.buttons)])
        return odd.text().replace(":", "")

    def _file(self, **more: Any) -> Json:
        odd = self._odd
        number = odd.pick(self._chats.files) if odd.chance(0.6) else odd.text()
        size = odd.pick((0, 1, 100, 11 << 20, -1, 2**40))
        return {"file_id": number, "file_unique_id": number[:9], "file_size": size, **more}

    def _entities(self) -> list[Json]:
        odd = self._odd
        return [
            {
                "type": odd.pick(("bold", "bot_command", "url", "?")),
                "offset": odd.whole(),
                "length": 3,
            }
            for _ in range(odd.random.randrange(3))
        ]

    def _by(self, **more: Any) -> Json:
        return {"id": "1", "from": self._user(), "user": self._user(), **more}

    def _in(self, **more: Any) -> Json:
        return {"chat": self._chat(self._user()), "business_connection_id": "1", **more}

    def _poll(self) -> Json:
        return {"id": "1", "question": self._odd.text(), "options": [], "type": "quiz"}

    def _member(self) -> Json:
        member = {"user": self._user(), "status": self._odd.pick(("kicked", "member", "?"))}
        return self._in(date=1, old_chat_member=member, new_chat_member=member) | self._by()

    def _damaged(self, update: Json) -> Json:
        """Return an update of which parts are missing, others, or too many."""
        update = copy.deepcopy(update)
        for _ in range(self._odd.random.randint(1, 3)):
            holder, name = self._place(update)
            match self._odd.random.randrange(4):
                case 0:
                    del holder[name]
                case 1:
                    holder[name] = [holder[name]]
                case 2:
                    holder[name] = self._odd.tree(is_json=True)
                case _:
                    holder[name] = self._odd.scalar(is_json=True)
            if not update:
                break
        return update

    def _place(self, tree: Any) -> tuple[Any, Any]:
        """Return a part at random, as what holds it and its name there."""
        name = self._odd.pick(list(tree) if isinstance(tree, dict) else range(len(tree)))
        inner = tree[name]
        if isinstance(inner, dict | list) and inner and self._odd.chance(0.8):
            return self._place(inner)
        return tree, name


def _emoji(emoji: str) -> Json:
    return {"type": "emoji", "emoji": emoji}
