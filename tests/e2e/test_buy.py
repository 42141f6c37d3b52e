"""Credits from a press in the chat to a paid picture, with kill -9 between payment and credit."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from atelier.wallet.v1 import wallet_service_pb2 as pb
from generation_client import connect
from generation_svc.domain.money import MoneyMode
from generation_svc.lifecycle.ledger_audit import check_ledger
from generation_svc.storage.start import started_database
from tests.e2e.caller import TOKENS
from tests.e2e.person import Json, Person, photo
from tests.e2e.program import until
from tests.e2e.stack import Shape, Stack

PACK_STARS, PACK_CREDITS = 120, 110
AGAIN = ("try again in a minute", "попробуйте ещё раз через минуту")
"""What who pays is told when the check took too long."""
SHAPE = Shape(
    replicas=2,
    edges=2,
    service={"MONEY": MoneyMode.TEST, "STAR_PACKS": f"small={PACK_CREDITS}:{PACK_STARS}"},
)


def button(message: Json, start: str) -> str | None:
    """Return the data of a message's button that begins so."""
    rows = message.get("reply_markup", {}).get("inline_keyboard", [])
    found = (str(each.get("callback_data", "")) for row in rows for each in row)
    return next((each for each in found if each.startswith(start)), None)


async def press(person: Person, start: str, *, times: int = 1) -> str:
    """Press the latest button whose data begins so, all presses at once; return its data."""
    await person.sees(f"a button {start}", lambda message: button(message, start) is not None)
    message = [each for each in await person.heard() if button(each, start)][-1]
    data = button(message, start)
    order = {"message_id": message["message_id"], "data": data}
    path = f"/sandbox/chats/{person.number}/press"
    await asyncio.gather(*(person.telegram.send("POST", path, json=order) for _ in range(times)))
    return str(data)


async def invoice(person: Person) -> Json:
    """Ask for the packs, and press the one that is sold; return the invoice."""
    await person.says("/topup")
    await press(person, "wi:small")
    return await person.sees("an invoice", lambda message: "invoice" in message)


async def pays(person: Person, message: Json, **plan: Any) -> str:
    """Pay an invoice as planned; return the query.

    On a slow machine the check takes too long: then nothing is paid, and a person pays again.
    """

    async def is_taken() -> str | None:
        query = await asks(person, message, **plan)
        found = await until(lambda: answered(person, query), within_s=15, what="an answer")
        if found["state"] in ("approved", "paid"):
            return query
        assert found["state"] == "expired" or any(each in found["error"] for each in AGAIN), found
        return None

    return await until(is_taken, within_s=90, what="a payment that is checked in time")


async def asks(person: Person, message: Json, **plan: Any) -> str:
    """Begin to pay an invoice as planned; return the query, which an edge has yet to answer."""
    order = {"message_id": message["message_id"], **plan}
    path = f"/sandbox/chats/{person.number}/pay"
    return str((await person.telegram.send("POST", path, json=order))["pre_checkout_query_id"])


async def answered(person: Person, query: str) -> Json | None:
    """Return a payment once an edge has answered, or no longer can."""
    payment: Json = await person.telegram.send("GET", f"/sandbox/payments/{query}")
    return None if payment["state"] in ("thinking", "asked") else payment


async def until_paid(person: Person, query: str) -> Json:
    """Wait until Telegram has the Stars."""

    async def is_paid() -> Json | None:
        payment: Json = await person.telegram.send("GET", f"/sandbox/payments/{query}")
        assert payment["state"] in ("thinking", "asked", "approved", "paid"), payment
        return payment if payment["state"] == "paid" else None

    return await until(is_paid, within_s=15, what="the payment")


async def wallet(stack: Stack, person: Person) -> tuple[int, int, int]:
    """Return what the person can spend, what is held, and how often something was bought."""
    (row,) = await stack.history.rows(
        "SELECT granted + paid AS balance, held, (SELECT count(*) FROM top_up"
        " WHERE owner = wallet.owner) AS bought FROM wallet WHERE owner = %(owner)s",
        owner=f"telegram:{person.number}",
    )
    return row["balance"], row["held"], row["bought"]


async def start_edges(stack: Stack) -> None:
    """Start edges that were killed, and let no lease of the dead count."""
    await stack.history.run_out_leases()
    for edge in stack.edges:
        edge.start()
    await asyncio.gather(*(each.ready() for each in stack.edges))


async def differences(stack: Stack) -> list[str]:
    url = stack.service.env["DATABASE_URL"]
    async with started_database(
        SecretStr(url), folder=Path(), max_connections=2, stop=asyncio.Event()
    ) as database:
        return [str(each) for each in (await check_ledger(database)).differences]


async def test_a_person_buys_credits_and_makes_a_picture_with_them(running: Stack) -> None:
    person = await running.telegram.person(first_name="Ada", language_code="en")
    message = await invoice(person)
    async with running.history.holding("top_up", event="INSERT", when="true"):
        await until_paid(person, await pays(person, message))
        await running.history.caught()
        for edge in running.edges:
            edge.kill()
        await running.history.drop_caught()
    assert await running.history.rows("SELECT id FROM top_up") == []
    await start_edges(running)
    await person.reads(f"You have {PACK_CREDITS} credits.")
    assert await wallet(running, person) == (PACK_CREDITS, 0, 1)

    price = await orders(person, "a lighthouse that was paid for")
    picture = await person.gets_picture()
    left = PACK_CREDITS - price
    assert f"Cost: {price} credits. You have {left} credits." in picture["caption"]
    assert await wallet(running, person) == (left, 0, 1)
    jobs = await running.history.rows("SELECT state, captured FROM hold")
    assert [(each["state"], each["captured"]) for each in jobs] == [("captured", price)]
    await person.says("/balance")
    await person.reads(f"You have {PACK_CREDITS - price} credits.")
    await reads_receipt(person)
    assert await differences(running) == []


async def test_what_waits_for_a_payment_survives_a_restart_with_its_picture(running: Stack) -> None:
    person = await running.telegram.person(first_name="Eve", language_code="en")
    await person.says("/start")
    await person.sees("the start", lambda message: button(message, "G::") is not None)
    await choose(person, "gpt-image-2-image-to-image")
    await person.sees("the question", lambda message: button(message, "x:") is not None)
    await person.sends_photo(photo())
    await person.reads("1 picture")
    await person.says("make it a winter night")
    await press(person, "ga:")
    await person.reads("Not begun yet")
    await press(person, "wi:small")
    bill = await person.sees("an invoice", lambda message: "invoice" in message)
    for edge in running.edges:
        edge.kill()
    await start_edges(running)
    await until_paid(person, await pays(person, bill))
    await person.sees("the draft", lambda message: "make it a winter night" in str(message))
    await person.reads("the payment has arrived")
    await press(person, "ga:")
    await person.gets_picture()
    rows = await running.history.rows(
        "SELECT inputs::text AS inputs FROM job WHERE owner = %(owner)s",
        owner=f"telegram:{person.number}",
    )
    assert len(rows) == 1
    assert "upload:" in rows[0]["inputs"]
    assert await differences(running) == []


async def choose(person: Person, model_id: str) -> None:
    """Press the button of a model, as on the shelf where it is offered."""
    message = (await person.heard())[-1]
    order = {"message_id": message["message_id"], "data": f"m::{model_id}", "force": True}
    path = f"/sandbox/chats/{person.number}/press"
    await person.telegram.send("POST", path, json=order)


async def orders(person: Person, prompt: str) -> int:
    """Have a dear model draw something, with 20 presses at once; return what it costs."""
    await person.says("/models")
    await press(person, "G::0")
    await press(person, "P::1")
    await press(person, "m::seedream")
    await person.sees("the question", lambda message: button(message, "x:") is not None)
    await person.says(prompt)
    data = await press(person, "ga:", times=20)
    return int(data.rpartition(":")[2])


async def reads_receipt(person: Person) -> None:
    """Open the receipt of what was bought."""
    await person.says("/receipts")
    await press(person, "wz:")
    await person.reads(f"Paid: ⭐️ {PACK_STARS}")


async def test_a_payment_goes_back_once_however_often_it_is_asked_for(running: Stack) -> None:
    person = await running.telegram.person(first_name="Bob", language_code="en")
    query = await pays(person, await invoice(person))
    payment = await until_paid(person, query)
    await person.reads(f"You have {PACK_CREDITS} credits.")
    await running.telegram.fault("answer_lost", method="refundStarPayment", times=1, seconds=60)
    top_up_id = await refund_everywhere(running, payment["charge_id"], times=10)
    assert await wallet(running, person) == (0, 0, 1)

    async def is_back() -> bool:
        payment: Json = await running.telegram.send("GET", f"/sandbox/payments/{query}")
        return bool(payment["is_refunded"])

    await until(is_back, within_s=60, what="the Stars are back")
    for edge in running.edges:  # nobody knows of it but Telegram
        edge.kill()
    state = await running.history.value("SELECT state FROM top_up WHERE id = %(id)s", id=top_up_id)
    assert state == "refunding"
    await running.history.rows("UPDATE top_up SET lease_time = now() - interval '1 s'")
    await start_edges(running)

    async def is_known() -> bool:
        rows = await running.history.rows("SELECT id FROM top_up WHERE state = 'refunded'")
        return len(rows) == 1

    await until(is_known, within_s=60, what="the refund is known")
    await person.telegram.send("POST", f"/sandbox/payments/{query}/notice")
    await person.says("/balance")
    await person.reads("You have 0 credits.")
    await refund_everywhere(running, payment["charge_id"], times=2)
    assert await wallet(running, person) == (0, 0, 1)
    assert await differences(running) == []


async def refund_everywhere(stack: Stack, charge_id: str, *, times: int) -> str:
    """Ask for a refund at all replicas at once, often; return the id of the top-up."""
    asked = "SELECT id::text FROM top_up WHERE external_id = %(id)s"
    top_up_id = str(await stack.history.value(asked, id=charge_id))
    request = pb.RefundTopUpRequest(top_up_id=top_up_id, reason="disliked")
    async with AsyncExitStack() as opened:
        token = SecretStr(TOKENS["caller"])
        clients = [
            await opened.enter_async_context(connect(each.env["GENERATION_LISTEN"], token=token))
            for each in stack.services
        ]
        await asyncio.gather(
            *(client.wallet.RefundTopUp(request) for client in clients for _ in range(times))
        )
    return top_up_id
