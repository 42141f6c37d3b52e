"""A user whose credits the service itself keeps: what is missing, what is held, what is told."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from atelier.wallet.v1 import wallet_service_pb2 as pb
from atelier.wallet.v1.wallet_service_pb2_grpc import WalletServiceStub
from edge_bot.pack.payload import Payload
from tests.contract.edge_chat import Chat, chatting_at
from tests.contract.service import Service, serving
from tests.edge_model import USER

OWNER = f"telegram:{USER}"
BOM = b"\xef\xbb\xbf"
MODEL = "gpt-image-2-text-to-image"
MONEY = {"money": "test", "star_packs": "small=100:50,large=1000:450"}


@pytest.fixture
async def service(database_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    async with serving(database_url, tmp_path / "media", more_settings=MONEY) as made:
        yield made


@asynccontextmanager
async def reviewing(service: Service) -> AsyncIterator[Chat]:
    """Chat with an edge of the service, up to the review of a model that costs credits."""
    async with chatting_at(service.address) as chat:
        await chat.press_data(f"m::{MODEL}", message_id=(await chat.last())["message_id"])
        await chat.say("a cat")
        yield chat


async def grant(service: Service, amount: int) -> None:
    request = pb.GrantCreditsRequest(
        request_id=str(uuid4()), owner=OWNER, credits=amount, reason="a gift"
    )
    await WalletServiceStub(service.channel).GrantCredits(request)


async def buy(chat: Chat, *, notice: str = "once") -> str:
    """Pay the invoice of what is missing, which is the small pack's; return the charge."""
    await chat.press("Top up")
    return await pay(chat, notice=notice)


async def pay(chat: Chat, *, notice: str = "once") -> str:
    """Pay the invoice that has just come; return the charge."""
    message = await chat.last()
    query = (await chat.telegram.pay(USER, message_id=message["message_id"], notice=notice))[
        "pre_checkout_query_id"
    ]
    await chat.pump()
    payment = await chat.telegram.until_paid(query)
    await chat.pump()
    return str(payment["charge_id"])


async def price_of(chat: Chat) -> int:
    """Return the price that the confirmation carries."""
    rows = (await chat.last())["reply_markup"]["inline_keyboard"]
    data = [each["callback_data"] for row in rows for each in row]
    return int(next(each for each in data if each.startswith("ga:")).rpartition(":")[2])


async def test_a_job_begins_once_there_is_enough(service: Service) -> None:
    async with reviewing(service) as chat:
        price = await price_of(chat)
        assert f"{price} more credits are needed" in await chat.last_text()
        await chat.press("Create")
        assert "Not begun yet" in await chat.last_text()
        await grant(service, price + 3)
        await chat.press("Create")
        assert "Not begun yet" not in await chat.last_text()
        await chat.say("/balance")
        text = await chat.last_text()
        assert "You have 3 credits." in text
        assert f"Set aside for what is being made: {price}." in text
        await chat.press("History")
        lines = await chat.last_text()
        assert f"−{price} · GPT Image 2" in lines
        assert f"+{price + 3} · bonus (a gift)" in lines
        assert "balance 3" in lines


@pytest.mark.parametrize(("button", "begins"), [("30 days · PDF", b"%PDF"), ("CSV", BOM)])
async def test_a_statement_comes_as_a_file(service: Service, button: str, begins: bytes) -> None:
    await grant(service, 25)
    async with reviewing(service) as chat:
        await chat.say("/balance")
        for label in ("History", "Statement", button):
            await chat.press(label)
        document = (await chat.last())["document"]
        file = await chat.context.bot.get_file(document["file_id"])
        assert bytes(await file.download_as_bytearray()).startswith(begins)
        form = "pdf" if begins == b"%PDF" else "csv"
        assert re.fullmatch(rf"statement-[0-9-]{{21}}\.{form}", document["file_name"])


async def test_a_price_that_was_not_shown_is_not_taken(service: Service) -> None:
    async with reviewing(service) as chat:
        price = await price_of(chat)
        await grant(service, 100)
        message = await chat.last()
        rows = message["reply_markup"]["inline_keyboard"]
        data = next(
            each["callback_data"]
            for row in rows
            for each in row
            if each["callback_data"].startswith("ga:")
        )
        tag = data.split(":")[1]
        await chat.press_data(f"ga:{tag}:{price - 1}", message_id=message["message_id"])
        assert f"it was {price - 1}, and now it is {price}" in await chat.last_text()
        await chat.press("Create")
        assert "price has changed" not in await chat.last_text()
        await chat.say("/balance")
        assert f"You have {100 - price} credits." in await chat.last_text()


async def test_what_is_bought_for_stars_pays_for_a_job(service: Service) -> None:
    async with reviewing(service) as chat:
        price = await price_of(chat)
        charge = await buy(chat, notice="twice")
        assert "You have 100 credits." in await chat.last_text()
        await chat.press("Create")
        await chat.say("/balance")
        text = await chat.last_text()
        assert f"You have {100 - price} credits." in text
        assert f"Set aside for what is being made: {price}." in text
        found = await WalletServiceStub(service.channel).ListTopUps(
            pb.ListTopUpsRequest(owner=OWNER)
        )
        (top_up,) = found.top_ups
        assert (top_up.external_id, top_up.credits, top_up.amount) == (charge, 100, 50)
        assert not top_up.is_refundable


async def test_a_payment_of_another_invoice_is_refused_before_it_is_made(service: Service) -> None:
    async with reviewing(service) as chat:
        message = await chat.telegram.invoice(USER, stars=49, payload=Payload("small", USER).text())
        query = (await chat.telegram.pay(USER, message_id=message["message_id"]))[
            "pre_checkout_query_id"
        ]
        await chat.pump()
        await chat.telegram.until_paid(query, "refused")
        wallet = pb.GetBalanceRequest(owner=OWNER)
        assert (await WalletServiceStub(service.channel).GetBalance(wallet)).wallet.balance == 0


async def test_a_top_up_says_how_much_of_it_paid_a_debt(service: Service) -> None:
    stub = WalletServiceStub(service.channel)
    async with reviewing(service) as chat:
        price = await price_of(chat)
        await buy(chat)
        await chat.press("Create")
        (top_up,) = (await stub.ListTopUps(pb.ListTopUpsRequest(owner=OWNER))).top_ups
        request = pb.RefundTopUpRequest(top_up_id=top_up.id, reason="a trial", is_forced=True)
        await stub.RefundTopUp(request)
        await chat.say("/topup")
        assert f"Owed: {price}." in await chat.last_text()
        await chat.press("+100 credits")
        await pay(chat)
        text = await chat.last_text()
        assert f"Of these, {price} went towards your debt." in text
        assert f"You have {100 - price} credits." in text
        assert "Owed" not in text
