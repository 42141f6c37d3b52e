"""Pure functions that turn the form of a draft and an answer into the next form."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

from atelier.generation.v1 import model_pb2 as pb
from edge_bot.conversation.place import item_of, placed, value_at
from edge_bot.conversation.question import first_in_item, is_followed, is_item, missing_in_item
from edge_bot.conversation.session import Draft
from edge_bot.view.input_form import FieldKind, InputForm, JsonValue
from edge_bot.view.input_rule import keeps

_SETTLINGS = 4
"""How often rules may take back an answer because another one was taken back."""


def with_answer(draft: Draft, place: str, value: JsonValue, *, form: InputForm) -> Draft:
    """Return the draft with an answer, without the answers that it rules out."""
    inputs = placed(draft.inputs, place, value)
    field = form.find(place)
    if field is not None and field.reference is not None:
        inputs |= _same_job(value, field.reference, form=form, draft=draft)
    answered = draft.model_copy(update={"inputs": inputs})
    left = settled(answered, place.partition("[")[0], form=form)
    return left.model_copy(update={"at": place_after(left, place, form=form)})


def with_another(draft: Draft, place: str, value: JsonValue, *, form: InputForm) -> Draft:
    """Return the draft with one more value in a list; it stays open while there is room."""
    field = form.ruled(place, form.rules(draft.inputs, draft.branch))
    if field is None or not field.is_list:
        return with_answer(draft, place, value, form=form)
    given = [*(value_at(draft.inputs, place) or ()), value]
    answered = with_answer(draft, place, given[-field.most :], form=form)
    return answered.model_copy(update={"at": place}) if len(given) < field.most else answered


def without_answer(draft: Draft, place: str, *, form: InputForm) -> Draft:
    """Return the draft without an answer, an item, or the last item of a list of objects."""
    if is_item(draft, place, form=form):
        return _without_item(draft, place, form=form)
    field = form.find(place)
    inputs = deepcopy(draft.inputs)
    item = item_of(place)
    if item and item.index < len(inputs.get(item.path, [])):
        inputs[item.path][item.index].pop(item.name, None)
    elif field is not None and field.kind is FieldKind.OBJECTS and len(inputs.get(place, [])) > 1:
        inputs[place].pop()
    else:
        inputs.pop(place, None)
    left = draft.model_copy(update={"inputs": inputs, "at": ""})
    is_list = field is not None and field.kind is FieldKind.OBJECTS and place in inputs
    at = place if is_list else item.path if item else ""
    return settled(left, "", form=form).model_copy(update={"at": at})


def _without_item(draft: Draft, place: str, *, form: InputForm) -> Draft:
    """Return the draft without an item; with its list in view while that has others."""
    path, inputs, item = place.partition("[")[0], deepcopy(draft.inputs), item_of(place)
    items = [each for index, each in enumerate(inputs[path]) if item and index != item.index]
    left = {**inputs, path: items} if items else {**inputs}
    if not items:
        left.pop(path)
    changed = draft.model_copy(update={"inputs": left, "at": ""})
    at = path if items else ""
    return settled(changed, path, form=form).model_copy(update={"at": at})


def with_branch(draft: Draft, index: int, *, form: InputForm) -> Draft:
    """Return the draft on one of the ways to fill in the form."""
    if not 0 <= index < len(form.branches):
        return draft
    return settled(draft.model_copy(update={"branch": index, "at": ""}), "", form=form)


def without_branch(draft: Draft) -> Draft:
    """Return the draft before the way was chosen."""
    return draft.model_copy(update={"branch": -1, "at": ""})


def asking(draft: Draft, place: str, *, form: InputForm) -> Draft:
    """Return the draft with a question that the user wants to answer, or an item in view."""
    if is_item(draft, place, form=form):
        return draft.model_copy(update={"at": place})
    field = form.ruled(place, form.rules(draft.inputs, draft.branch))
    return draft if field is None else draft.model_copy(update={"at": place})


def another_item(draft: Draft, place: str, *, form: InputForm) -> Draft:
    """Return the draft with the first question about one more item of a list."""
    field = form.ruled(place, form.rules(draft.inputs, draft.branch))
    count = len(draft.inputs.get(place, ()))
    if field is None or field.kind is not FieldKind.OBJECTS or count >= field.most:
        return draft
    return draft.model_copy(update={"at": first_in_item(form, place, index=count)})


def place_after(draft: Draft, place: str, *, form: InputForm) -> str:
    """Return where an item goes on after one of its answers: its next field, then its list."""
    item = item_of(place)
    if not item:
        return ""
    return missing_in_item(form, draft.inputs, path=item.path, index=item.index) or item.path


def settled(draft: Draft, answered: str, *, form: InputForm) -> Draft:
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
        if is_followed(each) and each.path in rules.required
    }
