"""Uses the sandbox with aiogram's own client; runs in the environment that has aiogram."""

from __future__ import annotations

import asyncio
import sys

from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import TelegramBadRequest
from aiogram.types import LabeledPrice

PRICES = [LabeledPrice(label="Credits", amount=5)]


async def sell(url: str, chat: int) -> None:
    """Make the calls that need nobody else."""
    session = AiohttpSession(api=TelegramAPIServer.from_base(url))
    async with Bot("42:sandbox-secret", session=session) as bot:
        texts = {"title": "Credits", "description": "Five", "payload": "from aiogram"}
        link = await bot.create_invoice_link(**texts, currency="XTR", prices=PRICES)
        assert link.startswith("https://t.me/$")
        sent = await bot.send_invoice(chat, **texts, currency="XTR", prices=PRICES)
        assert sent.invoice
        assert sent.invoice.total_amount == 5
        assert (await bot.get_star_transactions(offset=1, limit=2)).transactions[0].receiver
        assert (await bot.get_my_star_balance()).amount
        reason = ""
        try:
            await bot.refund_star_payment(chat, "stx-none")
        except TelegramBadRequest as error:
            reason = error.message
        assert reason == "Bad Request: CHARGE_NOT_FOUND"


if __name__ == "__main__":
    asyncio.run(sell(sys.argv[1], int(sys.argv[2])))
