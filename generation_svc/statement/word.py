"""What a statement says, in the languages that it speaks."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from generation_svc.domain.ledger import TransferKind
from generation_svc.domain.model import LocalizedText
from generation_svc.domain.statement import MOST_LINES, Period, Statement, StatementLine

_K = TransferKind
_SPACE, _MINUS = "\u00a0", "\u2212"
_TEXTS = {
    "title": LocalizedText(en="Statement of credits", ru="Выписка по кредитам"),
    "file": LocalizedText(en="statement", ru="выписка"),
    "account": LocalizedText(en="Account", ru="Счёт"),
    "period": LocalizedText(en="Period (UTC)", ru="Период (UTC)"),
    "made": LocalizedText(en="Made (UTC)", ru="Составлена (UTC)"),
    "opening": LocalizedText(en="Opening balance", ru="Остаток на начало"),
    "added": LocalizedText(en="Added", ru="Поступило"),
    "taken": LocalizedText(en="Taken", ru="Списано"),
    "closing": LocalizedText(en="Closing balance", ru="Остаток на конец"),
    "time": LocalizedText(en="Time (UTC)", ru="Время (UTC)"),
    "entry": LocalizedText(en="Entry", ru="Операция"),
    "detail": LocalizedText(en="Details", ru="Подробности"),
    "change": LocalizedText(en="Change", ru="Изменение"),
    "balance": LocalizedText(en="Balance", ru="Остаток"),
    "page": LocalizedText(en="Page", ru="Страница"),
    "of": LocalizedText(en="of", ru="из"),
    "none": LocalizedText(
        en="Nothing was added or taken in this period.",
        ru="За этот период не было ни поступлений, ни списаний.",
    ),
    "test": LocalizedText(
        en="These are test credits: no real money was paid for them.",
        ru="Это тестовые кредиты: настоящими деньгами за них не платили.",
    ),
    "cut": LocalizedText(
        en=f"Only the latest {MOST_LINES:,} entries are listed. Ask for a shorter period to see"
        " the earlier ones.",
        ru=f"Здесь только последние {MOST_LINES:,} операций. Чтобы увидеть более ранние,"
        " запросите выписку за меньший период.".replace(",", _SPACE, 1),
    ),
    "held": LocalizedText(
        en="Credits are set aside when a job begins, and charged when its result is stored; what"
        " is not used comes back. A charge does not change the balance again.",
        ru="Кредиты резервируются, когда задание начинается, и списываются, когда результат"
        " сохранён; неиспользованное возвращается. Само списание остаток уже не меняет.",
    ),
}
_ENTRIES: Mapping[TransferKind, LocalizedText] = {
    _K.HOLD: LocalizedText(en="Set aside for a job", ru="Резерв на задание"),
    _K.CAPTURE: LocalizedText(en="Charged", ru="Списано из резерва"),
    _K.RELEASE: LocalizedText(en="Not used, returned", ru="Возврат неиспользованного"),
    _K.GRANT: LocalizedText(en="Bonus", ru="Бонус"),
    _K.TOP_UP: LocalizedText(en="Top-up", ru="Пополнение"),
    _K.REFUND: LocalizedText(en="Top-up refunded", ru="Возврат пополнения"),
    _K.CHARGEBACK: LocalizedText(en="Payment taken back", ru="Отзыв платежа"),
    _K.IMPORT: LocalizedText(en="From the earlier bot", ru="Перенос из прежнего бота"),
    _K.IMPORT_UNDO: LocalizedText(en="Import undone", ru="Отмена переноса"),
    _K.DEBT_PAYMENT: LocalizedText(en="Debt paid", ru="Погашение долга"),
    _K.CORRECTION: LocalizedText(en="Correction", ru="Исправление"),
}
_OTHER = LocalizedText(en="Other", ru="Другое")
_BACK = {
    _K.GRANT: LocalizedText(en="Bonus taken back", ru="Отмена бонуса"),
    _K.REFUND: LocalizedText(en="Refund not possible", ru="Возврат не состоялся"),
}
"""What goes the other way than usual."""
_USUAL_SIGN = {_K.GRANT: 1, _K.REFUND: -1}


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one language."""

    language: str

    def say(self, name: str) -> str:
        """Return a text."""
        return _TEXTS[name].pick(self.language)

    @property
    def is_russian(self) -> bool:
        """Whether it is Russian; every other language is English."""
        return LocalizedText(ru="ru", en="en").pick(self.language) == "ru"

    def entry(self, line: StatementLine) -> str:
        """Return what a line is."""
        is_back = line.change * _USUAL_SIGN.get(line.kind, 0) < 0
        return (_BACK if is_back else _ENTRIES).get(line.kind, _OTHER).pick(self.language)

    def detail(self, line: StatementLine) -> str:
        """Return what more there is to say of a line, in one line."""
        moved = [] if line.change else [self.number(line.amount)]
        parts = (*moved, " ".join(line.title.split()), " ".join(line.reason.split()))
        return " · ".join(part for part in parts if part)

    def number(self, value: int, *, is_signed: bool = False) -> str:
        """Return a number with its digits grouped."""
        text = f"{abs(value):,}".replace(",", _SPACE if self.is_russian else ",")
        sign = _MINUS if value < 0 else "+" if is_signed and value > 0 else ""
        return sign + text

    def day(self, time: datetime) -> str:
        """Return a day."""
        return time.astimezone(UTC).strftime("%d.%m.%Y" if self.is_russian else "%Y-%m-%d")

    def moment(self, time: datetime) -> str:
        """Return a time, to the minute."""
        return f"{self.day(time)} {time.astimezone(UTC):%H:%M}"

    def period(self, period: Period) -> str:
        """Return a period: from its first day to its last one, or with times if it needs them."""
        if _is_midnight(period.start) and _is_midnight(period.end):
            first, last = self.day(period.start), self.day(period.end - timedelta(days=1))
            return first if first == last else f"{first} – {last}"
        return f"{self.moment(period.start)} – {self.moment(period.end)}"

    def notes(self, statement: Statement) -> list[str]:
        """Return what has to be known beside the lines."""
        told = {
            "test": statement.is_test,
            "cut": statement.is_cut,
            "none": not statement.lines,
            "held": any(line.kind is TransferKind.HOLD for line in statement.lines),
        }
        return [self.say(name) for name, is_so in told.items() if is_so]


def _is_midnight(time: datetime) -> bool:
    at = time.astimezone(UTC)
    return (at.hour, at.minute, at.second, at.microsecond) == (0, 0, 0, 0)
