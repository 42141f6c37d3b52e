"""One user's hands and eyes in the chat with the bot, over one HTTP client for everybody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx2

from tests.e2e.person import photo

Json = dict[str, Any]
MAX_WAIT_S = 240.0
"""How long a person waits for an answer of the bot, which may be killed meanwhile."""
LOOK_S = 0.5
PHOTO = photo(320, 240)
_T = TypeVar("_T")


class Person:
    """Somebody at the sandbox Telegram, who has a chat with the bot."""

    def __init__(self, http: httpx2.AsyncClient, user_id: int) -> None:
        self._http, self.id = http, user_id

    async def arrive(self) -> None:
        await self.send("POST", "/sandbox/users", json={"id": self.id})

    async def write(self, text: str, *, has_photo: bool = False) -> None:
        files = {"photo": ("photo.png", PHOTO, "image/png")} if has_photo else None
        await self.chat("POST", "messages", data={"text": text}, files=files)

    async def press(self, label: str) -> str | None:
        """Press the newest button with this label; None if there is none any more."""
        return await self._find(lambda text, _: text == label)

    async def press_data(self, start: str) -> str | None:
        """Press the newest button whose data begins so; None if there is none any more."""
        return await self._find(lambda _, data: data.startswith(start))

    async def block(self) -> None:
        await self.chat("POST", "block")

    async def messages(self) -> list[Json]:
        """Return what is there to see, oldest first."""
        found: list[Json] = (await self.chat("GET", "messages")).json()["messages"]
        return found

    async def chat(self, method: str, action: str, **request: Any) -> httpx2.Response:
        return await self.send(method, f"/sandbox/chats/{self.id}/{action}", **request)

    async def send(self, method: str, path: str, **request: Any) -> httpx2.Response:
        return await self._http.request(method, path, **request)

    async def _find(self, is_it: Callable[[str, str], bool]) -> str | None:
        for message in reversed(await self.messages()):
            for text, data in buttons(message):
                if is_it(text, data):
                    return await self._press({"message_id": message["message_id"], "data": data})
        return None

    async def _press(self, button: Json) -> str | None:
        answer = await self.chat("POST", "press", json=button)
        return answer.json()["callback_query_id"] if answer.status_code < 300 else None


async def persist(act: Callable[[], Awaitable[_T | None]], *, within_s: float) -> _T | None:
    """Try until something comes of it; None if nothing does in time."""
    deadline = asyncio.get_running_loop().time() + within_s
    while not (value := await act()):
        if asyncio.get_running_loop().time() > deadline:
            return None
        await asyncio.sleep(LOOK_S)
    return value


def buttons(message: Json) -> list[tuple[str, str]]:
    """Return the texts and the data of a message's buttons."""
    rows = message.get("reply_markup", {}).get("inline_keyboard", [])
    return [(each["text"], each.get("callback_data", "")) for row in rows for each in row]
