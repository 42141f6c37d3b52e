"""Answers commands and buttons about money, one case for each."""

from __future__ import annotations

from edge_bot.conversation.handler.balance import (
    send_statement,
    show_statements,
    show_transfers,
    show_wallet,
)
from edge_bot.conversation.handler.receipt import send_receipt, show_receipt, show_receipts
from edge_bot.conversation.handler.support import ask_support, show_terms
from edge_bot.conversation.handler.top_up import buy_pack, show_packs
from edge_bot.conversation.interaction import Interaction
from edge_bot.view import money_button as button

COMMANDS = ("balance", "topup", "receipts", "paysupport", "terms")
"""The commands about money, which are there only where it is."""


async def answer_money_command(interaction: Interaction, name: str) -> bool:
    """Answer a command about money; False for others, and where there is none."""
    if name not in COMMANDS or not (await interaction.context.packs.get()).is_on:
        return False
    match name:
        case "balance":
            await show_wallet(interaction)
        case "topup":
            await show_packs(interaction)
        case "receipts":
            await show_receipts(interaction, page=0)
        case "paysupport":
            await ask_support(interaction)
        case _:
            await show_terms(interaction)
    return True


async def answer_money_press(interaction: Interaction, action: button.MoneyAction) -> None:
    """Do what a button about money asks for; raises GenerationError."""
    match action:
        case button.ShowWallet():
            await show_wallet(interaction)
        case button.ShowPacks(is_apart=is_apart):
            await show_packs(interaction, is_apart=bool(is_apart))
        case button.BuyPack(pack_id=pack_id):
            await buy_pack(interaction, pack_id)
        case _:
            await _look_back(interaction, action)


async def _look_back(interaction: Interaction, action: button.MoneyAction) -> None:
    match action:
        case button.ShowTransfers(page=page):
            await show_transfers(interaction, page=page)
        case button.ShowStatements():
            await show_statements(interaction)
        case button.SendStatement():
            await send_statement(interaction, action)
        case button.ShowReceipts(page=page):
            await show_receipts(interaction, page=page)
        case button.ShowReceipt():
            await show_receipt(interaction, action)
        case button.SendReceipt(top_up_id=top_up_id):
            await send_receipt(interaction, top_up_id)
        case button.AskSupport(top_up_id=top_up_id):
            await ask_support(interaction, top_up_id=top_up_id)
        case _:
            raise TypeError(action)
