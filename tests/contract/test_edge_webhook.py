import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import httpx2
import pytest
from telegram import Update

from edge_bot.update.dispatcher import Handle
from edge_bot.update.webhook import MAX_BODY_BYTES, SECRET_HEADER, Secrets, Webhook, create_app
from generation_client import GenerationError
from runtime.address import Address
from runtime.http import serving
from tests.contract.edge_harness import CHAT, Harness, harness, until
from tests.integration.sandbox_telegram import TOKEN

SECRETS = Secrets.of_token(TOKEN)
UPDATE = b'{"update_id": 1}'


@dataclass
class Receiver:
    """A webhook that listens, and what it read."""

    edge: Harness
    webhook: Webhook
    url: str

    async def post(
        self,
        content: bytes = UPDATE,
        *,
        path: str = SECRETS.path,
        secret: bytes = SECRETS.header.encode(),
    ) -> int:
        headers = [(SECRET_HEADER.encode(), secret)] if secret else []
        async with httpx2.AsyncClient(trust_env=False) as http:
            return (await http.post(self.url + path, headers=headers, content=content)).status_code

    async def register(self) -> None:
        await self.webhook.register(self.url, stop=asyncio.Event())


@asynccontextmanager
async def receiving(handle: Handle, *, max_wait_s: float = 5) -> AsyncIterator[Receiver]:
    async with harness(webhook_retry_s=0.05) as edge:
        webhook = Webhook(
            bot=edge.bot,
            dispatcher=edge.dispatcher(handle),
            token_health=edge.token_health,
            max_wait_s=max_wait_s,
        )
        app = create_app(is_ready=lambda: webhook.is_registered, routes=[webhook.route()])
        async with serving(app, Address("127.0.0.1", 0)) as address:
            yield Receiver(edge, webhook, f"http://{address}")


async def ignore(_: Update) -> None:
    return


REFUSED: dict[str, tuple[dict[str, Any], int]] = {
    "no secret": ({"secret": b""}, 403),
    "another secret": ({"secret": b"0" * 64}, 403),
    "a secret beyond ASCII": ({"secret": b"\xff"}, 403),
    "another path": ({"path": "/telegram/guess"}, 404),
    "too large": ({"content": b" " * (MAX_BODY_BYTES + 1)}, 413),
    "no JSON": ({"content": b"{"}, 400),
    "no object": ({"content": b"[1]"}, 400),
    "not an update": ({"content": b'{"message": 1}'}, 400),
}


@pytest.mark.parametrize(("request_", "status"), REFUSED.values(), ids=REFUSED)
async def test_what_is_not_from_telegram_is_refused(request_: dict[str, Any], status: int) -> None:
    async with receiving(ignore) as receiver:
        assert await receiver.post(**request_) == status
        assert await receiver.post() == 200


async def test_an_update_that_cannot_be_read_is_taken_so_that_it_holds_back_no_other() -> None:
    async with receiving(ignore) as receiver:
        assert await receiver.post(content=b'{"update_id": 1, "message": 7}') == 200


async def test_the_answer_comes_after_the_handling() -> None:
    gate, begun = asyncio.Event(), asyncio.Event()

    async def handle(_: Update) -> None:
        begun.set()
        await gate.wait()

    async with receiving(handle) as receiver:
        answer = asyncio.create_task(receiver.post())
        await asyncio.wait_for(begun.wait(), 5)
        assert not answer.done()
        gate.set()
        assert await answer == 200


async def test_telegram_delivers_with_the_secret_and_in_order() -> None:
    read: list[str] = []

    async def handle(update: Update) -> None:
        read.append(str(update.effective_message and update.effective_message.text))

    async with receiving(handle) as receiver:
        await receiver.edge.telegram.started(CHAT)
        await receiver.register()
        for text in "ab":
            await receiver.edge.telegram.say(CHAT, text)
        await until(receiver.edge.has_confirmed)
        await receiver.edge.telegram.result("deleteWebhook")
    assert read == ["/start", "a", "b"]


async def test_an_update_that_failed_is_sent_again() -> None:
    attempts = 0

    async def handle(_: Update) -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise GenerationError(code=grpc.StatusCode.UNAVAILABLE)

    async with receiving(handle, max_wait_s=0) as receiver:
        await receiver.edge.telegram.started(CHAT)
        await receiver.register()
        await until(receiver.edge.has_confirmed)
        await receiver.edge.telegram.result("deleteWebhook")
    assert attempts == 2


async def test_the_webhook_is_set_again_until_telegram_takes_it() -> None:
    async with receiving(ignore) as receiver:
        await receiver.edge.telegram.fault(kind="server_error", method="setWebhook", times=1)
        assert await status(receiver, "/readyz") == 503
        await receiver.register()
        assert await status(receiver, "/readyz") == 200
        await receiver.edge.telegram.result("deleteWebhook")


async def test_health_is_the_process() -> None:
    async with receiving(ignore) as receiver:
        assert await status(receiver, "/healthz") == 200


async def status(receiver: Receiver, path: str) -> int:
    async with httpx2.AsyncClient(trust_env=False) as http:
        return (await http.get(receiver.url + path)).status_code
