"""Reads both sides of the Stars, and has everybody who paid ask for the balance."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict

import httpx2

from tests.chaos.person import Json, Person, buttons, persist
from tests.chaos.star import Payment, Stars, TopUp, told_balance
from tests.e2e.history import History
from tests.e2e.program import client
from tests.e2e.stack import Stack

ANSWER_S = 60.0
"""How long a person waits for the balance once everything is well."""
RECEIPT = "wz"
"""What the data of the button begins with that leads to a receipt."""
_TOP_UPS = """
SELECT top_up.id::text, external_id, top_up.owner, state, moved.credited, moved.back,
    ARRAY(SELECT balance_after FROM transfer WHERE transfer.owner = top_up.owner
        AND transfer.id >= moved.first AND balance_after IS NOT NULL) AS balances
FROM top_up CROSS JOIN LATERAL (
    SELECT min(id) AS first,
        coalesce(sum(amount) FILTER (WHERE kind IN ('top_up', 'debt_payment')), 0)::bigint
            AS credited,
        coalesce(sum(CASE WHEN target = 'exchange' THEN amount ELSE -amount END)
            FILTER (WHERE kind IN ('refund', 'chargeback')), 0)::bigint AS back
    FROM transfer WHERE currency = 'credit'
        AND (cause = top_up.id::text OR cause LIKE top_up.id || '/%%')) AS moved
WHERE provider = 'telegram_stars'
"""


async def gather_stars(stack: Stack) -> Stars:
    """Read everything."""
    payments = (await stack.telegram.send("GET", "/sandbox/payments"))["payments"]
    listed = await stack.telegram.send("GET", "/sandbox/transactions")
    paid = [_payment(each) for each in payments if each["state"] == "paid"]
    users = sorted({each.user_id for each in paid})
    return Stars(
        payments=paid,
        top_ups=await _top_ups(stack.history),
        moved=Counter((each["id"], "source" in each) for each in listed["transactions"]),
        balance=listed["balance"]["amount"],
        told=await _told(stack, users),
        shown=await _shown(stack, users),
    )


async def all_stars_are_known(stack: Stack) -> bool:
    """Return whether the service has compared all that Telegram lists, and found it right."""
    listed = (await stack.telegram.send("GET", "/sandbox/transactions"))["transactions"]
    known = "SELECT count(*) FROM star_transaction WHERE state = 'matched'"
    return bool(await stack.history.value(known) == len(listed))


def _payment(shown: Json) -> Payment:
    return Payment(
        charge_id=shown["charge_id"],
        user_id=shown["user_id"],
        is_refunded=shown["is_refunded"],
        is_told=shown["plan"]["notice"] != "never",
    )


async def _top_ups(history: History) -> list[TopUp]:
    rows = await history.rows(_TOP_UPS)
    return [TopUp(**{**row, "balances": frozenset(row["balances"])}) for row in rows]


async def _told(stack: Stack, users: list[int]) -> dict[str, set[int | None]]:
    """Return what messages that lead to a receipt said, by the top-up."""
    found: dict[str, set[int | None]] = defaultdict(set)
    async with client(stack.telegram.url) as http:
        for user_id in users:
            for message in await Person(http, user_id).messages():
                for _, data in buttons(message):
                    code, _, rest = data.partition(":")
                    if code == RECEIPT:
                        found[rest.partition(":")[0]].add(told_balance(message.get("text", "")))
    return dict(found)


async def _shown(stack: Stack, users: list[int]) -> dict[str, int | None]:
    async with client(stack.telegram.url) as http:
        shown = await asyncio.gather(*(_ask(http, each) for each in users))
    return {f"telegram:{user_id}": each for user_id, each in zip(users, shown, strict=True)}


async def _ask(http: httpx2.AsyncClient, user_id: int) -> int | None:
    """Ask for the balance and return what the answer says; None if none comes."""
    person = Person(http, user_id)
    last = max(each["message_id"] for each in await person.messages())
    await person.write("/balance")

    async def answer() -> Json | None:
        messages = [each for each in await person.messages() if each["message_id"] > last]
        return next((each for each in messages if "You have" in each.get("text", "")), None)

    found = await persist(answer, within_s=ANSWER_S)
    return told_balance(found["text"]) if found else None
