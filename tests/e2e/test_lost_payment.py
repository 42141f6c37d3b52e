"""A day of lost updates and two outages: each payment is credited once, and the payer is told."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from pydantic import SecretStr

from atelier.wallet.v1 import wallet_service_pb2 as pb
from generation_client import connect
from generation_svc.domain.money import MoneyMode
from tests.e2e.caller import TOKENS
from tests.e2e.person import Json, Person
from tests.e2e.program import until
from tests.e2e.stack import BOT_ID, Shape, Stack
from tests.e2e.test_buy import (
    asks,
    button,
    differences,
    invoice,
    pays,
    start_edges,
    until_paid,
    wallet,
)

CREDITS, STARS = 110, 120
SHAPE = Shape(
    replicas=2,
    edges=2,
    service={
        "MONEY": MoneyMode.TEST,
        "STAR_PACKS": f"small={CREDITS}:{STARS}",
        # Less than what is lost: what Telegram lists is not held back by it.
        "MAX_DAILY_TOP_UP_CREDITS": str(3 * CREDITS),
    },
    edge={"EDGE_HEAL_STARS": "false"},
)


async def payment_in(person: Person, query: str, state: str, *, within_s: float = 15) -> Json:
    """Wait until a payment has come so far."""

    async def look() -> Json | None:
        payment: Json = await person.telegram.send("GET", f"/sandbox/payments/{query}")
        return payment if payment["state"] == state else None

    return await until(look, within_s=within_s, what=f"a payment that is {state}")


async def healed(stack: Stack) -> None:
    """Order that all is healed, and wait until it is."""
    order = pb.HealStarsRequest(bot_id=BOT_ID, reason="no update came all day")
    assert (await stack.client.wallet.HealStars(order)).bot_ids == [BOT_ID]

    async def is_done() -> bool:
        asked = pb.ListStarDifferencesRequest()
        found = await stack.client.wallet.ListStarDifferences(asked)
        return not found.ordered_bot_ids

    await until(is_done, within_s=60, what="an edge has read all Stars")


async def test_a_day_of_lost_updates_is_healed_by_an_operators_command(running: Stack) -> None:
    people = [await running.telegram.person(first_name="Ada", language_code="en") for _ in range(4)]
    lost: dict[Person, list[str]] = {}
    for person in people:
        message = await invoice(person)
        lost[person] = [await pays(person, message, notice="never") for _ in range(2)]
    for person, queries in lost.items():
        for query in queries:
            await until_paid(person, query)
    assert await running.history.rows("SELECT id FROM top_up") == []

    await healed(running)
    for person in people:
        assert await wallet(running, person) == (2 * CREDITS, 0, 2)
    found = await running.client.wallet.ListStarDifferences(pb.ListStarDifferencesRequest())
    assert list(found.differences) == []

    await asyncio.gather(  # the updates come after all, more than once, and the command again
        *(
            person.telegram.send("POST", f"/sandbox/payments/{query}/notice")
            for person, queries in lost.items()
            for query in queries * 2
        )
    )
    await healed(running)
    for person in people:
        await person.reads(f"You have {2 * CREDITS} credits.")
        assert await wallet(running, person) == (2 * CREDITS, 0, 2)
    assert await differences(running) == []


async def test_who_paid_without_an_update_is_told_once_whatever_dies(running: Stack) -> None:
    person = await running.telegram.person(first_name="Eve", language_code="ru")
    query = await pays(person, await invoice(person), notice="never")
    payment = await until_paid(person, query)
    await healed(running)
    is_told = "OLD.tell_time IS NOT NULL AND NEW.tell_time IS NULL"
    async with running.history.holding("top_up", event="UPDATE", when=is_told):
        await update_is_not_waited_for(running, payment)
        await running.history.caught()  # it is told, and nobody knows yet
        for edge in running.edges:
            edge.kill()
        await running.history.drop_caught()
    await start_edges(running)
    await update_is_not_waited_for(running, payment)

    async def is_known() -> bool:
        untold = "SELECT id FROM top_up WHERE tell_time IS NOT NULL AND external_id = %(id)s"
        return not await running.history.rows(untold, id=payment["charge_id"])

    await until(is_known, within_s=60, what="the report that it was told")
    for _ in range(2):
        await person.telegram.send("POST", f"/sandbox/payments/{query}/notice")
    await person.says("/terms")  # answered after the update, which comes after all
    await person.reads("Условия")
    told = [each for each in await person.heard() if "платёж получен" in each.get("text", "")]
    assert len(told) == 1
    assert button(told[0], "wz:") is not None
    assert f"На балансе {CREDITS} кредитов" in told[0]["text"].replace("\N{NO-BREAK SPACE}", " ")
    assert await wallet(running, person) == (CREDITS, 0, 1)


async def update_is_not_waited_for(stack: Stack, payment: Json) -> None:
    """Let the time be over in which an update of a payment, or an edge's report, may still come."""
    await stack.history.rows(
        "UPDATE top_up SET tell_time = now() WHERE tell_time > now() AND external_id = %(id)s",
        id=payment["charge_id"],
    )


async def test_what_is_told_twice_at_once_is_credited_once(running: Stack) -> None:
    person = await running.telegram.person(first_name="Bob", language_code="en")
    query = await asks(person, await invoice(person), query="twice", notice="twice")
    payment = await until_paid(person, query)
    notices = [f"/sandbox/payments/{query}/notice"] * 4
    await asyncio.gather(
        recorded_everywhere(running, person, charge_id=payment["charge_id"]),
        *(person.telegram.send("POST", path) for path in notices),
    )
    await person.reads(f"You have {CREDITS} credits.")
    assert await wallet(running, person) == (CREDITS, 0, 1)
    assert await differences(running) == []


async def recorded_everywhere(stack: Stack, person: Person, *, charge_id: str) -> None:
    """Record one payment at all replicas at once, often."""
    request = pb.RecordTopUpRequest(
        provider="telegram_stars",
        external_id=charge_id,
        owner=f"telegram:{person.number}",
        pack_id="small",
        amount=STARS,
        currency="XTR",
        telegram_host="127.0.0.1",
        bot_id=BOT_ID,
    )
    async with AsyncExitStack() as opened:
        token = SecretStr(TOKENS["caller"])
        clients = [
            await opened.enter_async_context(connect(each.env["GENERATION_LISTEN"], token=token))
            for each in stack.services
        ]
        made = await asyncio.gather(*(client.wallet.RecordTopUp(request) for client in clients * 5))
    assert len({each.top_up.id for each in made}) == 1


async def test_a_service_that_is_away_at_the_checkout_is_a_kind_no(running: Stack) -> None:
    person = await running.telegram.person(first_name="Cleo", language_code="en")
    message = await invoice(person)
    for each in running.services:
        each.kill()
    query = await asks(person, message)
    payment = await payment_in(person, query, "refused", within_s=10)  # else it is `expired`
    for each in running.services:
        each.start()
    await asyncio.gather(*(each.ready() for each in running.services))

    assert "Nothing was paid" in payment["error"]

    async def is_sold() -> bool:
        """Try again as a person does: the edge needs a moment to find the services."""
        again = await asks(person, message)

        async def is_over() -> str | None:
            path = f"/sandbox/payments/{again}"
            state = str((await person.telegram.send("GET", path))["state"])
            return state if state in ("paid", "refused") else None

        return await until(is_over, within_s=15, what="the end of the payment") == "paid"

    await until(is_sold, within_s=30, what="a checkout that goes on")
    await person.reads(f"You have {CREDITS} credits.")


async def test_a_payment_while_the_service_is_away_is_credited_and_told(running: Stack) -> None:
    person = await running.telegram.person(first_name="Dan", language_code="en")
    query = await pays(person, await invoice(person), settle_s=2)
    await payment_in(person, query, "approved")
    for each in running.services:
        each.kill()
    await until_paid(person, query)
    running.edge.kill()  # whichever of them holds the update, another one goes on
    await running.history.run_out_leases()
    for each in (*running.services, running.edge):
        each.start()
    await asyncio.gather(*(each.ready() for each in (*running.services, running.edge)))

    await person.reads(f"You have {CREDITS} credits.")
    assert await wallet(running, person) == (CREDITS, 0, 1)
    assert await differences(running) == []
