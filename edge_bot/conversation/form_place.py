"""The places that answers are put in which were not asked for, and what may be answered there."""

from __future__ import annotations

from collections.abc import Mapping

from atelier.generation.v1 import model_pb2 as pb
from edge_bot.conversation.place import item_of
from edge_bot.conversation.question import QuestionKind, asked_field, question_of
from edge_bot.conversation.session import Draft
from edge_bot.view.input_form import Field, FieldKind, InputForm, JsonValue
from edge_bot.view.input_rule import Rules


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
    in_view = question_of(draft, form)
    if in_view.kind is QuestionKind.ITEM and (place := _place_in_item(form, in_view.place, kind)):
        return place
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


def known_values(draft: Draft, place: str, *, form: InputForm) -> list[str]:
    """Return what another list of the form has under the same name, such as its speakers."""
    field, item = form.find(place), item_of(place)
    if field is None or field.kind is not FieldKind.TEXT or item is None:
        return []
    others = [
        each
        for each in form.top
        if each.kind is FieldKind.OBJECTS
        and each.path != item.path
        and form.find(f"{each.path}[0].{item.name}") is not None
    ]
    given = [one.get(item.name) for each in others for one in draft.inputs.get(each.path, ())]
    return [str(each) for each in dict.fromkeys(given) if each is not None]


def _place_in_item(form: InputForm, place: str, kind: int) -> str:
    inner = form.inner(place.partition("[")[0])
    fields = (each for each in inner if each.media is not None and each.media.kind == kind)
    return next((f"{place}.{each.name}" for each in fields), "")


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


def _has_room(field: Field, inputs: Mapping[str, JsonValue]) -> bool:
    value = inputs.get(field.path)
    return value is None or (field.is_list and len(value) < field.most)
