"""Pure functions that turn a draft and an action of the user into the next draft.

What is asked next follows from what is missing (`stage_of`), so that a draft read after a restart
goes on where it was. A function that begins a draft takes its id, which comes from the update:
handling the update again begins the same draft.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Any

from google.protobuf.struct_pb2 import Value

from atelier.generation.v1 import model_pb2 as pb
from edge_bot.conversation.draft_text import prompt_examples
from edge_bot.conversation.form_answer import with_form_choice
from edge_bot.conversation.form_start import (
    begun_form,
    fills_form,
    form_with_inputs,
    has_more,
    is_beyond_dialogue,
    whole_form,
)
from edge_bot.conversation.question import QuestionKind, question_of
from edge_bot.conversation.session import Draft, OptionValue
from edge_bot.view.button import (
    Action,
    ChangePrompt,
    PickKind,
    PickModel,
    SetOption,
    ShowDraft,
    ShowSettings,
    UseExample,
)
from edge_bot.view.catalog import Catalog
from edge_bot.view.input_form import form_of
from edge_bot.view.language import SOURCE_LANGUAGE, texts
from edge_bot.view.media_input import has_form, picture_input
from edge_bot.view.pick import three_picks
from edge_bot.view.shape import Size, nearest_choice
from edge_bot.view.shelf import chosen_purpose

_OTHER_MODEL = (PickKind, PickModel)


class Stage(Enum):
    """What a draft still needs."""

    KIND = auto()
    MODEL = auto()
    PICTURE = auto()
    PROMPT = auto()
    FORM = auto()
    """An answer to a question of its model's form."""
    CONFIRM = auto()


def stage_of(draft: Draft, catalog: Catalog) -> Stage:
    """Return what a draft needs next."""
    if not draft.kind:
        return Stage.KIND
    model = catalog.find(draft.model_id)
    if model is None:
        return Stage.MODEL
    if fills_form(draft, model):
        is_filled = question_of(draft, form_of(model)).kind is QuestionKind.REVIEW
        return Stage.CONFIRM if is_filled else Stage.FORM
    if picture_input(model) and not draft.picture:
        return Stage.PICTURE
    if not draft.prompt or draft.is_changing_prompt:
        return Stage.PROMPT
    return Stage.CONFIRM


def with_text(draft: Draft | None, text: str, *, new_id: str, catalog: Catalog) -> Draft:
    """Return the draft after a text without a command.

    It is the prompt of a draft, or another one: at a finished draft it begins a new one, with the
    same model and picture, so that the buttons of the old one are not about it.
    """
    if draft is None or draft.job_id:
        return _from_text(text, new_id=new_id, catalog=catalog)
    if draft.model_id and catalog.find(draft.model_id) is None:
        return _without_model(draft, text)
    match stage_of(draft, catalog):
        case Stage.CONFIRM:
            return with_prompt(draft.model_copy(update={"id": new_id}), text, catalog=catalog)
        case Stage.KIND if not draft.picture:
            return _from_text(text, new_id=new_id, catalog=catalog)
        case Stage.KIND:
            edit = _with_kind(draft, pb.MODEL_KIND_EDIT, catalog=catalog)
            return with_prompt(_with_first_model(edit, catalog), text, catalog=catalog)
        case _:
            return with_prompt(_with_first_model(draft, catalog), text, catalog=catalog)


def from_shelf(text: str, *, purpose: int, new_id: str, catalog: Catalog) -> Draft | None:
    """Return a draft of the first model that a purpose offers, with a text; None if it has none."""
    picks = three_picks(texts(SOURCE_LANGUAGE), catalog.of_purpose(chosen_purpose(purpose)))
    if not picks:
        return None
    return with_model(Draft(id=new_id, prompt=text), picks[0][1].id, catalog=catalog)


def with_picture(
    draft: Draft | None,
    picture: str,
    *,
    caption: str,
    new_id: str,
    catalog: Catalog,
    size: Size = (0, 0),
) -> Draft:
    """Return the draft after a picture: with its caption as what to change, if it has one.

    In place of another picture it begins a new draft, so that the buttons of the old one are about
    the old picture.
    """
    if draft is None or draft.job_id or not _takes_picture(draft, catalog):
        draft = Draft(id=new_id)
        if caption:
            draft = _with_kind(draft, pb.MODEL_KIND_EDIT, catalog=catalog)
            draft = _with_first_model(draft, catalog)
    elif draft.picture:
        draft = draft.model_copy(update={"id": new_id})
    draft = draft.model_copy(update=_picture_fields(picture, size))
    return with_prompt(draft, caption, catalog=catalog) if caption else draft


def with_choice(draft: Draft, action: Action, *, language: str, catalog: Catalog) -> Draft:
    """Return the draft after a press that belongs to it; a view leaves it as it is."""
    model = catalog.find(draft.model_id)
    if model is not None and fills_form(draft, model) and not isinstance(action, _OTHER_MODEL):
        return with_form_choice(draft, action, language=language, model=model)
    match action:
        case PickKind(kind=kind):
            return _with_kind(draft, kind, catalog=catalog)
        case PickModel(model_id=model_id):
            return with_model(draft, model_id, catalog=catalog)
        case UseExample(index=index):
            examples = prompt_examples(catalog.find(draft.model_id), language)
            chosen = examples[index] if 0 <= index < len(examples) else ""
            return with_prompt(draft, chosen, catalog=catalog) if chosen else draft
        case SetOption(field=field, index=index):
            return _with_option(draft, field, index=index, catalog=catalog)
        case ShowSettings() if model is not None and has_more(model):
            return whole_form(draft, inputs_of(draft, model), form=form_of(model))
        case _:
            return _turned(draft, action)


def _turned(draft: Draft, action: Action) -> Draft:
    """Return the draft with its prompt asked for again, or no longer."""
    match action:
        case ChangePrompt():
            return draft.model_copy(update={"is_changing_prompt": True, "overlong": 0})
        case ShowDraft():
            return draft.model_copy(update={"is_changing_prompt": False, "overlong": 0})
        case _:
            return draft


def with_prompt(draft: Draft, prompt: str, *, catalog: Catalog) -> Draft:
    """Return the draft with this prompt; with the one before if the model takes none so long."""
    model = catalog.find(draft.model_id)
    if model is not None and fills_form(draft, model):
        return begun_form(draft.model_copy(update={"prompt": prompt}), form_of(model))
    if _takes_prompt(draft, prompt, catalog=catalog):
        update: dict[str, object] = {"prompt": prompt, "is_changing_prompt": False, "overlong": 0}
        return draft.model_copy(update=update)
    kept = draft.prompt if _takes_prompt(draft, draft.prompt, catalog=catalog) else ""
    update = {"prompt": kept, "is_changing_prompt": True, "overlong": len(prompt)}
    return draft.model_copy(update=update)


def with_model(draft: Draft, model_id: str, *, catalog: Catalog) -> Draft:
    """Return the draft with this model, keeping of its prompt and options what the model takes."""
    model = catalog.find(model_id)
    if model is None:
        return draft.model_copy(update={"model_id": ""})
    if draft.is_whole or (draft.inputs and not draft.prompt):  # its words come along
        draft = draft.model_copy(update={"prompt": str(draft.inputs.get("prompt", ""))})
    draft = draft.model_copy(update={"is_whole": False})
    if has_form(model):
        begun = draft.model_copy(update={"kind": int(model.kind), "model_id": model_id})
        return begun_form(begun, form_of(model))
    kept = {field: value for field, value in draft.options.items() if _offers(model, field, value)}
    update = {"kind": int(model.kind), "model_id": model_id, "options": kept}
    return with_prompt(draft.model_copy(update=update), draft.prompt, catalog=catalog)


def draft_from_job(
    inputs: Mapping[str, Any],
    *,
    model_id: str,
    new_id: str,
    catalog: Catalog,
    sizes: Mapping[str, Size] = MappingProxyType({}),
) -> Draft:
    """Return a draft with the inputs of a job; without its model if that is gone.

    `sizes` are those of pictures that are known. A value that this model and this picture have by
    default was not chosen, so that another picture brings another default.
    """
    prompt = str(inputs.get("prompt", ""))
    model = catalog.find(model_id)
    if model is None:
        return Draft(id=new_id, prompt=prompt)
    if has_form(model):
        draft = Draft(id=new_id, kind=int(model.kind), model_id=model_id)
        return form_with_inputs(draft, inputs, form=form_of(model))
    draft = Draft(id=new_id, prompt=prompt)
    if is_beyond_dialogue(inputs, model):
        draft = draft.model_copy(update={"kind": int(model.kind), "model_id": model_id})
        return whole_form(draft, inputs, form=form_of(model))
    if name := picture_input(model):
        picture = str(inputs.get(name, ""))
        fields = _picture_fields(picture, sizes.get(picture, (0, 0)))
        draft = draft.model_copy(update=fields)
    chosen = {
        option.field: inputs[option.field]
        for option in model.options
        if option.field in inputs and inputs[option.field] != chosen_value(draft, option)
    }
    return with_model(draft.model_copy(update={"options": chosen}), model_id, catalog=catalog)


def inputs_of(draft: Draft, model: pb.Model) -> dict[str, Any]:
    """Return the inputs to ask for: exactly what the confirmation shows."""
    if fills_form(draft, model):
        return draft.inputs
    inputs: dict[str, Any] = {"prompt": draft.prompt}
    if name := picture_input(model):
        inputs[name] = draft.picture
    return inputs | {option.field: chosen_value(draft, option) for option in model.options}


def words_of(draft: Draft, model: pb.Model) -> str:
    """Return the prompt of a draft."""
    return str(draft.inputs.get("prompt", "")) if fills_form(draft, model) else draft.prompt


def chosen_value(draft: Draft, option: pb.ModelOption) -> OptionValue:
    """Return the value that an option has in the draft: the chosen one or the default.

    The default of a shape is that of the user's picture, as nearly as the model can.
    """
    if option.field in draft.options:
        return draft.options[option.field]
    nearest = nearest_choice(option, size=(draft.picture_width, draft.picture_height))
    return scalar(nearest.value if nearest else option.default_value)


def scalar(value: Value) -> OptionValue:
    """Return a value of the contract as Python has it, whole numbers as int."""
    match value.WhichOneof("kind"):
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "bool_value":
            return value.bool_value
        case "list_value":  # the conversation asks for one where a list may be given
            return next((scalar(each) for each in value.list_value.values), "")
        case _:
            return value.string_value


def _picture_fields(picture: str, size: Size) -> dict[str, object]:
    return {"picture": picture, "picture_width": size[0], "picture_height": size[1]}


def _from_text(text: str, *, new_id: str, catalog: Catalog) -> Draft:
    draft = _with_kind(Draft(id=new_id), pb.MODEL_KIND_TEXT_TO_IMAGE, catalog=catalog)
    return with_prompt(_with_first_model(draft, catalog), text, catalog=catalog)


def _with_kind(draft: Draft, kind: int, *, catalog: Catalog) -> Draft:
    """Choose what to do; a kind with a single model is a choice of that model, too.

    It stays chosen while all its models are switched off: they come back.
    """
    models = catalog.of_kind(kind)
    if len(models) == 1:
        return with_model(draft, models[0].id, catalog=catalog)
    current = catalog.find(draft.model_id)
    kept = draft.model_id if current is not None and current.kind == kind else ""
    known = kind if catalog.has_kind(kind) else 0
    return draft.model_copy(update={"kind": known, "model_id": kept})


def _with_first_model(draft: Draft, catalog: Catalog) -> Draft:
    if catalog.find(draft.model_id) is not None:
        return draft
    first = next(iter(catalog.of_kind(draft.kind)), None)
    return with_model(draft, first.id, catalog=catalog) if first else draft


def _without_model(draft: Draft, text: str) -> Draft:
    """Return a draft whose model is gone with a text as its prompt, unless it has one."""
    prompt = draft.prompt or str(draft.inputs.get("prompt", "")) or text
    return draft.model_copy(update={"prompt": prompt})


def _with_option(draft: Draft, field: str, *, index: int, catalog: Catalog) -> Draft:
    model = catalog.find(draft.model_id)
    choices = [
        scalar(choice.value)
        for option in (model.options if model else ())
        if option.field == field
        for choice in option.choices
    ]
    if not 0 <= index < len(choices):
        return draft
    return draft.model_copy(update={"options": {**draft.options, field: choices[index]}})


def _takes_prompt(draft: Draft, prompt: str, *, catalog: Catalog) -> bool:
    model = catalog.find(draft.model_id)
    return model is None or not 0 < model.prompt_max_length < len(prompt)


def _takes_picture(draft: Draft, catalog: Catalog) -> bool:
    model = catalog.find(draft.model_id)
    return model is not None and bool(picture_input(model))


def _offers(model: pb.Model, field: str, value: OptionValue) -> bool:
    return value in _offered_values(model, field)


def _offered_values(model: pb.Model, field: str) -> Iterator[OptionValue]:
    for option in model.options:
        if option.field == field:
            yield from (scalar(choice.value) for choice in option.choices)
