"""People who buy credits in the chat with Stars, and what goes back of that."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass

import httpx2

from atelier.wallet.v1 import wallet_service_pb2 as pb
from tests.chaos.ledger import Ledger
from tests.chaos.patience import patiently
from tests.chaos.payer import take_back
from tests.chaos.person import LOOK_S, MAX_WAIT_S, Json, Person, persist
from tests.chaos.sale import Purchase, Return
from tests.e2e.stack import Stack

OPEN = ("thinking", "asked", "approved")
"""The states of a payment that is under way."""
BUTTON_WAIT_S, INVOICE_WAIT_S = 25.0, 12.0
"""How long a person waits for a screen until they ask again."""
KNOWN_WAIT_S = 20.0
"""How long an operator waits until a payment is known."""


@dataclass(frozen=True)
class Buyer:
    """One person with one wish to buy."""

    stack: Stack
    http: httpx2.AsyncClient
    ledger: Ledger
    purchase: Purchase

    async def buy(self) -> None:
        """Buy a pack, one after another in a chat, and have it go back if it is to."""
        purchase, person = self.purchase, self._person
        async with self.ledger.turns[purchase.user_id]:
            await person.arrive()
            charge_id = await self._paid()
        if charge_id is None:
            self.ledger.complain(0, f"nothing could be bought: {purchase}")
            return
        self.ledger.purchases[charge_id] = purchase
        if purchase.goes_back:
            await asyncio.sleep(purchase.goes_back_after_s)
            await self._take_back(charge_id)

    @property
    def _person(self) -> Person:
        return Person(self.http, self.purchase.user_id)

    async def _paid(self) -> str | None:
        """Pay, again if the bot said no or came too late: that costs nothing."""
        deadline = asyncio.get_running_loop().time() + MAX_WAIT_S
        within_s = self.purchase.answer_within_s
        while asyncio.get_running_loop().time() < deadline:
            if message_id := await self._invoice():
                payment = await self._confirmed(message_id, within_s=within_s)
                if payment["state"] == "paid":
                    return str(payment["charge_id"])
                self.ledger.unpaid[payment["state"]] += 1
                within_s = None
                await asyncio.sleep(LOOK_S)
        return None

    async def _invoice(self) -> int | None:
        """Return an invoice in the chat: one that is there, or a new one."""
        known = await self._invoices()
        if known and self.purchase.is_again:
            return known[-1]
        await self._person.write("/topup")

        async def press() -> str | None:
            return await self._person.press_data("wi:chaos")

        async def new() -> int | None:
            return next(iter(set(await self._invoices()) - set(known)), None)

        if not await persist(press, within_s=BUTTON_WAIT_S):
            return None
        return await persist(new, within_s=INVOICE_WAIT_S)

    async def _invoices(self) -> list[int]:
        messages = await self._person.messages()
        return [each["message_id"] for each in messages if "invoice" in each]

    async def _confirmed(self, message_id: int, *, within_s: float | None) -> Json:
        """Confirm a payment and return it once it is over."""
        wish = {name: asdict(self.purchase)[name] for name in ("query", "notice", "settle_s")}
        wish |= {"message_id": message_id, "answer_within_s": within_s}
        paid = await self._person.chat("POST", "pay", json=wish)
        path = f"/sandbox/payments/{paid.json()['pre_checkout_query_id']}"
        while True:
            payment: Json = (await self._person.send("GET", path)).json()
            if payment["state"] not in OPEN:
                self.ledger.payment_ids[payment["charge_id"]] = payment["pre_checkout_query_id"]
                return payment
            await asyncio.sleep(LOOK_S)

    async def _take_back(self, charge_id: str) -> None:
        how = self.purchase.goes_back
        async with asyncio.TaskGroup() as group:
            if how is not Return.CHARGED_BACK:
                group.create_task(self._refund(charge_id))
            if how is Return.CHARGED_BACK:
                group.create_task(self._reverse(charge_id, "chargeback", is_told=False))
            if how is Return.BY_BOTH:
                group.create_task(self._reverse(charge_id, "refund", is_told=True))

    async def _reverse(self, charge_id: str, action: str, *, is_told: bool) -> None:
        """Have Telegram itself take a payment back; it does so once, whoever asks."""
        path = f"/sandbox/payments/{self.ledger.payment_ids[charge_id]}/{action}"
        answer = await self._person.send("POST", path, json={"is_told": is_told})
        if answer.status_code not in (200, 409):
            self.ledger.complain(0, f"{action} of {charge_id}: {answer.text}")

    async def _refund(self, charge_id: str) -> None:
        """Have an operator refund it, once the payment is known at all."""

        async def known() -> str | None:
            return await self._top_up(charge_id)

        top_up_id = await persist(known, within_s=KNOWN_WAIT_S)
        if top_up_id and await take_back(self.stack, top_up_id, wish=self.purchase):
            self.ledger.refunds.add(charge_id)

    async def _top_up(self, charge_id: str) -> str | None:
        request = pb.ListTopUpsRequest(owner=self.purchase.owner, page_size=100)
        listed = await patiently(lambda: self.stack.client.wallet.ListTopUps(request))
        return next((each.id for each in listed.top_ups if each.external_id == charge_id), None)
