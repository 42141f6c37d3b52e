"""Writes the receipt of a top-up as a PDF of one page."""

from collections.abc import Iterator, Mapping

from generation_svc.domain.model import LocalizedText
from generation_svc.domain.receipt import Receipt
from generation_svc.domain.statement import StatementFile
from generation_svc.domain.top_up import STARS, TopUp, TopUpState
from generation_svc.statement.page import GREY, SMALL, Page
from generation_svc.statement.word import Words

MIME_TYPE = "application/pdf"
_TITLE = LocalizedText(en="Receipt", ru="Квитанция")
_NUMBERED = LocalizedText(en="Receipt No. {number}", ru="Квитанция № {number}")
_FILE = LocalizedText(en="receipt", ru="квитанция")
_STARS = LocalizedText(en="Telegram Stars", ru="Telegram Stars (звёзды)")
_NAMES = {
    "account": LocalizedText(en="Account", ru="Счёт"),
    "date": LocalizedText(en="Date (UTC)", ru="Дата (UTC)"),
    "for": LocalizedText(en="For", ru="За что"),
    "paid": LocalizedText(en="Paid", ru="Оплачено"),
    "payment": LocalizedText(en="Payment", ru="Платёж"),
    "returned": LocalizedText(en="Returned (UTC)", ru="Возвращено (UTC)"),
    "refund": LocalizedText(en="Receipt of the return", ru="Квитанция о возврате"),
    "made": LocalizedText(en="Made (UTC)", ru="Составлена (UTC)"),
}
_CREDITS = LocalizedText(en="Top-up of credits: {n}", ru="Пополнение, кредиты: {n}")
_FATES: Mapping[TopUpState, LocalizedText] = {
    TopUpState.REFUNDING: LocalizedText(
        en="The payment is being returned.", ru="Платёж возвращается."
    ),
    TopUpState.CHARGED_BACK: LocalizedText(
        en="The payment was taken back.", ru="Платёж был отозван."
    ),
}
_UNNUMBERED = LocalizedText(
    en="The receipt gets its number within a minute.",
    ru="Квитанция получит номер в течение минуты.",
)


def write_receipt(receipt: Receipt) -> StatementFile:
    """Return a receipt as a PDF document."""
    top_up, words = receipt.top_up, Words(receipt.language)
    title = _title(top_up, receipt.language)
    page = Page(words, title=title, time=receipt.time)
    page.write_title(title, seller=receipt.seller)
    page.write_facts(
        [(_NAMES[name].pick(receipt.language), value) for name, value in _facts(receipt, words)]
    )
    page.ln(4)
    page.style(SMALL, grey=GREY)
    for note in _notes(receipt, words):
        page.paragraph(note)
    name = f"{_FILE.pick(receipt.language)}-{top_up.receipt or top_up.id}.pdf"
    return StatementFile(bytes(page.output()), MIME_TYPE, name)


def _title(top_up: TopUp, language: str) -> str:
    if not top_up.receipt:
        return _TITLE.pick(language)
    return _NUMBERED.pick(language).format(number=top_up.receipt)


def _facts(receipt: Receipt, words: Words) -> Iterator[tuple[str, str]]:
    top_up = receipt.top_up
    yield "account", top_up.owner
    if top_up.create_time:
        yield "date", words.moment(top_up.create_time)
    yield "for", _CREDITS.pick(words.language).format(n=words.number(top_up.credits))
    yield "paid", _paid(receipt, words)
    yield "payment", f"{top_up.provider} {top_up.external_id}"
    if top_up.refund_time and top_up.state is TopUpState.REFUNDED:
        yield "returned", words.moment(top_up.refund_time)
    if top_up.refund_receipt:
        yield "refund", top_up.refund_receipt
    yield "made", words.moment(receipt.time)


def _paid(receipt: Receipt, words: Words) -> str:
    top_up = receipt.top_up
    if top_up.currency != STARS:
        return receipt.paid
    return f"{words.number(top_up.amount)} {_STARS.pick(words.language)}"


def _notes(receipt: Receipt, words: Words) -> Iterator[str]:
    if not receipt.top_up.receipt:
        yield _UNNUMBERED.pick(words.language)
    if receipt.top_up.state in _FATES:
        yield _FATES[receipt.top_up.state].pick(words.language)
    if receipt.is_test:
        yield words.say("test")
