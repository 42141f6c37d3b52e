"""Takes the text of a filter apart, whatever it is about: a subset of AIP-160.

    filter    = choice { "AND" choice }
    choice    = condition { "OR" condition }

OR binds more tightly than AND, as it does there. What cannot be read is a violation that names the
position, from 1, and what would be right there.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, NoReturn, TypeVar

from generation_svc.domain.error import FieldViolation, InvalidInputs
from generation_svc.rpc.bound import MAX_FILTER_CONDITIONS

_T = TypeVar("_T")
_PART = re.compile(
    r'\s*(?:(?P<quoted>"(?:[^"\\\x00-\x1f]|\\["\\])*")|(?P<operator>[<>!]=|[=<>])'
    r"|(?P<word>[A-Za-z0-9_./:+-]+))"
)
_SHOWN_LENGTH = 40


@dataclass(frozen=True, slots=True)
class FilterPart:
    """A word, an operator or a text in quotes; the end of the filter is an empty one."""

    kind: str
    text: str
    position: int

    @property
    def value(self) -> str:
        """The text of a value; empty for an operator or the end."""
        if self.kind == "quoted":
            return re.sub(r"\\(.)", r"\1", self.text[1:-1])
        return self.text if self.kind == "word" else ""

    def refuse(self, wanted: str) -> NoReturn:
        """Raise InvalidInputs, which names the position and what is wanted there."""
        found = f'"{self.text[:_SHOWN_LENGTH]}"' if self.text else "the end"
        description = f"At character {self.position}: expected {wanted}, not {found}."
        raise InvalidInputs((FieldViolation("filter", description),))


class FilterReader(Generic[_T]):
    """Reads a filter from left to right, with a function that reads a condition."""

    def __init__(self, text: str, *, condition: "Callable[[FilterReader[_T]], _T]") -> None:
        self._parts = iter(_parts(text))
        self._next = next(self._parts)
        self._condition = condition
        self._count = 0

    def read(self) -> tuple[tuple[_T, ...], ...]:
        """Return the choices, of which each must hold; none for an empty text."""
        if self._next.kind == "end":
            return ()
        choices = [self._choice()]
        while self._took("AND"):
            choices.append(self._choice())
        if self._next.kind != "end":
            self._next.refuse("AND, OR or the end")
        return tuple(choices)

    def word(self, known: Sequence[str]) -> str:
        """Take the name of a field."""
        part = self.take()
        if part.kind != "word" or part.text not in known:
            part.refuse(f"one of {', '.join(known)}")
        return part.text

    def operator(self, known: Sequence[str]) -> str:
        """Take an operator."""
        part = self.take()
        if part.kind != "operator" or part.text not in known:
            part.refuse(f"one of {' '.join(known)}")
        return part.text

    def take(self) -> FilterPart:
        """Take the next part."""
        part = self._next
        self._next = next(self._parts, part)
        return part

    def _choice(self) -> tuple[_T, ...]:
        conditions = [self._counted()]
        while self._took("OR"):
            conditions.append(self._counted())
        return tuple(conditions)

    def _counted(self) -> _T:
        self._count += 1
        if self._count > MAX_FILTER_CONDITIONS:
            most = MAX_FILTER_CONDITIONS
            self._next.refuse(f"the end (at most {most} conditions are allowed)")
        return self._condition(self)

    def _took(self, word: str) -> bool:
        is_next = self._next.kind == "word" and self._next.text == word
        if is_next:
            self.take()
        return is_next


def _parts(text: str) -> list[FilterPart]:
    parts, position = [], 0
    while text[position:].strip():
        found = _PART.match(text, position)
        if found is None:
            start = position + len(text[position:]) - len(text[position:].lstrip())
            wrong = FilterPart("wrong", text[start:], start + 1)
            wrong.refuse("a field, an operator, a value, AND or OR")
        kind = str(found.lastgroup)
        parts.append(FilterPart(kind, found[kind], found.start(kind) + 1))
        position = found.end()
    return [*parts, FilterPart("end", "", len(text) + 1)]
