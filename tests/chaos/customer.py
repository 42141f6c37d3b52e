"""People at Telegram: they write, press, change their minds, and sometimes block the bot."""

from __future__ import annotations

import asyncio
from functools import partial

import httpx2

from tests.chaos.ledger import Ledger
from tests.chaos.person import MAX_WAIT_S, Person, persist
from tests.chaos.plan import Order

FIRST_ID = 700_000
GENERATE = "✨ Generate"


async def ask(http: httpx2.AsyncClient, ledger: Ledger, order: Order) -> None:
    """Be a person with one wish, from the first word to the press, and to a change of mind."""
    person = Person(http, FIRST_ID + order.number)
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


async def _confirm(person: Person, ledger: Ledger, order: Order) -> bool:
    async def press() -> bool:
        query = await person.press(GENERATE)
        if query:
            ledger.presses[order.number].append(query)
        return query is not None

    is_confirmed = await persist(press, within_s=MAX_WAIT_S)
    if is_confirmed and order.is_repeated:
        await press()
    return bool(is_confirmed)


async def _cancel(person: Person) -> None:
    """Try to cancel; whether there is still time for it is luck."""
    for label in ("Cancel", "Yes, cancel"):
        await persist(partial(person.press, label), within_s=8)
