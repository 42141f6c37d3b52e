"""Reads what a user typed as the value of a field, or says what is taken."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from atelier.generation.v1 import media_pb2
from edge_bot.view.catalog import localised
from edge_bot.view.input_form import Field, FieldKind, JsonValue
from edge_bot.view.input_rule import Schema
from edge_bot.view.language import Texts
from edge_bot.view.layout import TEXT_LENGTH
from edge_bot.view.media_name import type_names

_YES = frozenset({"yes", "y", "да", "on", "+"})
_NO = frozenset({"no", "n", "нет", "off", "-"})
_LINK = re.compile(r"https://\S+")
SHORT_RANGE = 10
"""How many whole numbers are offered as buttons."""


class NotTaken(Exception):
    """The field takes no such text; the text is the sentence for the user, as HTML."""


def typed_value(field: Field, text: str, speak: Texts) -> JsonValue:
    """Return what a text means for a field; raises NotTaken."""
    match field.kind:
        case FieldKind.TEXT:
            return _text(field.schema, text, speak)
        case FieldKind.NUMBER:
            return _number(field.schema, text, speak)
        case FieldKind.YES_NO:
            return _yes_no(text, speak)
        case FieldKind.CHOICE:
            return _choice(field, text, speak)
        case FieldKind.VALUES:
            return _values(field, text, speak)
        case FieldKind.MEDIA if _LINK.fullmatch(text) and not _is_measured(field):
            return text
        case FieldKind.MEDIA:
            raise NotTaken(speak.html("⚠️ A file is needed here. {how}", how=how(field, speak)))
        case _:
            raise NotTaken(f"⚠️ {how(field, speak)}")


def how(field: Field, speak: Texts) -> str:
    """Return the sentence that says how to answer; it holds no HTML."""
    match field.kind:
        case FieldKind.TEXT:
            return _text_range(field.schema, speak)
        case FieldKind.NUMBER:
            return number_range(field.schema, speak)
        case FieldKind.CHOICE if "enum" not in field.schema:
            return speak.plain("Choose one or write your own.")
        case FieldKind.CHOICE:
            return speak.plain("Choose one or write its name.")
        case FieldKind.VALUES:
            return speak.plain("Write them in one message, with commas between.")
        case FieldKind.MEDIA if field.media is not None:
            return _file(field, speak)
        case FieldKind.REFERENCE:
            return speak.plain("Choose one of your earlier results, or reply to it here.")
        case _:
            return ""


def number_range(schema: Schema, speak: Texts) -> str:
    """Return which numbers a field takes."""
    bounds = _bounds(schema, speak)
    step = _decimal(schema["multipleOf"]) if "multipleOf" in schema else None
    if schema.get("type") == "integer":
        return speak.plain("Write a whole number{bounds}.", bounds=bounds)
    if step is not None and step != 1:
        return speak.plain(
            "Write a number{bounds}, in steps of {step}.", bounds=bounds, step=_shown(step)
        )
    return speak.plain("Write a number{bounds}.", bounds=bounds)


def short_range(schema: Schema) -> Sequence[int]:
    """Return the whole numbers that a field takes if they are few; empty otherwise."""
    if schema.get("type") != "integer" or not {"minimum", "maximum"} <= schema.keys():
        return ()
    numbers = range(int(schema["minimum"]), int(schema["maximum"]) + 1)
    return numbers if len(numbers) <= SHORT_RANGE else ()


def shown_number(value: float) -> str:
    """Return a number as people write it."""
    return _shown(_decimal(value))


def _text(schema: Schema, text: str, speak: Texts) -> str:
    longest, shortest = schema.get("maxLength"), schema.get("minLength", 1)
    if longest is not None and len(text) > longest:
        raise NotTaken(
            speak.html(
                "⚠️ Your text has {length}; at most {limit} fit here. Please make it shorter.",
                length=speak.count("{n} character", "{n} characters", len(text)),
                limit=speak.number(int(longest)),
            )
        )
    if len(text) < shortest:
        length = speak.count("{n} character", "{n} characters", int(shortest))
        raise NotTaken(
            speak.html("⚠️ Please write more: at least {length} are needed.", length=length)
        )
    return text


def _number(schema: Schema, text: str, speak: Texts) -> float:
    told = text.replace("\u00a0", "").replace(" ", "").replace(",", ".").replace("−", "-")
    try:
        number = Decimal(told)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or not _is_taken(schema, number):
        raise NotTaken(f"⚠️ {number_range(schema, speak)}")
    return int(number) if number == number.to_integral_value() else float(number)


def _is_taken(schema: Schema, number: Decimal) -> bool:
    if schema.get("type") == "integer" and number != number.to_integral_value():
        return False
    if "minimum" in schema and number < _decimal(schema["minimum"]):
        return False
    if "maximum" in schema and number > _decimal(schema["maximum"]):
        return False
    if "exclusiveMinimum" in schema and number <= _decimal(schema["exclusiveMinimum"]):
        return False
    if "enum" in schema and number not in [_decimal(each) for each in schema["enum"]]:
        return False
    return "multipleOf" not in schema or not number % _decimal(schema["multipleOf"])


def _yes_no(text: str, speak: Texts) -> bool:
    word = text.casefold().strip(" .!")
    if word in _YES | _NO:
        return word in _YES
    raise NotTaken(speak.html("⚠️ Please answer yes or no."))


def _choice(field: Field, text: str, speak: Texts) -> JsonValue:
    """Find the choice of a name, or of the beginning of only one name."""
    wanted = text.casefold().strip()
    named = [(each, {label.casefold() for label in each.labels.values()}) for each in field.choices]
    exact = [each for each, labels in named if wanted in labels]
    begun = [each for each, labels in named if any(label.startswith(wanted) for label in labels)]
    for found in (exact, begun):
        if len(found) == 1:
            return found[0].value
    if "enum" not in field.schema:
        return _text(field.schema, text, speak)
    if begun:
        names = ", ".join(localised(each.labels, speak.language) for each in begun[:5])
        raise NotTaken(speak.html("⚠️ Which one: {names}?", names=names))
    raise NotTaken(speak.html("⚠️ There is no such choice. Please take one of those below."))


def _values(field: Field, text: str, speak: Texts) -> list[JsonValue]:
    items = field.schema.get("items", {})
    parts = [part.strip() for part in re.split(r"[,;\n]+", text) if part.strip()]
    if not field.least <= len(parts) <= field.most:
        raise NotTaken(
            speak.html("⚠️ Please name {least} to {most}.", least=field.least, most=field.most)
        )
    if items.get("type") in ("integer", "number"):
        return [_number(items, part, speak) for part in parts]
    return [_text(items, part, speak) for part in parts]


def _text_range(schema: Schema, speak: Texts) -> str:
    longest = schema.get("maxLength")
    if longest is None or longest >= TEXT_LENGTH:
        return speak.plain("Write it in one message.")
    length = speak.count("{n} character", "{n} characters", int(longest))
    return speak.plain("Write it in one message, at most {length}.", length=length)


def _is_measured(field: Field) -> bool:
    """Tell whether the price follows the length of media, so that no link is taken."""
    return field.media is not None and field.media.is_measured


def _file(field: Field, speak: Texts) -> str:
    names = type_names(field.media.mime_types if field.media else ())
    types = speak.plain("Files may be {types}.", types=", ".join(names)) if names else ""
    link = speak.plain("A link that begins with https:// will do, too.")
    parts = (_send(field, speak), types, "" if _is_measured(field) else link)
    return " ".join(each for each in parts if each)


def _send(field: Field, speak: Texts) -> str:
    media = field.media
    is_one = field.most == 1
    match media.kind if media else 0:
        case media_pb2.MEDIA_KIND_IMAGE if is_one:
            return speak.plain("Send a photo, or a picture as a file.")
        case media_pb2.MEDIA_KIND_IMAGE:
            return speak.plain("Send up to {n} photos, or pictures as files.", n=field.most)
        case media_pb2.MEDIA_KIND_VIDEO if is_one:
            return speak.plain("Send a video.")
        case media_pb2.MEDIA_KIND_VIDEO:
            return speak.plain("Send up to {n} videos.", n=field.most)
        case media_pb2.MEDIA_KIND_AUDIO if is_one:
            return speak.plain("Send a recording, or a song as a file.")
        case media_pb2.MEDIA_KIND_AUDIO:
            return speak.plain("Send up to {n} recordings, or songs as files.", n=field.most)
        case _:
            return speak.plain("Send a file.")


def _bounds(schema: Schema, speak: Texts) -> str:
    least = schema.get("minimum", schema.get("exclusiveMinimum"))
    most = schema.get("maximum")
    if "minimum" in schema and most is not None:
        return speak.plain(
            " from {least} to {most}", least=_number_of(least), most=_number_of(most)
        )
    if "exclusiveMinimum" in schema and most is None:
        return speak.plain(" greater than {least}", least=_number_of(least))
    if least is not None:
        return speak.plain(", {least} or more", least=_number_of(least))
    return speak.plain(", {most} or less", most=_number_of(most)) if most is not None else ""


def _number_of(value: float) -> str:
    return _shown(_decimal(value))


def _decimal(value: float) -> Decimal:
    return Decimal(str(value))


def _shown(number: Decimal) -> str:
    whole = number.to_integral_value()
    return f"{int(whole)}" if number == whole else f"{number.normalize():f}"
