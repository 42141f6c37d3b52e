"""Says in words what a quote is made of."""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal

from generation_svc.domain.model import LocalizedText, Model, Option
from generation_svc.domain.price import Condition
from generation_svc.domain.quote import Quote, QuoteLine
from generation_svc.domain.schema import JsonValue

_UNITS: Mapping[str, tuple[str, str]] = {
    "image": ("image images", "изображение изображения изображений"),
    "generation": ("generation generations", "генерация генерации генераций"),
    "request": ("generation generations", "генерация генерации генераций"),
    "video": ("video videos", "видео видео видео"),
    "second": ("second seconds", "секунда секунды секунд"),
    "second of input": (
        "second·of·input seconds·of·input",
        "секунда·исходника секунды·исходника секунд·исходника",
    ),
    "megapixel": ("megapixel megapixels", "мегапиксель мегапикселя мегапикселей"),
    "thousand characters": ("character characters", "символ символа символов"),
    "million tokens": ("token tokens", "токен токена токенов"),
}
"""What is counted: one and several in English; one, two and five in Russian."""
_SCALES = {"thousand characters": 1000, "million tokens": 1_000_000}
_AT_MOST = LocalizedText(ru="максимум", en="at most")
_BOOLEANS = {True: LocalizedText(ru="да", en="yes"), False: LocalizedText(ru="нет", en="no")}


def quote_lines(
    model: Model, quote: Quote, *, inputs: Mapping[str, JsonValue], language_code: str
) -> tuple[str, ...]:
    """Return a line of text for the first part, and for each more that costs something.

    They have no amounts of money: those are the provider's, and the price is rounded up once.
    """
    writer = _Writer(model, {**model.defaults, **inputs}, language_code)
    first, *others = quote.lines
    shown = (first, *(line for line in others if line.credits))
    return tuple(dict.fromkeys(map(writer.line, shown)))


class _Writer:
    """Writes the lines of one quote."""

    def __init__(self, model: Model, inputs: Mapping[str, JsonValue], language_code: str) -> None:
        self._options = {option.field: option for option in model.options}
        self._inputs = inputs
        self._language_code = language_code

    def line(self, line: QuoteLine) -> str:
        conditions = filter(None, map(self._condition, line.conditions))
        return " · ".join([self._amount(line), *dict.fromkeys(conditions)])

    def _amount(self, line: QuoteLine) -> str:
        amount = _rounded(line.amount * _SCALES.get(line.unit, 1))
        english, russian = _UNITS[line.unit]
        text = LocalizedText(
            ru=f"{_number(amount, separator=chr(0xA0), point=',')} {_russian(amount, russian)}",
            en=f"{_number(amount, separator=',', point='.')} {_english(amount, english)}",
        )
        # That the price is a ceiling stands above the lines: here it is said of amounts only.
        most = f"{self._text(_AT_MOST)} " if line.is_most else ""
        return most + self._text(text).replace("·", " ")

    def _condition(self, condition: Condition) -> str:
        option = self._options.get(condition.field)
        if option is None or not condition.is_present:
            return ""
        label = self._text(option.label)
        if not condition.values:
            return label
        return f"{label}: {self._value(option, self._inputs.get(condition.field))}"

    def _value(self, option: Option, value: JsonValue) -> str:
        if isinstance(value, bool):
            return self._text(_BOOLEANS[value])
        labels = (each.label for each in option.choices if each.value == value)
        label = next(labels, None)
        return str(value) if label is None else self._text(label)

    def _text(self, text: LocalizedText) -> str:
        return text.pick(self._language_code)


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP).normalize()


def _number(amount: Decimal, *, separator: str, point: str) -> str:
    whole, _, rest = f"{amount:,f}".partition(".")
    return whole.replace(",", separator) + (point + rest if rest else "")


def _english(amount: Decimal, words: str) -> str:
    one, several = words.split()
    return one if amount == 1 else several


def _russian(amount: Decimal, words: str) -> str:
    one, two, five = words.split()
    if amount != amount.to_integral_value():
        return two
    last, tens = int(amount) % 10, int(amount) % 100 // 10
    if tens == 1 or last == 0 or last > 4:
        return five
    return one if last == 1 else two
