"""The screens of what somebody has, and how it came to that."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from html import escape

from atelier.wallet.v1 import transfer_pb2 as pb
from atelier.wallet.v1.statement_pb2 import STATEMENT_FORMAT_CSV, STATEMENT_FORMAT_PDF
from atelier.wallet.v1.transfer_pb2 import Transfer
from atelier.wallet.v1.wallet_pb2 import Wallet
from edge_bot.view.button import ShowAll
from edge_bot.view.credit_text import balance_text, blocked_text, debt_text, time_text
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
from edge_bot.view.money_button import (
    SendStatement,
    ShowPacks,
    ShowReceipts,
    ShowStatements,
    ShowTransfers,
    ShowWallet,
)

PERIODS_DAYS = (30, 90, 365)
"""The periods for which a statement is offered."""


def wallet_screen(wallet: Wallet, language: str) -> Screen:
    """Return what somebody has, and what can be done about it."""
    speak = texts(language)
    text = paragraphs(
        lines(speak.html("<b>Balance</b>"), balance_text(wallet.balance, speak)),
        lines(*_parts(wallet, speak)),
        _allowance(wallet, speak),
    )
    rows: Rows = (
        (Button(speak.plain("⭐️ Top up"), ShowPacks(0)),),
        (
            Button(speak.plain("🧾 Receipts"), ShowReceipts(0)),
            Button(speak.plain("📒 History"), ShowTransfers(0)),
        ),
    )
    return Screen(text, rows)


def transfers_screen(
    transfers: Sequence[Transfer],
    language: str,
    *,
    page: int,
    title_of: Callable[[str], str],
    kept: Collection[str] = (),
) -> Screen:
    """Return a page of what was added and taken, the latest first.

    The latest of a job of these ids says that it was finished after all, and has what it made.
    """
    speak = texts(language)
    rows: Rows = ((Button(speak.plain("📄 Statement"), ShowStatements()), wallet_button(speak)),)
    # What is charged was taken from the balance when it was held.
    moved = [each for each in transfers if each.amount]
    if not moved:
        text = speak.html("<b>History</b>\n\nNothing was added or taken yet.")
        return Screen(text, ((wallet_button(speak),),))
    shown, turn = page_of(speak, moved, page=page, to=ShowTransfers)
    finished = _finished(moved, kept)
    text = paragraphs(
        speak.html("<b>History</b>\nThe latest first; times are UTC."),
        *(
            _transfer(each, speak, title=title_of(each.model_id), is_kept=each.id in finished)
            for each in shown
        ),
    )
    made: Rows = tuple(
        (_made_button(each, speak, title=title_of(each.model_id)),)
        for each in shown
        if each.id in finished
    )
    return Screen(text, (*made, *turn, *rows))


def statements_screen(language: str) -> Screen:
    """Return the offer of statements as files."""
    speak = texts(language)
    rows: Rows = tuple(
        (
            Button(f"{_period(days, speak)} · PDF", SendStatement(days, STATEMENT_FORMAT_PDF)),
            Button("CSV", SendStatement(days, STATEMENT_FORMAT_CSV)),
        )
        for days in PERIODS_DAYS
    )
    text = speak.html(
        "<b>Statement</b>\n\nEverything that was added and taken, as a file. For which period?"
    )
    back = Button(speak.plain("← Back"), ShowTransfers(0))
    return Screen(text, (*rows, (back,)))


def wallet_button(speak: Texts) -> Button:
    """Return the button that leads to the balance."""
    return Button(speak.plain("👛 Balance"), ShowWallet())


def _parts(wallet: Wallet, speak: Texts) -> Sequence[str]:
    """Return what is to be known about the balance, as far as there is something."""
    told = []
    if wallet.granted_credits and wallet.granted_credits < wallet.balance:
        told.append(
            speak.html(
                "🎁 Bonus credits: {n}. They are spent first.",
                n=speak.number(wallet.granted_credits),
            )
        )
    elif wallet.granted_credits:
        told.append(speak.html("🎁 All of them are bonus credits."))
    if wallet.held_credits:
        held = speak.number(wallet.held_credits)
        told.append(speak.html("⏳ Set aside for what is being made: {n}.", n=held))
    if wallet.debt:
        told.append(debt_text(wallet.debt, speak))
    if wallet.is_blocked:
        told.append(blocked_text(speak))
    return told


def _allowance(wallet: Wallet, speak: Texts) -> str:
    if not wallet.HasField("free_allowance"):
        return ""
    free = wallet.free_allowance
    left = speak.html(
        "🆓 Free today: {left} of {most} left.", left=free.remaining_count, most=free.daily_count
    )
    if free.remaining_count >= free.daily_count:
        return left
    until = time_text(free.reset_time, speak)
    return lines(left, speak.html("All of them will be back on {time} UTC.", time=until))


def _finished(transfers: Sequence[Transfer], kept: Collection[str]) -> frozenset[int]:
    """Return the latest transfer of each of these jobs; they come the latest first."""
    latest = {each.cause_id: each.id for each in reversed(transfers) if each.cause_id in kept}
    return frozenset(latest.values())


def _made_button(transfer: Transfer, speak: Texts, *, title: str) -> Button:
    """Return the button that sends what a job made."""
    label = f"▶️ {title} · {time_text(transfer.create_time, speak)}"
    return Button(shorten(label, LABEL_LENGTH), ShowAll(transfer.cause_id))


def _transfer(transfer: Transfer, speak: Texts, *, title: str, is_kept: bool = False) -> str:
    sign = "+" if transfer.amount > 0 else "−"
    amount = speak.number(abs(transfer.amount))
    head = f"<b>{sign}{amount}</b> · {_cause(transfer, speak, title=title)}"
    when = time_text(transfer.create_time, speak)
    left = speak.number(transfer.balance_after)
    after = speak.html("{time} · balance {n}", time=when, n=left)
    return lines(head, after, speak.html("It was finished after all.") if is_kept else "")


def _cause(transfer: Transfer, speak: Texts, *, title: str) -> str:
    """Return why credits moved, as HTML."""
    match transfer.kind:
        case pb.TRANSFER_KIND_HOLD | pb.TRANSFER_KIND_CAPTURE:
            return escape(title, quote=False)
        case pb.TRANSFER_KIND_RELEASE:
            return speak.html("{title}: not used, returned", title=title)
        case pb.TRANSFER_KIND_GRANT if transfer.amount > 0:
            return _told(speak.html("bonus"), transfer.reason)
        case pb.TRANSFER_KIND_GRANT:
            return _told(speak.html("bonus taken back"), transfer.reason)
        case _:
            return _payment(transfer.kind, speak)


def _payment(kind: int, speak: Texts) -> str:
    match kind:
        case pb.TRANSFER_KIND_TOP_UP:
            return speak.html("top-up")
        case pb.TRANSFER_KIND_REFUND:
            return speak.html("top-up refunded")
        case pb.TRANSFER_KIND_CHARGEBACK:
            return speak.html("payment taken back")
        case pb.TRANSFER_KIND_IMPORT:
            return speak.html("carried over from the earlier bot")
        case pb.TRANSFER_KIND_IMPORT_UNDO:
            return speak.html("correction of what was carried over")
        case pb.TRANSFER_KIND_DEBT_PAYMENT:
            return speak.html("debt paid")
        case _:
            return speak.html("other")


def _told(what: str, reason: str) -> str:
    return f"{what} ({escape(reason, quote=False)})" if reason else what


def _period(days: int, speak: Texts) -> str:
    if days == max(PERIODS_DAYS):
        return speak.plain("One year")
    return speak.count("{n} day", "{n} days", days)
