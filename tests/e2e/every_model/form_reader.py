"""Reads the screens of a form in a person's language: which question is asked, what is given."""

from __future__ import annotations

import re
from typing import Any

from edge_bot.view.language import texts
from generation_svc.domain.model import Model
from tests.e2e.every_model.screen import Screen

_ITEM = re.compile(r"(\w+)\[(\d+)\]\.(\w+)")


class FormReader:
    """The words of one model's form in one language."""

    def __init__(self, model: Model, language: str) -> None:
        self.speak = texts(language)
        self._model = model
        self._labels: dict[str, str] = {
            each.field: getattr(each.label, language) for each in model.options
        }
        self._choices: dict[str, dict[str, str]] = {
            each.field: {
                repr(choice.value): getattr(choice.label, language) for choice in each.choices
            }
            for each in model.options
        }
        self._where = self._pattern("{list}, {n} of at most {most}")
        self._count = self._pattern("{n} of at most {most}")

    def label(self, place: str) -> str:
        """Return what the form calls the field at a place."""
        return self._labels[path_of(place)]

    def choice(self, place: str, value: object) -> str:
        """Return what a value is called; empty for one without a name."""
        return self._choices[path_of(place)].get(repr(value), "")

    def is_choice(self, place: str, label: str) -> bool:
        """Return whether some value of a field is called so."""
        return label in self._choices[path_of(place)].values()

    def schema(self, place: str) -> Any:
        """Return the schema of the field at a place."""
        top, _, inner = path_of(place).partition("[].")
        found: Any = self._model.properties[top]
        return found["items"]["properties"][inner] if inner else found

    def is_list(self, place: str) -> bool:
        """Return whether a place holds a list of objects."""
        schema = self.schema(place)
        return bool(schema.get("items", {}).get("type") == "object")

    def place(self, screen: Screen) -> str:
        """Return the place that a screen asks about; empty if it asks about none."""
        where = self._item(screen)
        within = self._top(where["list"]) if where else ""
        for bold in screen.bold:
            for path, label in self._labels.items():
                top, _, inner = path.partition("[].")
                if label == bold and (top if inner else "") == within:
                    return f"{top}[{int(where['n']) - 1}].{inner}" if where else path
        return ""

    def _item(self, screen: Screen) -> re.Match[str] | None:
        """Return which item of which list a screen asks about; None if it is about no item."""
        found = [self._where.fullmatch(line) for line in screen.lines]
        # A list itself has its name in bold, and in some languages tells its length alike.
        return next((each for each in found if each and each["list"] not in screen.bold), None)

    def item_count(self, screen: Screen, place: str) -> int:
        """Return how many items a screen tells of a list; 0 if it asks for an answer."""
        head = f"{self.label(place)}: "
        told = [line.removeprefix(head) for line in screen.lines if line.startswith(head)]
        counts = [self._count.fullmatch(each) for each in told]
        return next((int(each["n"]) for each in counts if each), 0)

    def is_told(self, screen: Screen, place: str, value: object) -> bool:
        """Return whether the summary tells of an answer: by its label, or as the words quoted."""
        head = f"{self.label(place)}: "
        is_quoted = isinstance(value, str) and value[:200] in screen.text
        # A list has its items in the lines below its label.
        is_list = head.rstrip() in screen.lines
        return is_quoted or is_list or any(line.startswith(head) for line in screen.lines)

    def _top(self, label: str) -> str:
        return next(
            path
            for path, each in self._labels.items()
            if each == label and "." not in path and self.is_list(path)
        )

    def _pattern(self, message: str) -> re.Pattern[str]:
        told = self.speak.plain(message, list="LIST", n="NUMBER", most="MOST")
        pattern = re.escape(told).replace("LIST", "(?P<list>.+)")
        return re.compile(pattern.replace("NUMBER", r"(?P<n>\d+)").replace("MOST", r"\d+"))


def path_of(place: str) -> str:
    """Return the path of the field at a place: `shots[].prompt` for `shots[1].prompt`."""
    return re.sub(r"\[\d+\]", "[]", place)


def value_at(inputs: Any, place: str) -> Any:
    """Return what inputs hold at a place; None if they hold nothing."""
    item = _ITEM.fullmatch(place)
    if not item:
        return inputs.get(place)
    items = inputs.get(item[1], [])
    return items[int(item[2])].get(item[3]) if int(item[2]) < len(items) else None
