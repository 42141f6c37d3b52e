"""Everybody who wants something, each at its time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx2

from generation_client import GenerationError
from tests.chaos import caller, customer, payer
from tests.chaos.ledger import Ledger
from tests.chaos.plan import Gift, Kind, Order
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


async def pay(stack: Stack, ledger: Ledger, gifts: Sequence[Gift]) -> None:
    """Give all credits, each at its time."""
    async with asyncio.TaskGroup() as group:
        for gift in gifts:
            group.create_task(_pay(stack, ledger, gift))


async def _pay(stack: Stack, ledger: Ledger, gift: Gift) -> None:
    await asyncio.sleep(gift.at_s)
    try:
        await payer.pay(stack, ledger, gift)
    except asyncio.CancelledError:
        ledger.complain(0, f"{gift} was not answered at the end")
        raise
    except GenerationError as error:
        ledger.complain(0, f"{gift} was refused: {error!r}")


@asynccontextmanager
async def reading(stack: Stack, ledger: Ledger) -> AsyncIterator[None]:
    """Read the callers' feed, and return Stars, while the context is open."""
    readers = [
        asyncio.create_task(
            caller.read_feed(stack, ledger, rng=random.Random(f"reader {n} {ledger.seed}"))
        )
        for n in range(READERS)
    ]
    readers.append(asyncio.create_task(payer.return_stars(stack)))
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
