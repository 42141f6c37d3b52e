"""A sandbox Telegram on a free port, and people who use it."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
from PIL import Image
from telegram import Bot
from telegram.request import HTTPXRequest

from sandbox.server import address, bind, running
from sandbox.telegram.app import create_app
from sandbox.telegram.settings import TelegramSettings

# As edge_bot.telegram.bot has it, so that it makes no difference whether that was imported before.
os.environ.setdefault("PTB_TIMEDELTA", "1")

TOKEN = "42:sandbox-secret"
Json = dict[str, Any]


def picture(width: int = 640, height: int = 480, *, kind: str = "PNG") -> bytes:
    output = BytesIO()
    Image.new("RGB", (width, height), "teal").save(output, kind)
    return output.getvalue()


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    sock = bind("127.0.0.1:0")
    async with running(app, sock=sock):
        yield f"http://{address(sock)}"


@dataclass
class Sandbox:
    """The sandbox from outside: its address and a client for it."""

    url: str
    http: httpx2.AsyncClient
    stop: Callable[[], None]

    async def call(
        self, method: str, *, token: str = TOKEN, files: Any = None, **params: Any
    ) -> Json:
        """Call a Bot API method and return its body, with the status checked against it."""
        url = f"/bot{token}/{method}"
        sent = {name: _form_value(value) for name, value in params.items()}
        response = await self.http.post(url, data=sent, files=files)
        body: Json = response.json()
        assert response.status_code == body.get("error_code", 200)
        return body

    async def result(self, method: str, **params: Any) -> Any:
        """Call a Bot API method that has to succeed."""
        body = await self.call(method, **params)
        assert body["ok"], body
        return body["result"]

    async def refusal(self, method: str, **params: Any) -> str:
        """Call a Bot API method that has to be refused, and return the words."""
        body = await self.call(method, **params)
        assert not body["ok"], body
        return str(body["description"])

    async def user(self, number: int = 7, **fields: Any) -> int:
        response = await self.http.post("/sandbox/users", json={"id": number, **fields})
        assert response.status_code == 200, response.text
        return number

    async def say(self, chat: int, text: str = "", *, files: Any = None, **fields: Any) -> Json:
        url = f"/sandbox/chats/{chat}/messages"
        response = await self.http.post(url, data={"text": text, **fields}, files=files)
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def started(self, number: int = 7, *, token: str = TOKEN, **fields: Any) -> int:
        """Make a user who has written to the bot; return the chat."""
        bot = await self.result("getMe", token=token)
        await self.user(number, **fields)
        url = f"/sandbox/chats/{number}/messages?bot={bot['id']}"
        await self.http.post(url, json={"text": "/start"})
        return number

    async def press(self, chat: int, message_id: int, data: str) -> str:
        body = {"message_id": message_id, "data": data}
        response = await self.http.post(f"/sandbox/chats/{chat}/press", json=body)
        assert response.status_code == 200, response.text
        return str(response.json()["callback_query_id"])

    async def invoice(self, chat: int, *, stars: int = 100, **params: Any) -> Json:
        """Have the bot send an invoice in Stars; return the message."""
        given: Json = {"title": "Credits", "description": "100 credits", "payload": "pack:100"}
        given |= {"currency": "XTR", "prices": [{"label": "Credits", "amount": stars}]}
        return dict(await self.result("sendInvoice", chat_id=chat, **{**given, **params}))

    async def pay(self, chat: int, **order: Any) -> Json:
        """Have somebody pay an invoice; return the payment as it stands at once."""
        response = await self.http.post(f"/sandbox/chats/{chat}/pay", json=order)
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def paid(self, chat: int, **order: Any) -> Json:
        """Have somebody pay an invoice, and the bot agree; return the payment."""
        query = (await self.pay(chat, **order))["pre_checkout_query_id"]
        await self.result("answerPreCheckoutQuery", pre_checkout_query_id=query, ok=True)
        return await self.payment(query)

    async def payment(self, query: str, action: str = "", **body: Any) -> Json:
        """Show a payment, or do something about it."""
        url = f"/sandbox/payments/{query}"
        if action:
            response = await self.http.post(f"{url}/{action}", json=body or None)
        else:
            response = await self.http.get(url)
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def until_paid(self, query: str, state: str = "paid") -> Json:
        """Return a payment as soon as it stands so."""
        async with asyncio.timeout(5):
            while (payment := await self.payment(query))["state"] != state:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return payment

    async def transactions(self, **page: int) -> list[Json]:
        return list((await self.result("getStarTransactions", **page))["transactions"])

    async def news(self, kind: str) -> list[Json]:
        """Return what waits for the bot of one kind; messages by a field that they have."""
        updates = await self.result("getUpdates")
        messages = [update["message"] for update in updates if "message" in update]
        found = [update[kind] for update in updates if kind in update]
        return found or [message[kind] for message in messages if kind in message]

    async def messages(self, chat: int) -> list[Json]:
        response = await self.http.get(f"/sandbox/chats/{chat}/messages")
        return list(response.json()["messages"])

    async def fault(self, **rule: Any) -> int:
        response = await self.http.put("/sandbox/faults", json=rule)
        assert response.status_code == 200, response.text
        return int(response.json()["id"])

    async def calls(self, method: str) -> list[Json]:
        response = await self.http.get("/sandbox/calls", params={"method": method})
        return list(response.json()["calls"])

    async def until_called(self, method: str, *, times: int = 1, is_over: bool = False) -> None:
        """Return as soon as the bot has called a method so often, and all calls are over."""

        async def has_come() -> bool:
            calls = await self.calls(method)
            is_done = all(call["status"] is not None for call in calls)
            return len(calls) >= times and (is_done or not is_over)

        async with asyncio.timeout(5):
            while not await has_come():  # noqa: ASYNC110 - the sandbox is asked over HTTP
                await asyncio.sleep(0.005)

    @asynccontextmanager
    async def watching(self, chat: int) -> AsyncIterator[AsyncIterator[tuple[str, Json]]]:
        """Follow the chat's events; the first one has been read, so nothing is missed."""
        async with self.http.stream("GET", f"/sandbox/chats/{chat}/events") as response:
            events = _events(response)
            assert (await anext(events))[0] == "ready"
            yield events

    @asynccontextmanager
    async def client(self, token: str = TOKEN) -> AsyncIterator[Bot]:
        """Use the sandbox with python-telegram-bot's own client."""
        plain = {"verify": False}  # to read certificates would take longer than most tests
        request = HTTPXRequest(read_timeout=5, httpx_kwargs=plain)
        bot = Bot(
            token,
            base_url=f"{self.url}/bot",
            base_file_url=f"{self.url}/file/bot",
            request=request,
            get_updates_request=HTTPXRequest(read_timeout=5, httpx_kwargs=plain),
        )
        async with bot:
            yield bot


@asynccontextmanager
async def sandbox(state_path: Path | None = None, **settings: Any) -> AsyncIterator[Sandbox]:
    app = create_app(TelegramSettings(state_path=state_path, **settings))
    async with (
        serving(app) as url,
        httpx2.AsyncClient(base_url=url, timeout=10, trust_env=False) as http,
    ):
        yield Sandbox(url, http, stop=app.state.telegram.stop)


async def eventually(condition: Callable[[], bool], *, within_s: float = 5) -> None:
    """Return as soon as the condition holds."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        await asyncio.sleep(0.005)


def _form_value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


async def _events(response: httpx2.Response) -> AsyncIterator[tuple[str, Json]]:
    event = ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            event = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield event, json.loads(line.removeprefix("data: "))
