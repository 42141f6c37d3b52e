"""People at the sandbox Telegram: they write, press buttons and wait for pictures."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from itertools import count
from typing import Any

from PIL import Image

from tests.e2e.program import client, until

Json = dict[str, Any]
MAX_WAIT_S = 30.0
_numbers = count(5001)


class SandboxTelegram:
    """The stand-in's own HTTP API, and the door for its users."""

    def __init__(self, address: str) -> None:
        self.url = f"http://{address}"

    async def person(self, **fields: Any) -> Person:
        """Return somebody who has never used the bot."""
        number = next(_numbers)
        await self.send("POST", "/sandbox/users", json={"id": number, **fields})
        return Person(self, number)

    async def fault(self, kind: str, **rule: Any) -> None:
        """Switch a fault on."""
        await self.send("PUT", "/sandbox/faults", json={"kind": kind, **rule})

    async def heal(self) -> None:
        """Switch every fault off."""
        await self.send("DELETE", "/sandbox/faults")

    async def calls(self, method: str, *, chat_id: int | None = None) -> list[Json]:
        """Return the calls of a Bot API method, to one chat or to all."""
        query = f"method={method}" + (f"&chat_id={chat_id}" if chat_id else "")
        found: list[Json] = (await self.send("GET", f"/sandbox/calls?{query}"))["calls"]
        return found

    async def send(self, method: str, path: str, **request: Any) -> Any:
        async with client(self.url) as http:
            response = await http.request(method, path, **request)
        assert response.status_code < 300, f"{path}: {response.text}"
        return response.json() if response.content else None


class Person:
    """One user in the chat with the bot."""

    def __init__(self, telegram: SandboxTelegram, number: int) -> None:
        self.telegram = telegram
        self.number = number

    async def says(self, text: str) -> None:
        """Write to the bot."""
        await self._send("POST", "messages", data={"text": text})

    async def sends_photo(self, photo: bytes, *, caption: str = "") -> None:
        """Send a photo."""
        file = ("photo.png", photo, "image/png")
        await self._send("POST", "messages", data={"text": caption}, files={"photo": file})

    async def sends_file(self, data: bytes, *, name: str, mime_type: str) -> None:
        """Send a file as a document, called and declared as the sender pleases."""
        await self._send("POST", "messages", files={"document": (name, data, mime_type)})

    async def presses(self, label: str) -> str:
        """Press the button with this text in the latest message that has one; return the query."""

        async def button() -> Json | None:
            return next(
                (
                    {"message_id": message["message_id"], "data": data}
                    for message in reversed(await self.messages())
                    for text, data in _buttons(message)
                    if text == label
                ),
                None,
            )

        found = await until(button, within_s=MAX_WAIT_S, what=f"a button {label!r}")
        pressed = await self._send("POST", "press", json=found)
        return str(pressed["callback_query_id"])

    async def asks_for(self, prompt: str) -> None:
        """Have the first model draw something: the text, then the confirmation."""
        await self.says(prompt)
        await self.presses("✨ Generate")

    async def messages(self) -> list[Json]:
        """Return what is there to see, oldest first."""
        found: list[Json] = (await self._send("GET", "messages"))["messages"]
        return found

    async def heard(self) -> list[Json]:
        """Return what the bot said."""
        return [each for each in await self.messages() if each["from"]["is_bot"]]

    async def pictures(self) -> list[Json]:
        """Return the bot's pictures."""
        return [each for each in await self.heard() if "photo" in each or "document" in each]

    async def failures(self) -> list[Json]:
        """Return the messages that tell of a failure and offer another try."""
        return [each for each in await self.heard() if ("🔁 Try again") in dict(_buttons(each))]

    async def sees(self, what: str, find: Callable[[Json], bool]) -> Json:
        """Wait until a message of the bot is like that."""

        async def look() -> Json | None:
            return next(filter(find, await self.heard()), None)

        try:
            return await until(look, within_s=MAX_WAIT_S, what=what)
        except AssertionError as error:
            error.add_note(f"The bot said {await self.heard()}")
            raise

    async def reads(self, words: str) -> Json:
        """Wait until the bot says these words."""
        return await self.sees(words, lambda message: words in message.get("text", ""))

    async def gets_picture(self, *, within_s: float = MAX_WAIT_S) -> Json:
        """Wait for a picture."""
        pictures = await until(self.pictures, within_s=within_s, what="a picture in the chat")
        return pictures[0]

    async def calls(self, method: str) -> list[Json]:
        """Return the bot's calls of a method for this chat."""
        return await self.telegram.calls(method, chat_id=self.number)

    async def _send(self, method: str, action: str, **request: Any) -> Any:
        return await self.telegram.send(method, f"/sandbox/chats/{self.number}/{action}", **request)


def photo(width: int = 640, height: int = 480) -> bytes:
    """Return a picture that somebody took."""
    output = BytesIO()
    Image.new("RGB", (width, height), "teal").save(output, "PNG")
    return output.getvalue()


def _buttons(message: Json) -> list[tuple[str, str]]:
    rows = message.get("reply_markup", {}).get("inline_keyboard", [])
    return [(each["text"], each.get("callback_data", "")) for row in rows for each in row]
