"""Receipts of top-ups as PDF, read back: in both languages, with long and odd texts."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from pypdf import PdfReader

from generation_svc.domain.receipt import Receipt
from generation_svc.domain.top_up import TopUp, TopUpState
from generation_svc.statement.receipt import write_receipt
from runtime.currency import amount_text

ID = UUID("0198c0de-0000-7000-8000-000000000001")
NOON = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
SELLER = "ООО «Пример», ИНН 0000000000\nМосква, ул. Ёлочная, 1\nhelp@example.org"


def top_up(**changes: Any) -> TopUp:
    fields: dict[str, Any] = {
        "id": ID,
        "provider": "telegram_stars",
        "external_id": "stx0",
        "owner": "telegram:7",
        "pack_id": "small",
        "credits": 1200,
        "amount": 1000,
        "currency": "XTR",
        "state": TopUpState.CREDITED,
        "caller": "edge",
        "create_time": NOON,
        "receipt": "1-000042",
    }
    return TopUp(**{**fields, **changes})


def told(paid: TopUp | None = None, **changes: Any) -> str:
    """Return the text of the PDF, with plain spaces; it has one page."""
    made = paid or top_up()
    receipt = Receipt(made, paid=amount_text(made.amount, made.currency), time=NOON, **changes)
    [page] = PdfReader(io.BytesIO(write_receipt(receipt).data)).pages
    return page.extract_text().replace("\u00a0", " ")


def test_a_receipt_says_who_paid_what_and_for_what() -> None:
    text = told(seller="Example Studio", is_test=True)
    for words in (
        "Receipt No. 1-000042",
        "Example Studio",
        "telegram:7",
        "2026-11-23 12:30",
        "Top-up of credits: 1,200",
        "1,000 Telegram Stars",
        "telegram_stars stx0",
        "These are test credits",
    ):
        assert words in text
    assert "Returned" not in text


def test_a_russian_receipt_is_no_cheque_and_has_each_line_of_the_seller() -> None:
    text = told(seller=SELLER, language="ru-RU")
    for words in ("Квитанция № 1-000042", *SELLER.splitlines(), "кредиты: 1 200", "23.11.2026"):
        assert words in text
    assert "1 000 Telegram Stars (звёзды)" in text
    for word in ("чек", "ндс", "vat"):
        assert word not in text.lower().split()
    assert "\ufffd" not in text


def test_the_file_is_named_by_its_number() -> None:
    receipt = Receipt(top_up(), paid="", time=NOON, language="ru")
    assert write_receipt(receipt).name == "квитанция-1-000042.pdf"
    unnumbered = Receipt(top_up(receipt=""), paid="", time=NOON)
    assert write_receipt(unnumbered).name == f"receipt-{ID}.pdf"


def test_a_receipt_without_a_number_says_when_it_comes() -> None:
    text = told(top_up(receipt=""))
    assert "The receipt gets its number within a minute." in text
    assert "No." not in text


def test_a_payment_that_went_back_is_told() -> None:
    returned = top_up(state=TopUpState.REFUNDED, refund_time=NOON, refund_receipt="1-000043")
    assert "Returned (UTC)" in told(returned)
    assert "1-000043" in told(returned)
    assert "is being returned" in told(top_up(state=TopUpState.REFUNDING))
    assert "отозван" in told(top_up(state=TopUpState.CHARGED_BACK), language="ru")


def test_the_longest_texts_are_whole_and_odd_ones_are_marked() -> None:
    owner, charge = "владелец:" + "ы" * 119, "c" * 255
    text = told(top_up(owner=owner, external_id=charge), seller="s" * 500)
    flat = "".join(text.split())
    assert owner in flat
    assert charge in flat
    assert "s" * 500 in flat
    odd = told(top_up(owner="a\nb\u202e\U0001f9fe\tc\ud83d"), seller="\u05d0\n\n\x07")
    assert "\ufffd" in odd
    assert "Receipt No. 1-000042" in odd


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (1250, "RUB", "12.50 RUB"),
        (5, "EUR", "0.05 EUR"),
        (0, "EUR", "0.00 EUR"),
        (1250, "JPY", "1250 JPY"),
        (1250, "KWD", "1.250 KWD"),
        (50, "XTR", "50 XTR"),
        (2**63 - 1, "USD", "92233720368547758.07 USD"),
    ],
)
def test_an_amount_has_the_decimals_of_its_currency(amount: int, currency: str, text: str) -> None:
    assert amount_text(amount, currency) == text
    assert text in told(top_up(amount=amount, currency=currency)) or currency == "XTR"
