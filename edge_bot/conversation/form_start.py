"""Pure functions that begin a form with what is known already."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

from edge_bot.conversation.form import settled, with_another, with_answer
from edge_bot.conversation.form_place import main_text, media_place
from edge_bot.conversation.place import value_at
from edge_bot.conversation.session import Draft
from edge_bot.view.input_form import Field, FieldKind, InputForm, JsonValue
from edge_bot.view.input_rule import keeps

_IMAGE = 1
"""MEDIA_KIND_IMAGE."""


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
            begun = settled(with_answer(begun, words.path, draft.prompt, form=form), "", form=form)
    place = media_place(begun, form, _IMAGE) if draft.picture else ""
    if place and value_at(begun.inputs, place) is None:
        begun = with_another(begun, place, draft.picture, form=form)
    return begun.model_copy(update={"at": ""})


def form_with_inputs(draft: Draft, inputs: Mapping[str, JsonValue], *, form: InputForm) -> Draft:
    """Return the draft with the inputs of a job, as far as the form has them."""
    known = {name: deepcopy(value) for name, value in inputs.items() if name in form.fields}
    branch = next((i for i, each in enumerate(form.branches) if _is_on(known, each)), -1)
    filled = draft.model_copy(update={"inputs": known, "branch": branch, "at": ""})
    return settled(filled, "", form=form)


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


def _is_on(inputs: Mapping[str, JsonValue], branch: Mapping[str, JsonValue]) -> bool:
    bounds = branch.get("properties", {}).items()
    return set(branch.get("required", ())) <= inputs.keys() and all(
        keeps(bound, inputs[name]) for name, bound in bounds if name in inputs
    )
