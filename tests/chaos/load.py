"""Everybody who wants something, each at its time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import httpx2

from tests.chaos import caller, customer, payer
from tests.chaos.buyer import Buyer
from tests.chaos.ledger import Ledger
from tests.chaos.plan import Kind, Order, Plan
from tests.chaos.sale import Gift, Margin, Purchase
from tests.e2e.program import client
from tests.e2e.stack import Stack

READERS = 2


async def load(stack: Stack, ledger: Ledger, orders: Sequence[Order]) -> None:
    """Give all orders; returns when everybody has what they wait for.

    Who is still waiting when this is cancelled is a broken promise.
    """
    async with client(stack.telegram.url) as http, asyncio.TaskGroup() as group:
        for order in orders:
            ledger.orders[order.number] = order
            group.create_task(_ask(stack, ledger, order, http=http), name=f"order {order.number}")


async def trade(stack: Stack, ledger: Ledger, plan: Plan) -> None:
    """Move all money, and change all prices, each at its time."""
    async with client(stack.telegram.url) as http, asyncio.TaskGroup() as group:
        for gift in plan.gifts:
            group.create_task(_at(gift, partial(payer.pay, stack, ledger, gift), ledger))
        for purchase in plan.purchases:
            buyer = Buyer(stack, http, ledger, purchase)
            group.create_task(_at(purchase, buyer.buy, ledger))
        for margin in plan.margins:
            group.create_task(_at(margin, partial(payer.change_price, stack, margin), ledger))


async def _at(
    wish: Gift | Purchase | Margin, do: Callable[[], Awaitable[None]], ledger: Ledger
) -> None:
    await asyncio.sleep(wish.at_s)
    try:
        await do()
    except asyncio.CancelledError:
        ledger.complain(0, f"{wish} was not done at the end")
        raise
    except Exception as error:  # noqa: BLE001 - whatever somebody is told, is evidence
        ledger.complain(0, f"{wish} was refused: {error!r}")


@asynccontextmanager
async def reading(stack: Stack, ledger: Ledger) -> AsyncIterator[None]:
    """Read the callers' feed while the context is open."""
    readers = [
        asyncio.create_task(
            caller.read_feed(stack, ledger, rng=random.Random(f"reader {n} {ledger.seed}"))
        )
        for n in range(READERS)
    ]
    try:
        yield
    finally:
        for reader in readers:
            reader.cancel()
        for end in await asyncio.gather(*readers, return_exceptions=True):
            if not isinstance(end, asyncio.CancelledError):
                ledger.complain(0, f"a reader of the feed was refused: {end!r}")


async def _ask(stack: Stack, ledger: Ledger, order: Order, *, http: httpx2.AsyncClient) -> None:
    await asyncio.sleep(order.at_s)
    try:
        if order.kind is Kind.PERSON:
            await customer.ask(http, ledger, order)
        else:
            await caller.ask(stack, ledger, order)
    except asyncio.CancelledError:
        ledger.complain(order.number, f"a {order.kind} was still waiting at the end")
        raise
    except Exception as error:  # noqa: BLE001 - whatever a caller is told, is evidence
        ledger.complain(order.number, f"a {order.kind} was told {error!r}")
