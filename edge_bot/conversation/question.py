"""What a form asks next, as it follows from the inputs.

The user may want to answer something else (`Draft.at`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from atelier.generation.v1 import model_pb2 as pb
from edge_bot.conversation.place import item_of, value_at
from edge_bot.conversation.session import Draft
from edge_bot.view.input_form import Field, FieldKind, InputForm, JsonValue
from edge_bot.view.input_rule import Rules


class QuestionKind(Enum):
    """What is asked."""

    BRANCH = auto()
    """Which of several ways to go."""
    EITHER = auto()
    """Which of several fields to give."""
    FIELD = auto()
    ITEMS = auto()
    """Whether a list gets another item, or one of them is changed."""
    ITEM = auto()
    """What of an item is changed."""
    REVIEW = auto()
    """Nothing more: all that must be given is there."""


@dataclass(frozen=True, slots=True)
class Question:
    """What the form asks next."""

    kind: QuestionKind
    place: str = ""
    options: tuple[tuple[str, ...], ...] = ()
    """Of EITHER: the fields of each option."""


REVIEW = Question(QuestionKind.REVIEW)
"""The question whether to go ahead."""


def question_of(draft: Draft, form: InputForm) -> Question:
    """Return what the form asks next."""
    rules = form.rules(draft.inputs, draft.branch)
    if draft.at and (question := _wanted(draft, form, rules)):
        return question
    if form.branches and draft.branch < 0:
        return Question(QuestionKind.BRANCH)
    for field in sorted(form.top, key=is_followed):
        if place := _missing(field, draft.inputs, form=form, rules=rules):
            return Question(QuestionKind.FIELD, place)
    return next(_either(draft.inputs, form=form, rules=rules), REVIEW)


def asked_field(draft: Draft, form: InputForm) -> Field | None:
    """Return the field that is asked for, within the bounds that the other answers set."""
    question = question_of(draft, form)
    if question.kind not in (QuestionKind.FIELD, QuestionKind.ITEMS):
        return None
    return form.ruled(question.place, form.rules(draft.inputs, draft.branch))


def missing_in_item(
    form: InputForm, inputs: Mapping[str, JsonValue], *, path: str, index: int
) -> str:
    """Return the place of what an item still needs; empty if it needs nothing."""
    items = inputs.get(path, [])
    item = items[index] if index < len(items) else {}
    for field in form.inner(path):
        value = item.get(field.name)
        is_short = isinstance(value, list) and len(value) < field.least
        if (field.is_required and value is None) or is_short:
            return f"{path}[{index}].{field.name}"
    return ""


def first_in_item(form: InputForm, path: str, *, index: int) -> str:
    """Return the place of the first answer of an item."""
    fields = sorted(form.inner(path), key=lambda each: not each.is_required)
    return f"{path}[{index}].{fields[0].name}"


def is_followed(field: Field) -> bool:
    """Tell whether a field is asked late: the job of a song follows from the song."""
    return field.reference is not None and field.reference.part == pb.REFERENCE_PART_TASK


def is_item(draft: Draft, place: str, *, form: InputForm) -> bool:
    """Tell whether a place is that of an object of a list that is there."""
    item, field = item_of(place), form.find(place.partition("[")[0])
    is_object = item is not None and not item.name and value_at(draft.inputs, place) is not None
    return is_object and field is not None and field.kind is FieldKind.OBJECTS


def _wanted_item(draft: Draft, form: InputForm) -> Question:
    item = item_of(draft.at)
    path, index = (item.path, item.index) if item else ("", 0)
    missing = missing_in_item(form, draft.inputs, path=path, index=index)
    return (
        Question(QuestionKind.FIELD, missing) if missing else Question(QuestionKind.ITEM, draft.at)
    )


def _wanted(draft: Draft, form: InputForm, rules: Rules) -> Question | None:
    """Return what the user wants to answer, if the rules allow it."""
    if draft.at.partition("[")[0] in rules.forbidden:
        return None
    if is_item(draft, draft.at, form=form):
        return _wanted_item(draft, form)
    field = form.ruled(draft.at, rules)
    if field is None:
        return None
    if field.kind is not FieldKind.OBJECTS:
        return Question(QuestionKind.FIELD, draft.at)
    items = draft.inputs.get(draft.at, ())
    if not items:
        return Question(QuestionKind.FIELD, first_in_item(form, draft.at, index=0))
    for index in range(len(items)):
        if place := missing_in_item(form, draft.inputs, path=draft.at, index=index):
            return Question(QuestionKind.FIELD, place)
    return Question(QuestionKind.ITEMS, draft.at)


def _missing(
    field: Field, inputs: Mapping[str, JsonValue], *, form: InputForm, rules: Rules
) -> str:
    """Return the place of what a field still needs; empty if it needs nothing."""
    ruled = form.ruled(field.path, rules)
    if ruled is None:
        return ""
    value = inputs.get(field.path)
    is_needed = field.path in rules.required or value is not None
    if field.kind is FieldKind.OBJECTS:
        items = value or []
        unfinished = (
            missing_in_item(form, inputs, path=field.path, index=index)
            for index in range(len(items))
        )
        if place := next((each for each in unfinished if each), ""):
            return place
        is_short = is_needed and len(items) < ruled.least
        return first_in_item(form, field.path, index=len(items)) if is_short else ""
    if not is_needed:
        return ""
    is_short = isinstance(value, list) and len(value) < ruled.least
    return field.path if value is None or is_short else ""


def _either(
    inputs: Mapping[str, JsonValue], *, form: InputForm, rules: Rules
) -> Iterator[Question]:
    for group in rules.either:
        if any(set(names) <= inputs.keys() for names in group):
            continue
        options = tuple(
            names for names in group if not any(form.ruled(name, rules) is None for name in names)
        )
        if len(options) == 1:
            place = next(name for name in options[0] if name not in inputs)
            yield Question(QuestionKind.FIELD, place)
        elif options:
            yield Question(QuestionKind.EITHER, options=options)
