"""The screens of what is sold, of what was bought, and of what is missing."""

from __future__ import annotations

from dataclasses import dataclass

from atelier.wallet.v1.wallet_pb2 import Wallet
from edge_bot.pack.pack_cache import Packs
from edge_bot.view.credit_text import (
    balance_text,
    blocked_text,
    debt_text,
    gain_text,
    pack_label,
)
from edge_bot.view.language import Texts, texts
from edge_bot.view.layout import Button, Rows, Screen, lines, paragraphs
from edge_bot.view.money_button import AskSupport, BuyPack, ResumeDraft, ShowPacks, ShowReceipt
from edge_bot.view.wallet import wallet_button


@dataclass(frozen=True, slots=True)
class Invoice:
    """The words of an invoice."""

    title: str
    """At most 32 characters (Bot API, sendInvoice)."""
    description: str
    """At most 255 characters."""


def packs_screen(packs: Packs, language: str, *, wallet: Wallet) -> Screen:
    """Return what is sold, each as a button that sends its invoice."""
    speak = texts(language)
    if wallet.is_blocked:  # a checkout would be refused
        text = lines(speak.html("<b>Top up</b>"), blocked_text(speak))
        return Screen(text, ((wallet_button(speak),),))
    if not packs.for_sale:
        text = speak.html("<b>Top up</b>\n\nNo credits are sold at the moment.")
        return Screen(text, ((wallet_button(speak),),))
    text = paragraphs(
        lines(speak.html("<b>Top up</b>"), balance_text(wallet.balance, speak)),
        debt_text(wallet.debt, speak),
        speak.html(
            "Credits are bought with Telegram Stars ⭐️. Choose how many, "
            "and Telegram asks you to confirm the payment.\n\n"
            "By paying you accept the /terms."
        ),
    )
    rows: Rows = tuple(
        (Button(pack_label(each, speak), BuyPack(each.id)),) for each in packs.for_sale
    )
    return Screen(text, (*rows, (wallet_button(speak),)))


def invoice_of(amount: int, language: str) -> Invoice:
    """Return the words of an invoice."""
    speak = texts(language)
    description = speak.plain(
        "Credits for pictures, videos, music and speech in this chat. They arrive at once."
    )
    return Invoice(gain_text(amount, speak), description)


def credited_screen(
    *,
    amount: int,
    paid_debt: int,
    wallet: Wallet,
    top_up_id: str,
    number: str,
    draft: str,
    language: str,
) -> Screen:
    """Return that a payment is credited, with the way back to the draft that waits."""
    speak = texts(language)
    receipt = (
        speak.html("Receipt No. {number}", number=number)
        if number
        else speak.html("The receipt gets its number within a minute.")
    )
    text = paragraphs(
        speak.html("✅ <b>Thank you, the payment has arrived.</b>"),
        lines(
            gain_text(amount, speak),
            _set_off(paid_debt, speak),
            balance_text(wallet.balance, speak),
        ),
        debt_text(wallet.debt, speak),
        receipt,
    )
    back = (Button(speak.plain("✨ Back to the draft"), ResumeDraft(draft)),)
    rows: Rows = (
        *((back,) if draft else ()),
        (Button(speak.plain("🧾 Receipt"), ShowReceipt(top_up_id, 1)), wallet_button(speak)),
    )
    return Screen(text, rows)


def late_screen(language: str) -> Screen:
    """Return that a payment has come and is credited as soon as that can be done."""
    speak = texts(language)
    text = paragraphs(
        speak.html("⏳ <b>Your payment has arrived.</b>"),
        speak.html(
            "I cannot credit it right now. It is not lost: I will keep trying, and tell you as "
            "soon as the credits are there."
        ),
    )
    return Screen(text)


def uncredited_screen(charge_id: str, language: str) -> Screen:
    """Return that a payment has come and could not be credited."""
    speak = texts(language)
    text = paragraphs(
        speak.html("⚠️ <b>Your payment has arrived, but I could not credit it yet.</b>"),
        speak.html(
            "It is on record and not lost: it will be credited as soon as the problem is solved. "
            "If that takes long, write to us and name the payment:"
        ),
        speak.html("<code>{charge}</code>", charge=charge_id),
    )
    return Screen(text, ((Button(speak.plain("💬 Ask about it"), AskSupport("")),),))


def returned_screen(*, stars: int, is_taken: bool, wallet: Wallet | None, language: str) -> Screen:
    """Return that a payment went back, by us or by Telegram, and what is left if it is known."""
    speak = texts(language)
    head = speak.html("↩️ <b>⭐️ {stars} went back to you.</b>", stars=speak.number(stars))
    if is_taken:
        told = speak.html("The credits of that top-up have been taken off your balance.")
    else:
        told = speak.html(
            "The credits of that top-up will be taken off your balance, too. "
            "If you do not know why, write to us: /paysupport"
        )
    # What Telegram took back by itself is not taken from the balance yet.
    left = wallet_lines(wallet, speak) if wallet and is_taken else ""
    return Screen(paragraphs(head, told, left), ((wallet_button(speak),),))


def wallet_lines(wallet: Wallet, speak: Texts) -> str:
    """Return what somebody has and owes."""
    return lines(balance_text(wallet.balance, speak), debt_text(wallet.debt, speak))


def missing_credits(price: int, wallet: Wallet) -> int:
    """Return how many credits must be bought to pay a price: a top-up pays the debt first."""
    missing = price - wallet.balance
    return missing + wallet.debt if missing > 0 else 0


def price_lines(price: int, language: str, *, wallet: Wallet, packs: Packs) -> str:
    """Return what a review says under its price: the balance, and what is missing."""
    speak = texts(language)
    if wallet.is_blocked:
        return blocked_text(speak)
    missing = missing_credits(price, wallet)
    if not missing:
        return balance_text(wallet.balance, speak)
    return lines(
        f"⚠️ {wallet_lines(wallet, speak)}", _missing(missing, speak, is_sold=bool(packs.for_sale))
    )


def missing_rows(missing: int, language: str, *, packs: Packs) -> Rows:
    """Return the buttons to buy what is missing."""
    pack = packs.covering(missing)
    if pack is None:
        return ()
    speak = texts(language)
    label = speak.plain("Top up: {pack}", pack=pack_label(pack, speak))
    rows: Rows = ((Button(label, BuyPack(pack.id)),),)
    if len(packs.for_sale) > 1:
        rows += ((Button(speak.plain("⭐️ Other packs"), ShowPacks(1)),),)
    return rows


def _missing(missing: int, speak: Texts, *, is_sold: bool) -> str:
    if not is_sold:
        return speak.count(
            "{n} more credit is needed, but none are sold at the moment. This draft waits here.",
            "{n} more credits are needed, but none are sold at the moment. This draft waits here.",
            missing,
        )
    return speak.count(
        "{n} more credit is needed. Top up, and this draft waits here for you.",
        "{n} more credits are needed. Top up, and this draft waits here for you.",
        missing,
    )


def _set_off(paid_debt: int, speak: Texts) -> str:
    """Return how much of a top-up paid a debt; empty if it was nothing."""
    if not paid_debt:
        return ""
    return speak.html("Of these, {n} went towards your debt.", n=speak.number(paid_debt))
