"""The screens of a form: a question, a list, all settings, and the summary before it begins."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from atelier.generation.v1 import model_pb2 as pb
from atelier.generation.v1.generation_service_pb2 import QuoteJobResponse
from edge_bot.conversation.draft_text import discard_button, prompt_examples, safe
from edge_bot.conversation.form import (
    Question,
    QuestionKind,
    known_values,
    main_text,
    question_of,
    value_at,
)
from edge_bot.conversation.session import Draft
from edge_bot.view.button import (
    AddItem,
    AskField,
    DropAnswer,
    FinishList,
    Generate,
    PickBranch,
    RecordConsent,
    SetOption,
    ShowChoicePage,
    ShowDraft,
    ShowPurpose,
    ShowResults,
    ShowSettings,
    UseExample,
)
from edge_bot.view.catalog import localised
from edge_bot.view.field_text import answer_text, branch_label, setting_text
from edge_bot.view.input_form import Field, FieldKind, InputForm, JsonValue, form_of
from edge_bot.view.input_rule import Schema, keeps
from edge_bot.view.language import Texts, texts
from edge_bot.view.layout import (
    LABEL_LENGTH,
    PAGE,
    Button,
    Rows,
    Screen,
    length_of,
    lines,
    page_of,
    paragraphs,
    quoted,
    shorten,
)
from edge_bot.view.model_entry import card_text
from edge_bot.view.model_field import purpose_of
from edge_bot.view.purpose import purpose_label
from edge_bot.view.quote_text import consent_text, quote_text, state_text
from edge_bot.view.typed_value import how, short_range
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
NARROW = 12
"""The length up to which two labels share a row, and half as many that three do."""


@dataclass(frozen=True, slots=True)
class FormView:
    """A draft with the form of its model, in a user's language."""

    draft: Draft
    model: pb.Model
    form: InputForm
    speak: Texts
    quote: QuoteJobResponse | None = None
    """What the service says that it costs, once it was asked."""

    @property
    def tag(self) -> str:
        """What the draft's buttons carry."""
        return self.draft.tag

    @property
    def language(self) -> str:
        """The user's language."""
        return self.speak.language

    @property
    def permitted(self) -> tuple[Field, ...]:
        """The fields that the present answers allow."""
        rules = self.form.rules(self.draft.inputs, self.draft.branch)
        ruled = (self.form.ruled(each.path, rules) for each in self.form.top)
        return tuple(each for each in ruled if each is not None)

    def value(self, place: str) -> JsonValue:
        """Return the answer at a place."""
        return value_at(self.draft.inputs, place)


def view_of(draft: Draft, language: str, *, model: pb.Model) -> FormView:
    """Return the view of a draft."""
    return FormView(draft, model, form_of(model), texts(language))


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
            return _items_screen(view, question.place)
        case QuestionKind.REVIEW:
            return _review_screen(view)


def consent_screen(draft: Draft, language: str, *, model: pb.Model, kind: int) -> Screen:
    """Return the question whether the user agrees to what a model asks."""
    view = view_of(draft, language, model=model)
    yes = Button(view.speak.plain("✓ I agree"), RecordConsent(view.tag, kind))
    text = paragraphs(_headline(view), consent_text(kind, view.speak))
    return Screen(text, ((yes,), _way_out(view)))


def choice_page_screen(
    draft: Draft, language: str, *, model: pb.Model, place: str, page: int
) -> Screen:
    """Return another page of the choices at a place."""
    return _field_screen(view_of(draft, language, model=model), place, page=page)


def settings_screen(draft: Draft, language: str, *, model: pb.Model, page: int) -> Screen:
    """Return a page of all that the form can be told."""
    view = view_of(draft, language, model=model)
    rows: list[tuple[Button, ...]] = [(_ask(view, field),) for field in view.permitted]
    if view.form.branches:
        another = view.speak.plain("↔️ Begin with something else")
        rows.append((Button(another, PickBranch(view.tag, -1)),))
    shown, turn = page_of(
        view.speak, rows, page=page, to=lambda number: ShowSettings(view.tag, number)
    )
    back = Button(view.speak.plain("← Back"), ShowDraft(view.tag))
    text = view.speak.html("<b>All settings</b>\n\nPress the one you would like to change.")
    return Screen(paragraphs(_headline(view), text), (*shown, *turn, (back,)))


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
    text = paragraphs(_headline(view), speak.html("<b>What do you begin with?</b>"))
    return Screen(text, (*rows, _way_out(view)))


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
    return Screen(paragraphs(_headline(view), text), (*rows, _way_out(view)))


def _field_screen(view: FormView, place: str, *, page: int = 0) -> Screen:
    rules = view.form.rules(view.draft.inputs, view.draft.branch)
    field = view.form.ruled(place, rules)
    if field is None:
        return _review_screen(view)
    text = paragraphs(
        _headline(view),
        _files_so_far(view, place),
        _asked(view, place, field),
        lines(_hint(view, field), safe(how(field, view.speak))),
        _so_far(view, field, place),
        _examples_of(view, field),
    )
    rows = (*_answer_rows(view, field, place, page=page), *_ways_on(view, field, place))
    return Screen(text, rows)


def _items_screen(view: FormView, place: str) -> Screen:
    speak, field = view.speak, view.form.fields[place]
    items = view.value(place) or []
    count = speak.html("{n} of at most {most}", n=len(items), most=field.most)
    title = f"<b>{safe(localised(field.labels, view.language))}</b>: {count}"
    told = [_item_line(view, field, number) for number in range(1, len(items) + 1)]
    open_fields = [each for each in view.form.inner(place) if not each.is_required][:3]
    last = f"{place}[{len(items) - 1}]"
    more = [(_ask(view, each, place=f"{last}.{each.name}"),) for each in open_fields]
    add = Button(speak.plain("➕ Add another"), AddItem(view.tag, place))
    drop = Button(speak.plain("🗑 Remove the last"), DropAnswer(view.tag, place))
    done = Button(speak.plain("✓ Done"), FinishList(view.tag, place))
    rows: Rows = (
        *(((add,),) if len(items) < field.most else ()),
        *more,
        (drop, done),
    )
    return Screen(paragraphs(_headline(view), title, lines(*told)), rows)


def _review_screen(view: FormView) -> Screen:
    speak = view.speak
    rules = view.form.rules(view.draft.inputs, view.draft.branch)
    words = main_text(view.form, rules)
    prompt = str(view.value(words.path) or "") if words else ""
    told = [each for each in view.permitted if words is None or each.path != words.path]
    answered = [each for each in told if view.value(each.path) is not None]
    terms = quote_text(view.quote, speak) if view.quote else model_terms(speak, view.model)
    text = paragraphs(
        lines(speak.html("<b>Ready to create?</b>"), _headline(view)),
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
        *_paired([_ask(view, each) for each in main[:PAGE]]),
        (settings,),
        _way_out(view),
    )
    return Screen(text, rows)


def _answer_rows(view: FormView, field: Field, place: str, *, page: int) -> Rows:
    """Return the buttons that answer a question."""
    speak, current = view.speak, view.value(place)
    match field.kind:
        case FieldKind.YES_NO:
            labels = (speak.plain("Yes"), speak.plain("No"))
            values = (True, False)
            return (
                tuple(
                    Button(_marked(label, current is value), SetOption(view.tag, place, index))
                    for index, (label, value) in enumerate(zip(labels, values, strict=True))
                ),
            )
        case FieldKind.CHOICE:
            return _choice_rows(view, field, place, page=page)
        case FieldKind.NUMBER if numbers := short_range(_unbounded(view, place)):
            row = [
                Button(_marked(str(number), current == number), SetOption(view.tag, place, index))
                for index, number in enumerate(numbers)
                if keeps(field.schema, number)
            ]
            return tuple(tuple(row[start : start + 5]) for start in range(0, len(row), 5))
        case FieldKind.TEXT if known := known_values(view.draft, place, form=view.form):
            return tuple(
                (Button(shorten(each, LABEL_LENGTH), SetOption(view.tag, place, index)),)
                for index, each in enumerate(known[:PAGE])
            )
        case FieldKind.TEXT if field.path == "prompt":
            examples = prompt_examples(view.model, view.language)[:3]
            return (
                tuple(
                    Button(str(number), UseExample(view.tag, number - 1))
                    for number in range(1, len(examples) + 1)
                ),
            )
        case FieldKind.MEDIA | FieldKind.REFERENCE:
            earlier = Button(speak.plain("📂 One of my results"), ShowResults(view.tag, 0))
            return ((earlier,),)
        case _:
            return ()


def _unbounded(view: FormView, place: str) -> Schema:
    """Return the schema of a field without what other answers ask of it."""
    field = view.form.find(place)
    return field.schema if field is not None else {}


def _choice_rows(view: FormView, field: Field, place: str, *, page: int) -> Rows:
    current, default = view.value(place), field.schema.get("default")
    marked = default if current is None else current
    full = view.form.find(place)
    offered = full.choices if full else ()
    buttons = [
        Button(
            _marked(localised(choice.labels, view.language), choice.value == marked),
            SetOption(view.tag, place, offered.index(choice)),
        )
        for choice in field.choices
    ]
    widest = max((length_of(each.label) for each in buttons), default=0)
    columns = 3 if widest <= NARROW // 2 else 2 if widest <= NARROW else 1
    rows = [tuple(buttons[start : start + columns]) for start in range(0, len(buttons), columns)]
    shown, turn = page_of(
        view.speak, rows, page=page, to=lambda number: ShowChoicePage(view.tag, place, number)
    )
    return (*shown, *turn)


def _ways_on(view: FormView, field: Field, place: str) -> Rows:
    """Return the last row under a question: back, done, remove."""
    speak, tag, value = view.speak, view.tag, view.value(place)
    done = Button(speak.plain("✓ Done"), FinishList(tag, place))
    leave = Button(speak.plain("🗑 Leave out"), DropAnswer(tag, place))
    row: list[Button] = []
    if field.is_list and isinstance(value, list) and len(value) >= field.least:
        row.append(done)
    if value is not None:
        row.append(leave)
    item = re.match(r"(\w+)\[(\d+)\]", place)
    if item:
        return ((*row, *_item_way_out(view, item[1], int(item[2]), field, value)),)
    if _is_optional(view, field) or value is not None:
        back = Button(speak.plain("← Back"), ShowDraft(tag))
        return ((*row, back),) if done not in row else (tuple(row),)
    return (tuple(row), _way_out(view)) if row else (_way_out(view),)


def _item_way_out(
    view: FormView, path: str, index: int, field: Field, value: JsonValue
) -> Iterator[Button]:
    speak, items = view.speak, view.value(path) or []
    if index >= len(items):
        if items:
            yield Button(speak.plain("← Back"), AskField(view.tag, path))
        elif path in view.form.rules(view.draft.inputs, view.draft.branch).required:
            yield discard_button(speak, view.draft)
        else:
            yield Button(speak.plain("← Back"), ShowDraft(view.tag))
    elif not field.is_required or value is not None:
        yield Button(speak.plain("← Back"), AskField(view.tag, path))
    else:
        yield Button(speak.plain("🗑 Remove this one"), DropAnswer(view.tag, path))


def _is_optional(view: FormView, field: Field) -> bool:
    rules = view.form.rules(view.draft.inputs, view.draft.branch)
    is_needed = field.path in rules.required
    return not is_needed and view.draft.at != ""


def _asked(view: FormView, place: str, field: Field) -> str:
    item = re.match(r"(\w+)\[(\d+)\]", place)
    label = safe(localised(field.labels, view.language))
    if item is None:
        return f"<b>{label}</b>"
    holder = view.form.fields[item[1]]
    where = view.speak.html(
        "{list}, {n} of at most {most}",
        list=localised(holder.labels, view.language),
        n=int(item[2]) + 1,
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


def _item_line(view: FormView, field: Field, number: int) -> str:
    values = [
        (inner, view.value(f"{field.path}[{number - 1}].{inner.name}"))
        for inner in view.form.inner(field.path)
    ]
    told = [answer_text(inner, value, view.speak) for inner, value in values if value is not None]
    return f"{number}. {safe(shorten(' · '.join(told), 3 * VALUE_LENGTH))}"


def _answer_line(view: FormView, field: Field) -> str:
    value = view.value(field.path)
    label = safe(localised(field.labels, view.language))
    if field.kind is FieldKind.OBJECTS:
        numbers = range(1, min(len(value), ANSWER_ITEMS) + 1)
        more = "…" if len(value) > ANSWER_ITEMS else ""
        return lines(f"{label}:", *(_item_line(view, field, each) for each in numbers), more)
    told = answer_text(field, value, view.speak)
    return f"{label}: {safe(shorten(told, VALUE_LENGTH))}"


def _ask(view: FormView, field: Field, *, place: str = "") -> Button:
    place = place or field.path
    label = setting_text(field, view.value(place), view.speak)
    return Button(shorten(label, LABEL_LENGTH), AskField(view.tag, place))


def _paired(buttons: Sequence[Button]) -> Rows:
    """Put short buttons two in a row."""
    rows: list[tuple[Button, ...]] = []
    for button in buttons:
        is_short = length_of(button.label) <= 2 * NARROW
        if rows and len(rows[-1]) == 1 and is_short and length_of(rows[-1][0].label) <= 2 * NARROW:
            rows[-1] = (*rows[-1], button)
        else:
            rows.append((button,))
    return tuple(rows[:4])


def _headline(view: FormView) -> str:
    icon = purpose_label(view.speak, purpose_of(view.model)).split()[0]
    headline = f"{icon} <b>{safe(localised(view.model.titles, view.language))}</b>"
    if view.draft.inputs:
        return headline
    card = card_text(view.speak, view.model)
    return lines(headline, card, state_text(view.model, view.speak))


def _way_out(view: FormView) -> tuple[Button, ...]:
    purpose = int(purpose_of(view.model))
    other = Button(view.speak.plain("🧩 Other model"), ShowPurpose(view.tag, purpose))
    return (other, discard_button(view.speak, view.draft))


def _marked(label: str, is_current: bool) -> str:
    return shorten(f"✓ {label}" if is_current else label, LABEL_LENGTH)
