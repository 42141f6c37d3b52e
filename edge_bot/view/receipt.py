"""The screens of receipts."""

from __future__ import annotations

from collections.abc import Sequence

from atelier.wallet.v1 import top_up_pb2 as pb
from atelier.wallet.v1.top_up_pb2 import TopUp
from edge_bot.view.credit_text import day_text, gain_text, paid_text, time_text
from edge_bot.view.language import Texts, texts
from edge_bot.view.layout import (
    LABEL_LENGTH,
    Button,
    Rows,
    Screen,
    lines,
    page_of,
    paragraphs,
    shorten,
)
from edge_bot.view.money_button import AskSupport, SendReceipt, ShowReceipt, ShowReceipts
from edge_bot.view.support import seller_lines
from edge_bot.view.wallet import wallet_button


def receipts_screen(top_ups: Sequence[TopUp], language: str, *, page: int) -> Screen:
    """Return a page of the top-ups, the latest first, each as a button."""
    speak = texts(language)
    if not top_ups:
        text = speak.html("<b>Receipts</b>\n\nYou have not topped up yet.")
        return Screen(text, ((wallet_button(speak),),))
    shown, turn = page_of(speak, top_ups, page=page, to=ShowReceipts)
    rows: Rows = tuple(
        (Button(shorten(_label(each, speak), LABEL_LENGTH), ShowReceipt(each.id, 0)),)
        for each in shown
    )
    text = speak.html("<b>Receipts</b>\n\nThe latest first. Press one to see it.")
    return Screen(text, (*rows, *turn, (wallet_button(speak),)))


def receipt_screen(top_up: TopUp, language: str, *, seller_text: str) -> Screen:
    """Return the receipt of a top-up, with a way to its file, or to its number if that is new."""
    speak = texts(language)
    text = paragraphs(
        _headline(top_up, speak),
        lines(
            speak.html("Date: {time} UTC", time=time_text(top_up.create_time, speak)),
            speak.html("Credits: {n}", n=speak.number(top_up.credits)),
            speak.html("Paid: {amount}", amount=paid_text(top_up, speak)),
        ),
        _fate(top_up, speak),
        seller_lines(seller_text, speak),
        speak.html("Payment: <code>{charge}</code>", charge=top_up.external_id),
    )
    rows: Rows = (
        (_paper(top_up, speak),),
        (Button(speak.plain("💬 Ask about it"), AskSupport(top_up.id)),),
        (Button(speak.plain("← Receipts"), ShowReceipts(0)),),
    )
    return Screen(text, rows)


def receipt_gone(language: str) -> str:
    """Say that there is no such receipt."""
    return texts(language).html("I do not have this receipt. Here are the ones I have.")


def _paper(top_up: TopUp, speak: Texts) -> Button:
    if top_up.receipt_number:
        return Button(speak.plain("📄 Receipt as PDF"), SendReceipt(top_up.id))
    return Button(speak.plain("🔄 Show the number"), ShowReceipt(top_up.id, 0))


def _label(top_up: TopUp, speak: Texts) -> str:
    mark = "" if top_up.state == pb.TOP_UP_STATE_CREDITED else "↩️ "
    parts = (
        f"{mark}{day_text(top_up.create_time, speak)}",
        gain_text(top_up.credits, speak),
        paid_text(top_up, speak),
    )
    return " · ".join(parts)


def _headline(top_up: TopUp, speak: Texts) -> str:
    if top_up.receipt_number:
        return speak.html("🧾 <b>Receipt No. {number}</b>", number=top_up.receipt_number)
    return lines(
        speak.html("🧾 <b>Receipt</b>"),
        speak.html("The receipt gets its number within a minute."),
    )


def _fate(top_up: TopUp, speak: Texts) -> str:
    """Return what became of a payment that did not stay."""
    match top_up.state:
        case pb.TOP_UP_STATE_REFUNDING:
            return speak.html("↩️ The payment is being returned.")
        case pb.TOP_UP_STATE_REFUNDED:
            return lines(
                speak.html("↩️ Returned on {time} UTC.", time=time_text(top_up.refund_time, speak)),
                speak.html(
                    "Receipt of the return: No. {number}", number=top_up.refund_receipt_number
                )
                if top_up.refund_receipt_number
                else "",
            )
        case pb.TOP_UP_STATE_CHARGED_BACK:
            return speak.html("↩️ The payment was taken back.")
        case _:
            return ""
