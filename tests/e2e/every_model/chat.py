"""People's chats with the bot, kept up to date by the stream of events that the chat page has.

A person waits for what the bot shows next, and never asks whether it is there yet.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, TypeVar

import httpx2

from tests.e2e.every_model.screen import Json, Screen, screen_of
from tests.e2e.person import SandboxTelegram
from tests.e2e.program import client

SCREEN_S = 60.0
"""How long the bot may take to show what it was asked for: many ask it at once."""
_numbers = count(700_001)
_Found = TypeVar("_Found")


class Chats:
    """The chats of everybody, by the number of the person."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http
        self._chats: dict[int, Chat] = {}

    async def begin(self) -> Chat:
        """Return the chat of somebody who has never used the bot."""
        number = next(_numbers)
        self._chats[number] = Chat(self, number)
        await self._chats[number].speak("en")
        return self._chats[number]

    async def send(self, method: str, path: str, **request: Any) -> Any:
        """Call the stand-in's door for its users."""
        response = await self.http.request(method, path, **request)
        assert response.status_code < 300, f"{path}: {response.text}"
        return response.json()

    async def file(self, name: str) -> bytes:
        """Return the bytes of a file in a chat."""
        response = await self.http.get(f"/sandbox/files/{name}")
        assert response.status_code == 200, f"a file of a chat is not there: {response.text}"
        return response.content

    async def watch(self, is_ready: asyncio.Event) -> None:
        """Keep the chats up to date for as long as the stand-in tells of them."""
        async with self.http.stream("GET", "/sandbox/events", timeout=None) as stream:
            event = ""
            async for line in stream.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    event = value
                    is_ready.set()
                elif name == "data":
                    self._take(event, json.loads(value))

    def _take(self, event: str, data: Json) -> None:
        chat = self._chats.get(data.get("chat_id", 0))
        if chat is not None:
            chat.take(event, data)


class Chat:
    """What one person and the bot have said."""

    def __init__(self, chats: Chats, number: int) -> None:
        self.number = number
        self.chats = chats
        self.messages: dict[int, Json] = {}
        self._shown: dict[int, int] = {}
        """When each message was written or changed last, as a number of the event."""
        self._events = 0
        self._changed = asyncio.Event()

    def take(self, event: str, message: Json) -> None:
        """Note an event of the chat."""
        self._events += 1
        if event in ("message", "edit"):
            self.messages[message["message_id"]] = message
            self._shown[message["message_id"]] = self._events
        elif event == "delete":
            self.messages.pop(message["message_id"], None)
        self._changed.set()
        self._changed = asyncio.Event()

    @property
    def latest(self) -> int:
        """The number of the last message; 0 if there is none."""
        return max(self.messages, default=0)

    def heard(self, *, after: int) -> list[Json]:
        """Return what the bot has written after a message."""
        items = sorted(self.messages.items())
        return [each for number, each in items if number > after and each["from"]["is_bot"]]

    async def speak(self, language: str) -> None:
        """Have the person's app speak a language."""
        fields = {"id": self.number, "first_name": "Ada", "language_code": language}
        await self.chats.send("POST", "/sandbox/users", json=fields)

    async def say(self, text: str, *, reply_to: int = 0) -> Screen:
        """Write, and return what the bot shows for it."""
        reply = {"reply_to_message_id": str(reply_to)} if reply_to else {}
        sent = await self._send("messages", data={"text": text, **reply})
        return await self._next(sent["message_id"], what=f"an answer to {text!r:.60}")

    async def give(self, name: str, data: bytes) -> Screen:
        """Send a file, and return what the bot shows for it."""
        sent = await self._send("messages", files={"document": (name, data)})
        return await self._next(sent["message_id"], what=f"an answer to {name}")

    async def press(self, screen: Screen, label: str) -> Screen:
        """Press a button, and return what the bot shows in its place or below."""
        before, latest = self._events, self.latest
        await self.touch(screen, label)
        return await self._next(
            latest, changed=(screen.message_id, before), what=f"what {label!r} leads to"
        )

    async def touch(self, screen: Screen, label: str) -> None:
        """Press a button and look no further."""
        data = screen.data_of(label)
        assert data, f"no button {label!r} on {screen}"
        await self._send("press", json={"message_id": screen.message_id, "data": data})

    async def see(self, find: Callable[[], _Found | None], *, what: str) -> _Found:
        """Wait until something is found in the chat."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SCREEN_S
        while not (found := find()):
            left = deadline - loop.time()
            assert left > 0, f"not within {SCREEN_S:g} s: {what}; the chat ends with {self._end()}"
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except TimeoutError:
                continue
        return found

    async def _next(self, after: int, *, what: str, changed: tuple[int, int] = (0, 0)) -> Screen:
        """Wait for a newer screen, or for one that has changed since an event."""

        def find() -> Screen | None:
            number, event = changed
            if number and self._shown.get(number, 0) > event:
                return screen_of(self.messages[number])
            screens = (screen_of(each) for each in self.heard(after=after))
            return next((each for each in screens if each), None)

        return await self.see(find, what=what)

    def _end(self) -> str:
        return str([each.get("text", "…")[:200] for each in self.heard(after=0)[-2:]])

    async def _send(self, action: str, **request: Any) -> Any:
        return await self.chats.send("POST", f"/sandbox/chats/{self.number}/{action}", **request)


@asynccontextmanager
async def watched_chats(telegram: SandboxTelegram) -> AsyncIterator[Chats]:
    """Watch all chats while the block runs."""
    async with client(telegram.url) as http:
        chats, is_ready = Chats(http), asyncio.Event()
        watcher = asyncio.create_task(chats.watch(is_ready))
        try:
            await asyncio.wait_for(is_ready.wait(), SCREEN_S)
            yield chats
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
