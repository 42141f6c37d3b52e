"""The screens by which the seller speaks: terms, and where questions about payments go."""

from __future__ import annotations

from html import escape

from atelier.wallet.v1.top_up_pb2 import TopUp
from edge_bot.pack.seller import Seller
from edge_bot.view.action import FollowLink
from edge_bot.view.credit_text import paid_text, time_text
from edge_bot.view.language import Texts, texts
from edge_bot.view.layout import Button, Rows, Screen, lines, paragraphs
from edge_bot.view.money_button import ShowReceipts
from edge_bot.view.wallet import wallet_button


def support_screen(
    top_up: TopUp | None,
    language: str,
    *,
    seller: Seller,
    seller_text: str,
    has_others: bool = False,
) -> Screen:
    """Return where questions about payments go, with a payment at hand to be named.

    If there are others, one of them can be chosen: each receipt leads back here.
    """
    speak = texts(language)
    text = paragraphs(
        speak.html("<b>Questions about a payment</b>"),
        _where(seller, speak, seller_text=seller_text),
        _named(top_up, speak),
    )
    charge = top_up.external_id if top_up else ""
    link = seller.link(speak.plain("Payment {charge}: ", charge=charge) if charge else "")
    rows: Rows = ((Button(speak.plain("💬 Write to us"), FollowLink(link)),),) if link else ()
    if has_others:
        rows += ((Button(speak.plain("🧾 Another payment"), ShowReceipts(0)),),)
    return Screen(text, (*rows, (wallet_button(speak),)))


def terms_screen(language: str, *, seller_text: str) -> Screen:
    """Return the terms, in five sentences."""
    speak = texts(language)
    terms = (
        speak.html(
            "1. Credits are bought with Telegram Stars, and if something costs credits, you see "
            "its price before it begins."
        ),
        speak.html(
            "2. What is not delivered is not charged: its credits come back by themselves, and "
            "if only a part is delivered, so do those of the rest; what you cancel while the model "
            "is at work is charged only if the model finishes it, and then you can still get it."
        ),
        speak.html(
            "3. If you dislike a result, write to us through /paysupport, and the operator decides "
            "whether you get credits for it."
        ),
        speak.html(
            "4. Bonus credits are spent first, then top-ups, the oldest first; a top-up of which "
            "nothing is spent can be returned in full, in Stars, but never in part."
        ),
        speak.html(
            "5. If a payment is taken back after its credits were spent, they are owed, and the "
            "next top-up pays them first."
        ),
    )
    text = paragraphs(speak.html("<b>Terms</b>"), *terms, seller_lines(seller_text, speak))
    return Screen(text, ((wallet_button(speak),),))


def seller_lines(seller_text: str, speak: Texts) -> str:
    """Return who sells, as the operator says it; empty if the operator says nothing."""
    words = escape(seller_text, quote=False)
    return lines(speak.html("Seller:"), words) if words else ""


def _where(seller: Seller, speak: Texts, *, seller_text: str) -> str:
    if seller.contact:
        return speak.html("Write to {contact}, a person will answer.", contact=seller.contact)
    if seller_text:
        words = escape(seller_text, quote=False)
        return lines(speak.html("Write to the seller, a person will answer:"), words)
    return speak.html(
        "This bot has no contact for questions yet; its operator has just been told that you asked."
    )


def _named(top_up: TopUp | None, speak: Texts) -> str:
    if top_up is None:
        return speak.html("You have not topped up yet, so there is no payment to name.")
    number = top_up.receipt_number
    about = (
        f"{time_text(top_up.create_time, speak)} UTC",
        paid_text(top_up, speak),
        speak.html("receipt No. {number}", number=number) if number else "",
    )
    return lines(
        speak.html("Name the payment; press the line to copy it:"),
        speak.html("<code>{charge}</code>", charge=top_up.external_id),
        ", ".join(filter(None, about)),
    )
