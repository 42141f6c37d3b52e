"""Pure functions that begin a form with what is known already."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

from atelier.generation.v1 import model_pb2 as pb
from edge_bot.conversation.form import settled, with_another, with_answer
from edge_bot.conversation.form_place import main_text, media_place
from edge_bot.conversation.place import value_at
from edge_bot.conversation.session import Draft
from edge_bot.view.input_form import Field, FieldKind, InputForm, JsonValue, form_of
from edge_bot.view.input_rule import keeps
from edge_bot.view.media_input import has_form, picture_input

_IMAGE = 1
"""MEDIA_KIND_IMAGE."""


def fills_form(draft: Draft, model: pb.Model) -> bool:
    """Tell whether a draft is a form: its model has one, or the user wanted all its settings."""
    return has_form(model) or draft.is_whole


def has_more(model: pb.Model) -> bool:
    """Tell whether a model that can be asked for less has inputs that only its form asks for."""
    form = form_of(model)
    return form.is_complete and bool(_beyond_dialogue(form, model))


def is_beyond_dialogue(inputs: Mapping[str, JsonValue], model: pb.Model) -> bool:
    """Tell whether inputs say something that only the form asks for."""
    form = form_of(model)
    return any(
        name in inputs and inputs[name] != form.fields[name].schema.get("default")
        for name in _beyond_dialogue(form, model)
    )


def _beyond_dialogue(form: InputForm, model: pb.Model) -> set[str]:
    asked = {"prompt", picture_input(model), *(each.field for each in model.options)}
    return {each.path for each in form.top} - asked


def whole_form(draft: Draft, inputs: Mapping[str, JsonValue], *, form: InputForm) -> Draft:
    """Return the draft of a model that can be asked for less as a form with these inputs."""
    given = {
        name: [value] if form.fields[name].is_list and not isinstance(value, list) else value
        for name, value in inputs.items()
        if name in form.fields
    }
    whole = draft.model_copy(update={"is_whole": True, "is_changing_prompt": False})
    return form_with_inputs(whole, given, form=form)


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
