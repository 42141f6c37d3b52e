from collections.abc import AsyncIterator
from typing import Any

import pytest
from telegram import StarTransaction, TelegramObject

from tests.integration.sandbox_telegram import Sandbox, sandbox
from tests.integration.star_partner import TRANSACTIONS, USER


@pytest.fixture
async def telegram() -> AsyncIterator[Sandbox]:
    async with sandbox() as running:
        await running.started()
        yield running


async def _enter(telegram: Sandbox, **entry: Any) -> dict[str, Any]:
    answer = await telegram.http.post("/sandbox/transactions", json=entry)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize("entry", TRANSACTIONS.values(), ids=TRANSACTIONS.keys())
async def test_every_kind_of_partner_is_shown_as_it_is(
    telegram: Sandbox, entry: dict[str, Any]
) -> None:
    entered = await _enter(telegram, **entry)
    assert await telegram.transactions() == [entered]
    assert {name: entered[name] for name in entry} == entry
    async with telegram.client() as bot:
        shown = (await bot.get_star_transactions()).transactions[0]
    assert _unknown(shown) == []
    side = "source" if "source" in entry else "receiver"
    assert getattr(shown, side).type == entry[side]["type"]
    assert (shown.source is None) == (side == "receiver")


def _unknown(shown: StarTransaction) -> list[Any]:
    """Return every field, at any depth, that python-telegram-bot has no name for."""
    waiting: list[Any] = [shown]
    unknown: list[Any] = []
    while waiting:
        one = waiting.pop()
        if isinstance(one, TelegramObject):
            unknown += [one.api_kwargs] if one.api_kwargs else []
            waiting += [getattr(one, name) for name in one.to_dict() if hasattr(one, name)]
        elif isinstance(one, (list, tuple)):
            waiting += one
    return unknown


async def test_the_oldest_comes_first_and_a_late_entry_goes_where_it_belongs(
    telegram: Sandbox,
) -> None:
    other = {"source": {"type": "other"}}
    for number, date in ((1, 1000), (2, 1000), (3, 3000), (4, 2000)):
        await _enter(telegram, id=str(number), amount=number, date=date, **other)
    assert [one["id"] for one in await telegram.transactions()] == ["1", "2", "4", "3"]


async def test_pages_are_counted_from_the_oldest(telegram: Sandbox) -> None:
    for number in range(1, 106):
        await _enter(telegram, id=str(number), amount=1, source={"type": "other"})

    async def page(**given: int) -> list[int]:
        return [int(one["id"]) for one in await telegram.transactions(**given)]

    everything = list(range(1, 106))
    assert await page() == everything[:100]
    assert await page(offset=100) == everything[100:]
    assert await page(offset=2, limit=3) == [3, 4, 5]
    assert await page(offset=105) == []
    assert await page(limit=1000) == everything[:100], "more than a hundred are never given"
    assert await page(limit=0, offset=-5) == [1]


async def test_the_balance_counts_fractions_with_one_sign(telegram: Sandbox) -> None:
    async def balance() -> Any:
        return await telegram.result("getMyStarBalance")

    assert await balance() == {"amount": 0}
    fee = {"amount": 0, "nanostar_amount": 300_000_000}
    await _enter(telegram, **fee, receiver={"type": "telegram_api", "request_count": 3})
    assert await balance() == {"amount": 0, "nanostar_amount": -300_000_000}
    await _enter(telegram, amount=2, source={"type": "other"})
    assert await balance() == {"amount": 1, "nanostar_amount": 700_000_000}
    await _enter(telegram, amount=3, receiver={"type": "other"})
    assert await balance() == {"amount": -1, "nanostar_amount": -300_000_000}
    listed = (await telegram.http.get("/sandbox/transactions")).json()
    assert listed["balance"] == await balance()
    assert listed["transactions"] == await telegram.transactions()


async def test_a_withdrawal_ends_and_comes_back(telegram: Sandbox) -> None:
    entered = await _enter(telegram, **TRANSACTIONS["withdrawal on its way"])
    url = f"/sandbox/transactions/{entered['id']}"
    state = {"type": "failed"}
    answer = await telegram.http.patch(url, json={"withdrawal_state": state})
    assert answer.json()["receiver"] == {"type": "fragment", "withdrawal_state": state}
    await _enter(telegram, id=entered["id"], amount=1000, source={"type": "fragment"})
    first, second = await telegram.transactions()
    assert first["id"] == second["id"]
    assert await telegram.result("getMyStarBalance") == {"amount": 0}
    for target, body in (
        ("/sandbox/transactions/none", {"withdrawal_state": state}),
        (url, {"withdrawal_state": {"type": "lost"}}),
    ):
        assert (await telegram.http.patch(target, json=body)).status_code in (404, 422)


OTHER = {"type": "other"}
ODD: dict[str, dict[str, Any]] = {
    "both ways": {"amount": 1, "source": OTHER, "receiver": OTHER},
    "no way": {"amount": 1},
    "negative": {"amount": -1, "source": OTHER},
    "a whole star in nanostars": {"amount": 1, "nanostar_amount": 10**9, "source": OTHER},
    "an unknown partner": {"amount": 1, "source": {"type": "martian"}},
    "an unknown field": {"amount": 1, "source": {**OTHER, "name": "x"}},
    "a broadcast without a count": {"amount": 1, "receiver": {"type": "telegram_api"}},
    "a gift in a payment": {
        "amount": 1,
        "source": {
            "type": "user",
            "transaction_type": "business_account_transfer",
            "user": USER,
            "invoice_payload": "p",
        },
    },
    "a success without an address": {
        "amount": 1,
        "receiver": {"type": "fragment", "withdrawal_state": {"type": "succeeded", "date": 1}},
    },
}


@pytest.mark.parametrize("entry", ODD.values(), ids=ODD.keys())
async def test_a_shape_that_telegram_does_not_have_is_refused(
    telegram: Sandbox, entry: dict[str, Any]
) -> None:
    answer = await telegram.http.post("/sandbox/transactions", json=entry)
    assert answer.status_code == 422
    assert answer.json()["detail"]
    assert await telegram.transactions() == []
