"""All that a bot does with Stars, once."""

from __future__ import annotations

from typing import Any

import pytest
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, LabeledPrice
from telegram.error import BadRequest

from tests.integration.sandbox_telegram import Sandbox
from tests.integration.star_partner import TRANSACTIONS
from tests.stars.exchange import Exchange, recording

CHAT = 7
GOODS: dict[str, Any] = {
    "title": "Credits",
    "description": "100 credits",
    "payload": "pack:100",
    "currency": "XTR",
    "prices": [LabeledPrice("Credits", 100)],
}


async def run_scenario(telegram: Sandbox) -> list[Exchange]:
    """Sell, refuse, be late, refund, be refused and look at the ledger; return each exchange."""
    await telegram.started(CHAT, last_name="Liddell", username="alice")
    exchanges: list[Exchange] = []
    async with recording(telegram, exchanges) as bot:
        await _sell(bot, telegram)
        await _be_refused(bot)
        await _look(bot, telegram)
    return exchanges


async def _sell(bot: Bot, telegram: Sandbox) -> None:
    markup = InlineKeyboardMarkup([[InlineKeyboardButton("Pay XTR 100", pay=True)]])
    plain = await bot.send_invoice(CHAT, **GOODS)
    await bot.send_invoice(
        CHAT, **GOODS, provider_token="", start_parameter="buy", reply_markup=markup
    )
    link = await bot.create_invoice_link(**GOODS)
    paid = await _asked(bot, telegram, message_id=plain.message_id)
    await bot.answer_pre_checkout_query(paid, ok=True)
    await bot.get_updates()
    charge = (await telegram.payment(paid))["charge_id"]
    await bot.refund_star_payment(CHAT, charge)
    await _expect("Charge_already_refunded", bot.refund_star_payment(CHAT, charge))
    unpaid = await _asked(bot, telegram, link=link)
    await bot.answer_pre_checkout_query(unpaid, ok=False, error_message="Sold out.")
    late = await _asked(bot, telegram, link=link)
    await telegram.until_paid(late, "expired")
    await _expect("Query is too old", bot.answer_pre_checkout_query(late, ok=True))
    await bot.get_updates()


async def _asked(bot: Bot, telegram: Sandbox, **order: Any) -> str:
    """Have somebody press Pay; return the id of the query that the bot gets."""
    query = str((await telegram.pay(CHAT, **order))["pre_checkout_query_id"])
    asked = [one.pre_checkout_query for one in await bot.get_updates()]
    assert query in [one.id for one in asked if one]
    return query


async def _be_refused(bot: Bot) -> None:
    wrong = {**GOODS, "prices": [LabeledPrice("a", 1), LabeledPrice("b", 2)]}
    await _expect("Stars_invoice_invalid", bot.send_invoice(CHAT, **wrong))
    await _expect("Stars_invoice_invalid", bot.create_invoice_link(**wrong))
    await _expect("Charge_not_found", bot.refund_star_payment(CHAT, "stx-none"))


async def _look(bot: Bot, telegram: Sandbox) -> None:
    for entry in TRANSACTIONS.values():
        answer = await telegram.http.post("/sandbox/transactions", json=entry)
        assert answer.status_code == 200, answer.text
    assert len((await bot.get_star_transactions()).transactions) == len(TRANSACTIONS) + 2
    await bot.get_star_transactions(offset=2, limit=3)
    assert (await bot.get_my_star_balance()).nanostar_amount


async def _expect(words: str, call: Any) -> None:
    with pytest.raises(BadRequest, match=words):
        await call
