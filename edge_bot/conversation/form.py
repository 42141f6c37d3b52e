"""Pure functions that turn the form of a draft and an answer into the next form.

A place is where an answer stands in the inputs: `prompt`, or `shots[1].prompt` in the second object
of a list. What is asked next follows from the inputs (`question_of`), unless the user wants to
answer something else (`Draft.at`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from enum import Enum, auto

from atelier.generation.v1 import model_pb2 as pb
from edge_bot.conversation.session import Draft
from edge_bot.view.input_form import Field, FieldKind, InputForm, JsonValue
from edge_bot.view.input_rule import Rules, keeps

_ITEM = re.compile(r"(\w+)\[(\d+)\]\.(\w+)")
_SETTLINGS = 4
"""How often rules may take back an answer because another one was taken back."""


class QuestionKind(Enum):
    """What is asked."""

    BRANCH = auto()
    """Which of several ways to go."""
    EITHER = auto()
    """Which of several fields to give."""
    FIELD = auto()
    ITEMS = auto()
    """Whether a list gets another item."""
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
    for field in sorted(form.top, key=_is_followed):
        if place := _missing(field, draft.inputs, form=form, rules=rules):
            return Question(QuestionKind.FIELD, place)
    return next(_either(draft.inputs, form=form, rules=rules), REVIEW)


def asked_field(draft: Draft, form: InputForm) -> Field | None:
    """Return the field that is asked for, within the bounds that the other answers set."""
    question = question_of(draft, form)
    if question.kind not in (QuestionKind.FIELD, QuestionKind.ITEMS):
        return None
    return form.ruled(question.place, form.rules(draft.inputs, draft.branch))


def value_at(inputs: Mapping[str, JsonValue], place: str) -> JsonValue:
    """Return the answer at a place; None if there is none."""
    item = _ITEM.fullmatch(place)
    if not item:
        return inputs.get(place)
    items = inputs.get(item[1], [])
    return items[int(item[2])].get(item[3]) if int(item[2]) < len(items) else None


def with_answer(draft: Draft, place: str, value: JsonValue, *, form: InputForm) -> Draft:
    """Return the draft with an answer, without the answers that it rules out."""
    inputs = _placed(draft.inputs, place, value)
    field = form.find(place)
    if field is not None and field.reference is not None:
        inputs |= _same_job(value, field.reference, form=form, draft=draft)
    answered = draft.model_copy(update={"inputs": inputs})
    settled = _settled(answered, place.partition("[")[0], form=form)
    return settled.model_copy(update={"at": place_after(settled, place, form=form)})


def with_another(draft: Draft, place: str, value: JsonValue, *, form: InputForm) -> Draft:
    """Return the draft with one more value in a list; it stays open while there is room."""
    field = form.ruled(place, form.rules(draft.inputs, draft.branch))
    if field is None or not field.is_list:
        return with_answer(draft, place, value, form=form)
    given = [*(value_at(draft.inputs, place) or ()), value]
    answered = with_answer(draft, place, given[-field.most :], form=form)
    return answered.model_copy(update={"at": place}) if len(given) < field.most else answered


def without_answer(draft: Draft, place: str, *, form: InputForm) -> Draft:
    """Return the draft without an answer, or without the last item of a list of objects."""
    field = form.find(place)
    inputs = deepcopy(draft.inputs)
    item = _ITEM.fullmatch(place)
    if item and int(item[2]) < len(inputs.get(item[1], [])):
        inputs[item[1]][int(item[2])].pop(item[3], None)
    elif field is not None and field.kind is FieldKind.OBJECTS and len(inputs.get(place, [])) > 1:
        inputs[place].pop()
    else:
        inputs.pop(place, None)
    left = draft.model_copy(update={"inputs": inputs, "at": ""})
    is_list = field is not None and field.kind is FieldKind.OBJECTS and place in inputs
    at = place if is_list else item[1] if item else ""
    return _settled(left, "", form=form).model_copy(update={"at": at})


def with_branch(draft: Draft, index: int, *, form: InputForm) -> Draft:
    """Return the draft on one of the ways to fill in the form."""
    if not 0 <= index < len(form.branches):
        return draft
    return _settled(draft.model_copy(update={"branch": index, "at": ""}), "", form=form)


def without_branch(draft: Draft) -> Draft:
    """Return the draft before the way was chosen."""
    return draft.model_copy(update={"branch": -1, "at": ""})


def asking(draft: Draft, place: str, *, form: InputForm) -> Draft:
    """Return the draft with a question that the user wants to answer."""
    field = form.ruled(place, form.rules(draft.inputs, draft.branch))
    return draft if field is None else draft.model_copy(update={"at": place})


def another_item(draft: Draft, place: str, *, form: InputForm) -> Draft:
    """Return the draft with the first question about one more item of a list."""
    field = form.ruled(place, form.rules(draft.inputs, draft.branch))
    count = len(draft.inputs.get(place, ()))
    if field is None or field.kind is not FieldKind.OBJECTS or count >= field.most:
        return draft
    return draft.model_copy(update={"at": _first_in_item(form, place, count)})


def place_after(draft: Draft, place: str, *, form: InputForm) -> str:
    """Return where an item goes on after one of its answers: its next field, then its list."""
    item = _ITEM.fullmatch(place)
    if not item:
        return ""
    return _missing_in_item(form, draft.inputs, item[1], int(item[2])) or item[1]


def known_values(draft: Draft, place: str, *, form: InputForm) -> list[str]:
    """Return what another list of the form has under the same name, such as its speakers."""
    field, item = form.find(place), _ITEM.fullmatch(place)
    if field is None or field.kind is not FieldKind.TEXT or item is None:
        return []
    others = [
        each
        for each in form.top
        if each.kind is FieldKind.OBJECTS
        and each.path != item[1]
        and form.find(f"{each.path}[0].{item[3]}") is not None
    ]
    given = [one.get(item[3]) for each in others for one in draft.inputs.get(each.path, ())]
    return [str(each) for each in dict.fromkeys(given) if each is not None]


def main_text(form: InputForm, rules: Rules) -> Field | None:
    """Return the field that a text is for if nothing is asked: the prompt, if there is one."""
    texts = [
        each
        for each in form.top
        if each.kind is FieldKind.TEXT and each.path not in rules.forbidden
    ]
    prompts = [each for each in texts if each.path == "prompt"]
    needed = [each for each in texts if each.path in rules.required]
    return next(iter([*prompts, *needed]), None)


def media_place(draft: Draft, form: InputForm, kind: int) -> str:
    """Return where media that comes is put: where it is asked for, else where there is room."""
    asked = asked_field(draft, form)
    if asked is not None and asked.media is not None and asked.media.kind == kind:
        return question_of(draft, form).place
    rules = form.rules(draft.inputs, draft.branch)
    places = [
        field
        for each in sorted(form.top, key=lambda each: _urgency(each, draft, form, rules))
        if (field := form.ruled(each.path, rules)) and field.media and field.media.kind == kind
    ]
    free = [each.path for each in places if _has_room(each, draft.inputs)]
    full = [each.path for each in places if not each.is_list]
    return next(iter([*free, *full]), "")


def _urgency(field: Field, draft: Draft, form: InputForm, rules: Rules) -> int:
    """Return how soon media is put into a field: after a first frame comes the last one."""
    if field.path in rules.required:
        return 0
    role = field.media.role if field.media is not None else 0
    roles = {
        each.media.role for each in form.top if each.media is not None and each.path in draft.inputs
    }
    has_first = pb.MEDIA_ROLE_FIRST_FRAME in roles
    return 1 if has_first and role == pb.MEDIA_ROLE_LAST_FRAME else 2


def begun_form(draft: Draft, form: InputForm) -> Draft:
    """Return the draft of a model with what it already has: its words and its picture."""
    inputs = {
        name: value
        for name, value in draft.inputs.items()
        if name in form.fields and _fits(form.fields[name], value)
    }
    begun = draft.model_copy(update={"inputs": inputs, "branch": -1, "at": ""})
    words = main_text(form, form.rules({}, -1))
    if draft.prompt and words is not None and words.path not in inputs:
        longest = words.schema.get("maxLength", len(draft.prompt))
        if len(draft.prompt) <= longest:
            begun = _settled(with_answer(begun, words.path, draft.prompt, form=form), "", form=form)
    place = media_place(begun, form, _IMAGE) if draft.picture else ""
    if place and value_at(begun.inputs, place) is None:
        begun = with_another(begun, place, draft.picture, form=form)
    return begun.model_copy(update={"at": ""})


def form_with_inputs(draft: Draft, inputs: Mapping[str, JsonValue], *, form: InputForm) -> Draft:
    """Return the draft with the inputs of a job, as far as the form has them."""
    known = {name: deepcopy(value) for name, value in inputs.items() if name in form.fields}
    branch = next((i for i, each in enumerate(form.branches) if _is_on(known, each)), -1)
    filled = draft.model_copy(update={"inputs": known, "branch": branch, "at": ""})
    return _settled(filled, "", form=form)


def _fits(field: Field, value: JsonValue) -> bool:
    """Tell whether a field takes an answer that was given to a field of that name elsewhere."""
    if isinstance(value, list) is not field.is_list:
        return False
    match field.kind:
        case FieldKind.TEXT:
            return isinstance(value, str) and keeps(field.schema, value)
        case FieldKind.NUMBER:
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            return is_number and keeps(field.schema, value)
        case FieldKind.YES_NO:
            return isinstance(value, bool)
        case FieldKind.CHOICE:
            return value in [each.value for each in field.choices]
        case FieldKind.MEDIA:
            return keeps(field.schema, value)
        case _:
            return False


_IMAGE = 1
"""MEDIA_KIND_IMAGE."""


def _is_on(inputs: Mapping[str, JsonValue], branch: Mapping[str, JsonValue]) -> bool:
    bounds = branch.get("properties", {}).items()
    return set(branch.get("required", ())) <= inputs.keys() and all(
        keeps(bound, inputs[name]) for name, bound in bounds if name in inputs
    )


def _wanted(draft: Draft, form: InputForm, rules: Rules) -> Question | None:
    """Return what the user wants to answer, if the rules allow it."""
    field = form.ruled(draft.at, rules)
    if field is None or draft.at.partition("[")[0] in rules.forbidden:
        return None
    if field.kind is not FieldKind.OBJECTS:
        return Question(QuestionKind.FIELD, draft.at)
    items = draft.inputs.get(draft.at, ())
    if not items:
        return Question(QuestionKind.FIELD, _first_in_item(form, draft.at, 0))
    for index in range(len(items)):
        if place := _missing_in_item(form, draft.inputs, draft.at, index):
            return Question(QuestionKind.FIELD, place)
    return Question(QuestionKind.ITEMS, draft.at)


def _is_followed(field: Field) -> bool:
    """Tell whether a field is asked late: the job of a song follows from the song."""
    return field.reference is not None and field.reference.part == pb.REFERENCE_PART_TASK


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
            _missing_in_item(form, inputs, field.path, index) for index in range(len(items))
        )
        if place := next((each for each in unfinished if each), ""):
            return place
        is_short = is_needed and len(items) < ruled.least
        return _first_in_item(form, field.path, len(items)) if is_short else ""
    if not is_needed:
        return ""
    is_short = isinstance(value, list) and len(value) < ruled.least
    return field.path if value is None or is_short else ""


def _missing_in_item(
    form: InputForm, inputs: Mapping[str, JsonValue], path: str, index: int
) -> str:
    items = inputs.get(path, [])
    item = items[index] if index < len(items) else {}
    for field in form.inner(path):
        value = item.get(field.name)
        is_short = isinstance(value, list) and len(value) < field.least
        if (field.is_required and value is None) or is_short:
            return f"{path}[{index}].{field.name}"
    return ""


def _first_in_item(form: InputForm, path: str, index: int) -> str:
    fields = sorted(form.inner(path), key=lambda each: not each.is_required)
    return f"{path}[{index}].{fields[0].name}"


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


def _placed(inputs: Mapping[str, JsonValue], place: str, value: JsonValue) -> dict[str, JsonValue]:
    placed = deepcopy(dict(inputs))
    item = _ITEM.fullmatch(place)
    if not item:
        return {**placed, place: value}
    items = placed.setdefault(item[1], [])
    if int(item[2]) >= len(items):
        items.append({})
    items[min(int(item[2]), len(items) - 1)][item[3]] = value
    return placed


def _settled(draft: Draft, answered: str, *, form: InputForm) -> Draft:
    """Take back the answers that the rules no longer allow; the latest answer stays."""
    inputs = dict(draft.inputs)
    for _ in range(_SETTLINGS):
        rules = form.rules(inputs, draft.branch)
        ruled_out = [
            name
            for name, value in inputs.items()
            if name != answered
            and (
                name in rules.forbidden
                or not all(_may_become(each, value) for each in rules.bounds.get(name, ()))
            )
        ]
        if not ruled_out:
            break
        inputs = {name: value for name, value in inputs.items() if name not in ruled_out}
    return draft.model_copy(update={"inputs": inputs})


def _may_become(bound: Mapping[str, JsonValue], value: JsonValue) -> bool:
    """Tell whether a value keeps a bound, or is a list that is only too short."""
    loose = {key: limit for key, limit in bound.items() if key != "minItems"}
    return keeps(loose, value)


def _has_room(field: Field, inputs: Mapping[str, JsonValue]) -> bool:
    value = inputs.get(field.path)
    return value is None or (field.is_list and len(value) < field.most)


def _same_job(
    value: JsonValue, reference: pb.ReferenceInput, *, form: InputForm, draft: Draft
) -> dict[str, JsonValue]:
    """Return the job that must be named beside a thing that it made."""
    if reference.part not in (pb.REFERENCE_PART_AUDIO, pb.REFERENCE_PART_SEGMENT):
        return {}
    if not isinstance(value, str):
        return {}
    rules = form.rules(draft.inputs, draft.branch)
    return {
        each.path: value.partition("/")[0]
        for each in form.top
        if _is_followed(each) and each.path in rules.required
    }
