"""The screens of a form: a question, a list, all settings, and the summary before it begins."""

from __future__ import annotations

from dataclasses import replace

from atelier.generation.v1 import model_pb2 as pb
from atelier.generation.v1.generation_service_pb2 import QuoteJobResponse
from edge_bot.conversation.draft_text import prompt_examples, safe
from edge_bot.conversation.form_place import main_text
from edge_bot.conversation.form_row import answer_rows, paired, ways_on
from edge_bot.conversation.form_view import FormView, ask_button, headline, view_of, way_out
from edge_bot.conversation.item_screen import item_screen, item_text, items_screen
from edge_bot.conversation.place import item_of
from edge_bot.conversation.question import Question, QuestionKind, question_of
from edge_bot.conversation.session import Draft
from edge_bot.view.button import (
    AskField,
    Generate,
    PickBranch,
    RecordConsent,
    ShowDraft,
    ShowSettings,
)
from edge_bot.view.catalog import localised
from edge_bot.view.field_text import answer_text, branch_label
from edge_bot.view.input_form import Field, FieldKind
from edge_bot.view.layout import (
    LABEL_LENGTH,
    PAGE,
    Button,
    Rows,
    Screen,
    lines,
    page_of,
    paragraphs,
    quoted,
    shorten,
)
from edge_bot.view.quote_text import consent_text, quote_text, state_text
from edge_bot.view.typed_value import how
from edge_bot.view.welcome import model_terms

PROMPT_LENGTH = 1500
"""How much of a long text the summary repeats."""
VALUE_LENGTH = 60
"""How much of another answer it repeats."""
HINT_LENGTH = 300
"""The length of a hint."""
ANSWER_LINES = 20
"""How many answers the summary lists."""
ANSWER_ITEMS = 6
"""How many items of a list it repeats."""


def form_screen(
    draft: Draft, language: str, *, model: pb.Model, quote: QuoteJobResponse | None = None
) -> Screen:
    """Return the screen of what the form asks next."""
    view = replace(view_of(draft, language, model=model), quote=quote)
    question = question_of(draft, view.form)
    match question.kind:
        case QuestionKind.BRANCH:
            return _branch_screen(view)
        case QuestionKind.EITHER:
            return _either_screen(view, question)
        case QuestionKind.FIELD:
            return _field_screen(view, question.place)
        case QuestionKind.ITEMS:
            return items_screen(view, question.place)
        case QuestionKind.ITEM:
            return item_screen(view, question.place)
        case QuestionKind.REVIEW:
            return _review_screen(view)


def consent_screen(draft: Draft, language: str, *, model: pb.Model, kind: int) -> Screen:
    """Return the question whether the user agrees to what a model asks."""
    view = view_of(draft, language, model=model)
    yes = Button(view.speak.plain("✓ I agree"), RecordConsent(view.tag, kind))
    text = paragraphs(headline(view), consent_text(kind, view.speak))
    return Screen(text, ((yes,), way_out(view)))


def choice_page_screen(
    draft: Draft, language: str, *, model: pb.Model, place: str, page: int
) -> Screen:
    """Return another page of the choices at a place."""
    return _field_screen(view_of(draft, language, model=model), place, page=page)


def items_page_screen(
    draft: Draft, language: str, *, model: pb.Model, place: str, page: int
) -> Screen:
    """Return another page of the items of a list; what is asked next if it has none."""
    view = view_of(draft, language, model=model)
    is_there = bool(view.value(place)) and place in view.form.fields
    return (
        items_screen(view, place, page=page)
        if is_there
        else form_screen(draft, language, model=model)
    )


def settings_screen(draft: Draft, language: str, *, model: pb.Model, page: int) -> Screen:
    """Return a page of all that the form can be told."""
    view = view_of(draft, language, model=model)
    rows: list[tuple[Button, ...]] = [(ask_button(view, field),) for field in view.permitted]
    if view.form.branches:
        another = view.speak.plain("↔️ Begin with something else")
        rows.append((Button(another, PickBranch(view.tag, -1)),))
    shown, turn = page_of(
        view.speak, rows, page=page, to=lambda number: ShowSettings(view.tag, number)
    )
    back = Button(view.speak.plain("← Back"), ShowDraft(view.tag))
    text = view.speak.html("<b>All settings</b>\n\nPress the one you would like to change.")
    return Screen(paragraphs(headline(view), text), (*shown, *turn, (back,)))


def _branch_screen(view: FormView) -> Screen:
    speak = view.speak
    rows: Rows = tuple(
        (
            Button(
                shorten(branch_label(view.form, index, view.language), LABEL_LENGTH),
                PickBranch(view.tag, index),
            ),
        )
        for index in range(len(view.form.branches))
    )
    text = paragraphs(headline(view), speak.html("<b>What do you begin with?</b>"))
    return Screen(text, (*rows, way_out(view)))


def _either_screen(view: FormView, question: Question) -> Screen:
    names = [
        next(each for each in option if view.value(each) is None) for option in question.options
    ]
    fields = [view.form.fields[name] for name in names]
    rows: Rows = tuple(
        (Button(shorten(label, LABEL_LENGTH), AskField(view.tag, field.path)),)
        for field in fields[:PAGE]
        if (label := localised(field.labels, view.language))
    )
    text = view.speak.html("<b>What do you begin with?</b>\n\nAt least one of these is needed.")
    return Screen(paragraphs(headline(view), text), (*rows, way_out(view)))


def _field_screen(view: FormView, place: str, *, page: int = 0) -> Screen:
    rules = view.form.rules(view.draft.inputs, view.draft.branch)
    field = view.form.ruled(place, rules)
    if field is None:
        return _review_screen(view)
    text = paragraphs(
        headline(view),
        _files_so_far(view, place),
        _asked(view, place, field),
        lines(_hint(view, field), safe(how(field, view.speak))),
        _so_far(view, field, place),
        _examples_of(view, field),
    )
    rows = (*answer_rows(view, field, place, page=page), *ways_on(view, field, place))
    return Screen(text, rows)


def _review_screen(view: FormView) -> Screen:
    speak = view.speak
    rules = view.form.rules(view.draft.inputs, view.draft.branch)
    words = main_text(view.form, rules)
    prompt = str(view.value(words.path) or "") if words else ""
    told = [each for each in view.permitted if words is None or each.path != words.path]
    answered = [each for each in told if view.value(each.path) is not None]
    terms = quote_text(view.quote, speak) if view.quote else model_terms(speak, view.model)
    text = paragraphs(
        lines(speak.html("<b>Ready to create?</b>"), headline(view)),
        quoted(prompt, PROMPT_LENGTH),
        lines(*(_answer_line(view, each) for each in answered[:ANSWER_LINES])),
        lines(terms, state_text(view.model, speak)),
    )
    main = sorted(
        (each for each in told if each.is_main or each.media is not None),
        key=lambda each: each.media is None,
    )
    settings = Button(speak.plain("⚙️ All settings"), ShowSettings(view.tag, 0))
    rows: Rows = (
        (Button(speak.plain("✨ Create"), Generate(view.tag)),),
        *paired([ask_button(view, each) for each in main[:PAGE]]),
        (settings,),
        way_out(view),
    )
    return Screen(text, rows)


def _asked(view: FormView, place: str, field: Field) -> str:
    item = item_of(place)
    label = safe(localised(field.labels, view.language))
    if item is None:
        return f"<b>{label}</b>"
    holder = view.form.fields[item.path]
    where = view.speak.html(
        "{list}, {n} of at most {most}",
        list=localised(holder.labels, view.language),
        n=item.index + 1,
        most=holder.most,
    )
    return f"{where}\n<b>{label}</b>"


def _hint(view: FormView, field: Field) -> str:
    hints = field.hints or (dict(view.model.hints) if field.path == "prompt" else {})
    return safe(shorten(localised(hints, view.language), HINT_LENGTH)) if hints else ""


def _so_far(view: FormView, field: Field, place: str) -> str:
    value = view.value(place)
    if value is None or field.kind is FieldKind.CHOICE:
        return ""
    told = shorten(answer_text(field, value, view.speak), PROMPT_LENGTH)
    return view.speak.html("So far: {value}", value=told)


def _files_so_far(view: FormView, place: str) -> str:
    """Return the files that have come for other questions: nothing else shows that they have."""
    given = [each for each in view.permitted if each.media is not None and each.path != place]
    told = (each for each in given if view.value(each.path) is not None)
    return lines(*(f"✓ {_answer_line(view, each)}" for each in told))


def _examples_of(view: FormView, field: Field) -> str:
    if field.path != "prompt":
        return ""
    examples = prompt_examples(view.model, view.language)[:3]
    if not examples:
        return ""
    told = [f"{number}. {safe(each)}" for number, each in enumerate(examples, start=1)]
    return lines(view.speak.html("Or take an example:"), *told)


def _answer_line(view: FormView, field: Field) -> str:
    value = view.value(field.path)
    label = safe(localised(field.labels, view.language))
    if field.kind is FieldKind.OBJECTS:
        items = (item_text(view, field, each) for each in range(min(len(value), ANSWER_ITEMS)))
        numbered = (f"{number}. {safe(each)}" for number, each in enumerate(items, start=1))
        return lines(f"{label}:", *numbered, "…" if len(value) > ANSWER_ITEMS else "")
    told = answer_text(field, value, view.speak)
    return f"{label}: {safe(shorten(told, VALUE_LENGTH))}"
