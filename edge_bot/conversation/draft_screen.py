"""The screens of a draft, step by step."""

from __future__ import annotations

from atelier.generation.v1 import model_pb2 as pb
from atelier.generation.v1.generation_service_pb2 import QuoteJobResponse
from edge_bot.conversation.draft import Stage, chosen_value, scalar, stage_of
from edge_bot.conversation.draft_text import discard_button, prompt_examples, safe
from edge_bot.conversation.form_screen import form_screen
from edge_bot.conversation.form_start import fills_form, has_more
from edge_bot.conversation.session import Draft
from edge_bot.view.button import (
    ChangePrompt,
    Generate,
    SetOption,
    ShowChoices,
    ShowDraft,
    ShowModels,
    ShowOptions,
    ShowSettings,
    UseExample,
)
from edge_bot.view.catalog import Catalog, localised
from edge_bot.view.language import Texts, texts
from edge_bot.view.layout import (
    LABEL_LENGTH,
    Button,
    Rows,
    Screen,
    lines,
    paragraphs,
    quoted,
    shorten,
)
from edge_bot.view.media_input import picture_input
from edge_bot.view.purpose import PURPOSE_OF_KIND, Purpose
from edge_bot.view.quote_text import state_text
from edge_bot.view.shelf import group_rows, picture_rows, purpose_screen
from edge_bot.view.welcome import (
    kind_label,
    kind_rows,
    model_entries,
    model_rows,
    model_terms,
    none_works,
)

PROMPT_LENGTH = 2500
"""How much of the prompt a screen repeats; the rest of a message is ours."""
HINT_LENGTH = 200
"""The length of a hint that is read at a glance."""


def draft_screen(
    draft: Draft,
    language: str,
    *,
    catalog: Catalog,
    notice: str = "",
    quote: QuoteJobResponse | None = None,
) -> Screen:
    """Return the screen that asks for what the draft needs next, under a notice as HTML."""
    screen = _stage_screen(draft, texts(language), catalog=catalog, quote=quote)
    return Screen(paragraphs(notice, screen.text), screen.keyboard)


def models_for_screen(draft: Draft, language: str, *, catalog: Catalog) -> Screen:
    """Return the models that can do what the draft is about."""
    speak = texts(language)
    if catalog.is_large:
        purpose = PURPOSE_OF_KIND.get(draft.kind, Purpose.TEXT_TO_IMAGE)
        return purpose_screen(purpose, language, catalog=catalog, draft=draft.tag)
    models = catalog.of_kind(draft.kind)
    question = speak.html("<b>Which model shall draw it?</b>") if models else none_works(speak)
    text = paragraphs(question, *model_entries(speak, models))
    back = _back(speak, draft) if draft.model_id else discard_button(speak, draft)
    return Screen(text, (*model_rows(models, language, draft=draft.tag), (back,)))


def options_screen(draft: Draft, language: str, *, model: pb.Model) -> Screen:
    """Return the options with the values they have now."""
    speak = texts(language)
    rows: Rows = tuple(
        (Button(shorten(_setting(draft, option, language), LABEL_LENGTH), _choices(draft, option)),)
        for option in model.options
    )
    text = speak.html("<b>Options</b>\n\nPress the one you would like to change.")
    return Screen(text, (*rows, (_back(speak, draft),)))


def choices_screen(draft: Draft, language: str, *, option: pb.ModelOption) -> Screen:
    """Return the values of one option, the one in force marked."""
    speak = texts(language)
    current = chosen_value(draft, option)
    rows: Rows = tuple(
        (
            Button(
                _marked(localised(choice.labels, language), scalar(choice.value) == current),
                SetOption(draft.tag, option.field, index),
            ),
        )
        for index, choice in enumerate(option.choices)
    )
    text = f"<b>{safe(localised(option.labels, language))}</b>"
    return Screen(text, (*rows, (_back(speak, draft),)))


def _stage_screen(
    draft: Draft, speak: Texts, *, catalog: Catalog, quote: QuoteJobResponse | None
) -> Screen:
    model = catalog.find(draft.model_id)
    if model is not None and fills_form(draft, model):
        return form_screen(draft, speak.language, model=model, quote=quote)
    match stage_of(draft, catalog):
        case Stage.KIND:
            return _kind_screen(draft, speak, catalog=catalog)
        case Stage.PICTURE if model is not None:
            return _picture_screen(draft, speak, model=model)
        case Stage.PROMPT if model is not None:
            return _prompt_screen(draft, speak, model=model, catalog=catalog)
        case Stage.CONFIRM if model is not None:
            return _confirm_screen(draft, speak, model=model, catalog=catalog)
        case _:
            return models_for_screen(draft, speak.language, catalog=catalog)


def _kind_screen(draft: Draft, speak: Texts, *, catalog: Catalog) -> Screen:
    has_picture = bool(draft.picture)
    if not catalog.is_large:
        rows = kind_rows(speak, catalog=catalog, draft=draft.tag, only_pictures=has_picture)
    elif has_picture:
        rows = picture_rows(speak, catalog=catalog, draft=draft.tag)
    else:
        rows = group_rows(speak, catalog=catalog, draft=draft.tag)[:7]
    text = speak.html("<b>What would you like to do?</b>")
    if not rows:
        text = none_works(speak)
    elif has_picture:
        text = speak.html(
            "<b>I have your picture. What shall I do with it?</b>\n\n"
            "You can also just write what to change."
        )
    return Screen(text, (*rows, (discard_button(speak, draft),)))


def _picture_screen(draft: Draft, speak: Texts, *, model: pb.Model) -> Screen:
    ask = speak.html("Send me the picture you want to change.")
    if model.kind == pb.MODEL_KIND_IMAGE_TO_IMAGE:
        ask = speak.html("Send me the picture you want redrawn.")
    how = speak.html("A photo or a file will do: JPEG, PNG, WebP, HEIC or BMP, up to 10 MB.")
    kept = speak.html("I have noted what to do with it.") if draft.prompt else ""
    text = paragraphs(_headline(model, speak), f"<b>{ask}</b>", lines(how, kept))
    return Screen(text, ((discard_button(speak, draft),),))


def _prompt_screen(draft: Draft, speak: Texts, *, model: pb.Model, catalog: Catalog) -> Screen:
    text = paragraphs(
        _headline(model, speak),
        _overlong(draft, speak, model=model),
        lines(f"<b>{_question(model, speak)}</b>", _hint(model, speak)),
        _current_prompt(draft, speak),
        speak.html("Write it in your own words, or take an example:"),
    )
    examples: Rows = tuple(
        (Button(shorten(example, LABEL_LENGTH), UseExample(draft.tag, index)),)
        for index, example in enumerate(prompt_examples(model, speak.language))
    )
    way_out = _back(speak, draft) if draft.prompt else discard_button(speak, draft)
    return Screen(text, (*examples, (*_other_model(draft, speak, catalog=catalog), way_out)))


def _confirm_screen(draft: Draft, speak: Texts, *, model: pb.Model, catalog: Catalog) -> Screen:
    settings = [safe(_setting(draft, option, speak.language)) for option in model.options]
    picture = speak.html("Your picture is here.") if picture_input(model) else ""
    text = paragraphs(
        lines(speak.html("<b>Shall I draw it?</b>"), _headline(model, speak)),
        quoted(draft.prompt, PROMPT_LENGTH),
        lines(picture, *settings),
        lines(model_terms(speak, model), state_text(model, speak)),
    )
    options = (Button(speak.plain("⚙️ Options"), ShowOptions(draft.tag)),) if model.options else ()
    change = Button(_change_label(model, speak), ChangePrompt(draft.tag))
    rows: Rows = (
        (Button(speak.plain("✨ Generate"), Generate(draft.tag)),),
        (*options, *_other_model(draft, speak, catalog=catalog)),
        _all_settings(draft, speak, model=model),
        (change, discard_button(speak, draft)),
    )
    return Screen(text, tuple(row for row in rows if row))


def _all_settings(draft: Draft, speak: Texts, *, model: pb.Model) -> tuple[Button, ...]:
    """Return the way to the form, if there is more to set than the options."""
    if not has_more(model):
        return ()
    return (Button(speak.plain("⚙️ All settings"), ShowSettings(draft.tag, 0)),)


def _headline(model: pb.Model, speak: Texts) -> str:
    title = safe(localised(model.titles, speak.language))
    return f"{safe(kind_label(speak, model.kind))} · {title}"


def _question(model: pb.Model, speak: Texts) -> str:
    match model.kind:
        case pb.MODEL_KIND_EDIT:
            return speak.html("What shall I change?")
        case pb.MODEL_KIND_IMAGE_TO_IMAGE:
            return speak.html("What should the picture become?")
        case _:
            return speak.html("What shall I draw?")


def _hint(model: pb.Model, speak: Texts) -> str:
    if not model.hints:  # a service that is older than the field
        return ""
    return safe(shorten(localised(model.hints, speak.language), HINT_LENGTH))


def _change_label(model: pb.Model, speak: Texts) -> str:
    if picture_input(model):
        return speak.plain("✏️ Other instruction")
    return speak.plain("✏️ Other description")


def _overlong(draft: Draft, speak: Texts, *, model: pb.Model) -> str:
    if not draft.overlong:
        return ""
    length = speak.count("{n} character", "{n} characters", draft.overlong)
    return speak.html(
        "⚠️ Your text has {length}, and {title} takes at most {limit}. Please make it shorter.",
        length=length,
        title=localised(model.titles, speak.language),
        limit=speak.number(model.prompt_max_length),
    )


def _current_prompt(draft: Draft, speak: Texts) -> str:
    if not draft.prompt:
        return ""
    return speak.html("Your current text: {prompt}", prompt=shorten(draft.prompt, PROMPT_LENGTH))


def _setting(draft: Draft, option: pb.ModelOption, language: str) -> str:
    value = chosen_value(draft, option)
    labels = [choice.labels for choice in option.choices if scalar(choice.value) == value]
    chosen = localised(labels[0], language) if labels else str(value)
    return f"{localised(option.labels, language)}: {chosen}"


def _marked(label: str, is_current: bool) -> str:
    return shorten(f"✓ {label}" if is_current else label, LABEL_LENGTH)


def _other_model(draft: Draft, speak: Texts, *, catalog: Catalog) -> tuple[Button, ...]:
    if len(catalog.of_kind(draft.kind)) < 2:
        return ()
    return (Button(speak.plain("🧩 Other model"), ShowModels(draft.tag)),)


def _choices(draft: Draft, option: pb.ModelOption) -> ShowChoices:
    return ShowChoices(draft.tag, option.field)


def _back(speak: Texts, draft: Draft) -> Button:
    return Button(speak.plain("← Back"), ShowDraft(draft.tag))
