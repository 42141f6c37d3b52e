"""Pure functions that take what a user pressed, wrote or sent as an answer to a form."""

from __future__ import annotations

from collections.abc import Mapping

from atelier.generation.v1 import model_pb2 as pb
from edge_bot.conversation.draft_text import prompt_examples
from edge_bot.conversation.form import (
    another_item,
    asking,
    place_after,
    with_another,
    with_answer,
    with_branch,
    without_answer,
    without_branch,
)
from edge_bot.conversation.form_place import known_values, main_text, media_place
from edge_bot.conversation.question import QuestionKind, asked_field, question_of
from edge_bot.conversation.session import Draft
from edge_bot.view.button import (
    Action,
    AddItem,
    AskField,
    DropAnswer,
    FinishList,
    PickBranch,
    SetOption,
    ShowDraft,
    UseExample,
)
from edge_bot.view.input_form import Field, FieldKind, InputForm, form_of
from edge_bot.view.language import texts
from edge_bot.view.typed_value import NotTaken, short_range, typed_value


def with_form_choice(draft: Draft, action: Action, *, language: str, model: pb.Model) -> Draft:
    """Return the draft after a press that belongs to its form; a view leaves it as it is."""
    form = form_of(model)
    match action:
        case SetOption(field=place, index=index):
            return _with_choice(draft, place, index=index, form=form)
        case UseExample(index=index):
            examples = prompt_examples(model, language)
            is_there = 0 <= index < len(examples)
            return with_answer(draft, "prompt", examples[index], form=form) if is_there else draft
        case PickBranch(index=index):
            return with_branch(draft, index, form=form) if index >= 0 else without_branch(draft)
        case ShowDraft():
            return draft.model_copy(update={"at": ""})
        case _:
            return _moved(draft, action, form=form)


def _moved(draft: Draft, action: Action, *, form: InputForm) -> Draft:
    """Return the draft with another place in view."""
    match action:
        case AskField(place=place):
            return asking(draft, place, form=form)
        case AddItem(place=place):
            return another_item(draft, place, form=form)
        case DropAnswer(place=place):
            return without_answer(draft, place, form=form)
        case FinishList(place=place):
            after = place_after(draft, place, form=form)
            return draft.model_copy(update={"at": after})
        case _:
            return draft


def with_form_text(
    draft: Draft, text: str, *, new_id: str, language: str, model: pb.Model
) -> Draft:
    """Return the draft after a text; raises NotTaken with a sentence for the user.

    Where nothing is asked for it is another prompt, and begins a new draft, so that the buttons of
    the old one are not about it.
    """
    form, speak = form_of(model), texts(language)
    place = _text_place(draft, form)
    field = form.ruled(place, form.rules(draft.inputs, draft.branch)) if place else None
    if field is None:
        raise NotTaken(speak.html("⚠️ Please choose one of these first."))
    value = typed_value(field, text, speak)
    if field.kind is FieldKind.MEDIA:
        return with_another(draft, place, value, form=form)
    if question_of(draft, form).kind is QuestionKind.REVIEW:
        draft = draft.model_copy(update={"id": new_id})
    return with_answer(draft, place, value, form=form)


def with_form_media(draft: Draft, value: str, *, kind: int, model: pb.Model) -> Draft | None:
    """Return the draft with media in the place that is for it; None if there is no such place."""
    form = form_of(model)
    place = media_place(draft, form, kind)
    if not place:
        return None
    asked = question_of(draft, form)
    given = with_another(draft, place, value, form=form)
    if asked.kind is QuestionKind.FIELD and asked.place != place:
        return given.model_copy(update={"at": draft.at})
    return given


def with_form_caption(draft: Draft, caption: str, *, language: str, model: pb.Model) -> Draft:
    """Return the draft with the caption of a file as its prompt, if it has none and takes it."""
    form = form_of(model)
    field = main_text(form, form.rules(draft.inputs, draft.branch))
    if not caption or field is None or field.path in draft.inputs:
        return draft
    try:
        value = typed_value(field, caption, texts(language))
    except NotTaken:
        return draft
    at = draft.at
    return with_answer(draft, field.path, value, form=form).model_copy(update={"at": at})


def asked_for(draft: Draft, model: pb.Model) -> tuple[str, Field] | None:
    """Return the place and the field that is asked for; None if it is no single field."""
    form = form_of(model)
    question = question_of(draft, form)
    field = form.ruled(question.place, form.rules(draft.inputs, draft.branch))
    return (question.place, field) if field is not None else None


def asked_file(draft: Draft, *, model: pb.Model, kind: int) -> Field | None:
    """Return the field that a file is for: the one that is asked for, or one of this kind."""
    form = form_of(model)
    field = asked_field(draft, form)
    if field is not None and field.media is not None:
        return field
    return form.find(media_place(draft, form, kind)) if kind else None


def _text_place(draft: Draft, form: InputForm) -> str:
    """Return where a text is put; empty if a button must be pressed first."""
    question = question_of(draft, form)
    match question.kind:
        case QuestionKind.FIELD:
            return question.place
        case QuestionKind.ITEMS:
            return _place_in_next_item(draft, question.place, form)
        case QuestionKind.EITHER:
            lone = [names[0] for names in question.options if len(names) == 1]
            fields = [name for name in lone if form.fields[name].kind is FieldKind.TEXT]
            return fields[0] if fields else ""
        case QuestionKind.REVIEW:
            words = main_text(form, form.rules(draft.inputs, draft.branch))
            return words.path if words else ""
        case _:
            return ""


def _place_in_next_item(draft: Draft, place: str, form: InputForm) -> str:
    more = another_item(draft, place, form=form)
    field = form.find(more.at)
    is_text = field is not None and field.kind is FieldKind.TEXT
    return more.at if is_text else ""


def _with_choice(draft: Draft, place: str, *, index: int, form: InputForm) -> Draft:
    field = form.find(place)
    values = _values(field) if field is not None else {}
    values = dict(enumerate(known_values(draft, place, form=form))) or values
    if index not in values:
        return draft
    return with_answer(draft, place, values[index], form=form)


def _values(field: Field) -> Mapping[int, object]:
    """Return the values that buttons stand for, by their numbers."""
    match field.kind:
        case FieldKind.YES_NO:
            return {0: True, 1: False}
        case FieldKind.NUMBER:
            return dict(enumerate(short_range(field.schema)))
        case _:
            return {number: each.value for number, each in enumerate(field.choices)}
