"""What two edges are told of a payment at the same moment is one credit and one message."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from generation_svc.domain.money import MoneyMode
from runtime.address import Address
from runtime.http import serving
from tests.e2e.person import Person
from tests.e2e.stack import Shape, Stack
from tests.e2e.test_buy import differences, invoice, pays, until_paid, wallet
from tests.port import free_address

CREDITS, STARS = 110, 120
ADDRESS = free_address()
SHAPE = Shape(
    replicas=2,
    edges=2,
    service={"MONEY": MoneyMode.TEST, "STAR_PACKS": f"small={CREDITS}:{STARS}"},
    edge={"TELEGRAM_WEBHOOK_URL": f"http://{ADDRESS}"},
)


@dataclass
class Doubler:
    """What stands between Telegram and the edges, and gives both what is about a payment."""

    urls: list[str]
    doubled: Counter[str] = field(default_factory=Counter)

    async def take(self, request: Request) -> Response:
        update = await request.json()
        is_paid = "successful_payment" in update.get("message", {})
        kind = "paid" if is_paid else "checkout" if "pre_checkout_query" in update else ""
        self.doubled[kind] += 1
        urls = self.urls if kind else self.urls[:1]
        statuses = await asyncio.gather(
            *(_post(f"{url}{request.url.path}", request) for url in urls)
        )
        return Response(status_code=max(statuses))


async def _post(url: str, request: Request) -> int:
    async with httpx2.AsyncClient(timeout=60) as http:
        answer = await http.post(url, content=await request.body(), headers=request.headers.raw)
    return answer.status_code


@pytest.fixture(scope="module")
async def doubler(running: Stack) -> AsyncIterator[Doubler]:
    doubler = Doubler([f"http://{each.env['EDGE_LISTEN']}" for each in running.edges])
    app = Starlette(routes=[Route("/{path:path}", doubler.take, methods=["POST"])])
    async with serving(app, Address.parse(ADDRESS)):
        yield doubler


async def test_a_payment_that_comes_to_two_edges_at_once_is_credited_and_told_once(
    running: Stack, doubler: Doubler
) -> None:
    people = [
        await running.telegram.person(first_name=f"Ada {number}", language_code="en")
        for number in range(8)
    ]
    for person in people:
        await until_paid(person, await pays(person, await invoice(person)))
        await person.reads(f"You have {CREDITS} credits.")
        await settled(person)
    # Telegram says it again where an edge took too long to answer, to both again.
    assert min(doubler.doubled["checkout"], doubler.doubled["paid"]) >= len(people)
    for person in people:
        told = [each for each in await person.heard() if "has arrived" in each.get("text", "")]
        assert len(told) == 1
        assert await wallet(running, person) == (CREDITS, 0, 1)
    assert await differences(running) == []


async def settled(person: Person) -> None:
    """Wait until both edges have done with the payment: only then the next update is posted."""
    await person.says("/terms")
    await person.reads("Terms")
