"""People at Telegram: they write, press, change their minds, and sometimes block the bot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import httpx2

from tests.chaos.ledger import Ledger
from tests.chaos.plan import Order
from tests.e2e.person import photo

Json = dict[str, Any]
MAX_WAIT_S = 240.0
"""How long a person waits for an answer of the bot, which may be killed meanwhile."""
LOOK_S = 0.5
FIRST_ID = 700_000
GENERATE = "✨ Generate"
PHOTO = photo(320, 240)
_T = TypeVar("_T")


async def ask(http: httpx2.AsyncClient, ledger: Ledger, order: Order) -> None:
    """Be a person with one wish, from the first word to the press, and to a change of mind."""
    person = _Person(http, order.number)
    await person.arrive()
    await person.write(ledger.prompt_of(order.number), has_photo=order.has_photo)
    if not await _confirm(person, ledger, order):
        ledger.complain(order.number, "the bot never offered to draw what a person wrote")
        return
    if order.blocks_after_s is not None:
        await asyncio.sleep(order.blocks_after_s)
        ledger.blocked.add(order.number)
        await person.block()
    if order.cancel_after_s is not None:
        await asyncio.sleep(order.cancel_after_s)
        await _cancel(person)


async def _confirm(person: _Person, ledger: Ledger, order: Order) -> bool:
    async def press() -> bool:
        query = await person.press(GENERATE)
        if query:
            ledger.presses[order.number].append(query)
        return query is not None

    is_confirmed = await _persist(press, within_s=MAX_WAIT_S)
    if is_confirmed and order.is_repeated:
        await press()
    return bool(is_confirmed)


async def _cancel(person: _Person) -> None:
    """Try to cancel; whether there is still time for it is luck."""
    for label in ("Cancel", "Yes, cancel"):
        await _persist(partial(person.press, label), within_s=8)


class _Person:
    """One user's hands and eyes, over one HTTP client for everybody."""

    def __init__(self, http: httpx2.AsyncClient, number: int) -> None:
        self._http = http
        self._id = FIRST_ID + number

    async def arrive(self) -> None:
        await self._send("POST", "/sandbox/users", json={"id": self._id})

    async def write(self, text: str, *, has_photo: bool) -> None:
        files = {"photo": ("photo.png", PHOTO, "image/png")} if has_photo else None
        await self._chat("POST", "messages", data={"text": text}, files=files)

    async def press(self, label: str) -> str | None:
        """Press the newest button with this label; None if there is none any more."""
        messages = (await self._chat("GET", "messages")).json()["messages"]
        for message in reversed(messages):
            for text, data in _buttons(message):
                if text == label:
                    return await self._press({"message_id": message["message_id"], "data": data})
        return None

    async def block(self) -> None:
        await self._chat("POST", "block")

    async def _press(self, button: Json) -> str | None:
        answer = await self._chat("POST", "press", json=button)
        return answer.json()["callback_query_id"] if answer.status_code < 300 else None

    async def _chat(self, method: str, action: str, **request: Any) -> httpx2.Response:
        return await self._send(method, f"/sandbox/chats/{self._id}/{action}", **request)

    async def _send(self, method: str, path: str, **request: Any) -> httpx2.Response:
        return await self._http.request(method, path, **request)


async def _persist(act: Callable[[], Awaitable[_T | None]], *, within_s: float) -> _T | None:
    """Try until something comes of it; None if nothing does in time."""
    deadline = asyncio.get_running_loop().time() + within_s
    while not (value := await act()):
        if asyncio.get_running_loop().time() > deadline:
            return None
        await asyncio.sleep(LOOK_S)
    return value


def _buttons(message: Json) -> list[tuple[str, str]]:
    rows = message.get("reply_markup", {}).get("inline_keyboard", [])
    return [(each["text"], each.get("callback_data", "")) for row in rows for each in row]
