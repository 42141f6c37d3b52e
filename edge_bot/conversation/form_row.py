"""The rows of buttons under the question of a form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edge_bot.conversation.draft_text import discard_button, prompt_examples
from edge_bot.conversation.form_place import known_values
from edge_bot.conversation.form_view import FormView, way_out
from edge_bot.conversation.place import item_of
from edge_bot.view.button import (
    AskField,
    DropAnswer,
    FinishList,
    SetOption,
    ShowChoicePage,
    ShowDraft,
    ShowResults,
    UseExample,
)
from edge_bot.view.catalog import localised
from edge_bot.view.input_form import Field, FieldKind, JsonValue
from edge_bot.view.input_rule import Schema, keeps
from edge_bot.view.layout import LABEL_LENGTH, PAGE, Button, Rows, length_of, page_of, shorten
from edge_bot.view.typed_value import short_range

NARROW = 12
"""The length up to which two labels share a row, and half as many that three do."""


def answer_rows(view: FormView, field: Field, place: str, *, page: int) -> Rows:
    """Return the buttons that answer a question."""
    match field.kind:
        case FieldKind.YES_NO:
            return _yes_no_rows(view, place)
        case FieldKind.CHOICE:
            return _choice_rows(view, field, place, page=page)
        case FieldKind.NUMBER:
            return _number_rows(view, field, place)
        case FieldKind.TEXT if known := known_values(view.draft, place, form=view.form):
            return tuple(
                (Button(shorten(each, LABEL_LENGTH), SetOption(view.tag, place, index)),)
                for index, each in enumerate(known[:PAGE])
            )
        case FieldKind.TEXT if field.path == "prompt":
            return _example_rows(view)
        case FieldKind.MEDIA | FieldKind.REFERENCE:
            label = view.speak.plain("📂 One of my results")
            return ((Button(label, ShowResults(view.tag, 0)),),)
        case _:
            return ()


def ways_on(view: FormView, field: Field, place: str) -> Rows:
    """Return the last row under a question: back, done, remove."""
    speak, tag, value = view.speak, view.tag, view.value(place)
    done = Button(speak.plain("✓ Done"), FinishList(tag, place))
    leave = Button(speak.plain("🗑 Leave out"), DropAnswer(tag, place))
    row: list[Button] = []
    if field.is_list and isinstance(value, list) and len(value) >= field.least:
        row.append(done)
    if value is not None:
        row.append(leave)
    item = item_of(place)
    if item:
        return ((*row, *_item_way_out(view, item.path, item.index, field, value)),)
    if _is_optional(view, field) or value is not None:
        back = Button(speak.plain("← Back"), ShowDraft(tag))
        return ((*row, back),) if done not in row else (tuple(row),)
    return (tuple(row), way_out(view)) if row else (way_out(view),)


def paired(buttons: Sequence[Button]) -> Rows:
    """Put short buttons two in a row."""
    rows: list[tuple[Button, ...]] = []
    for button in buttons:
        is_short = length_of(button.label) <= 2 * NARROW
        if rows and len(rows[-1]) == 1 and is_short and length_of(rows[-1][0].label) <= 2 * NARROW:
            rows[-1] = (*rows[-1], button)
        else:
            rows.append((button,))
    return tuple(rows[:4])


def _yes_no_rows(view: FormView, place: str) -> Rows:
    labels = (view.speak.plain("Yes"), view.speak.plain("No"))
    return (
        tuple(
            Button(_marked(label, view.value(place) is value), SetOption(view.tag, place, index))
            for index, (label, value) in enumerate(zip(labels, (True, False), strict=True))
        ),
    )


def _number_rows(view: FormView, field: Field, place: str) -> Rows:
    """Return a button for each number where they are few."""
    row = [
        Button(_marked(str(number), view.value(place) == number), SetOption(view.tag, place, index))
        for index, number in enumerate(short_range(_unbounded(view, place)))
        if keeps(field.schema, number)
    ]
    return tuple(tuple(row[start : start + 5]) for start in range(0, len(row), 5))


def _example_rows(view: FormView) -> Rows:
    examples = prompt_examples(view.model, view.language)[:3]
    return (
        tuple(
            Button(str(number), UseExample(view.tag, number - 1))
            for number in range(1, len(examples) + 1)
        ),
    )


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
        yield Button(speak.plain("🗑 Remove this one"), DropAnswer(view.tag, f"{path}[{index}]"))


def _is_optional(view: FormView, field: Field) -> bool:
    rules = view.form.rules(view.draft.inputs, view.draft.branch)
    is_needed = field.path in rules.required
    return not is_needed and view.draft.at != ""


def _marked(label: str, is_current: bool) -> str:
    return shorten(f"✓ {label}" if is_current else label, LABEL_LENGTH)
