"""The screens of a list of objects, such as the shots of a film: all of them, and one of them."""

from __future__ import annotations

from edge_bot.conversation.draft_text import safe
from edge_bot.conversation.form_view import FormView, ask_button, headline
from edge_bot.conversation.place import item_of
from edge_bot.view.button import AddItem, AskField, DropAnswer, FinishList, ShowItems
from edge_bot.view.catalog import localised
from edge_bot.view.field_text import answer_text
from edge_bot.view.input_form import Field
from edge_bot.view.layout import (
    LABEL_LENGTH,
    PAGE,
    Button,
    Rows,
    Screen,
    lines,
    page_of,
    paragraphs,
    shorten,
)

ITEM_LENGTH = 180
"""How much of an item a list repeats."""
MOST_MORE = 3
"""How many fields of the last item are offered beside the items."""
LAST_PAGE = 10**6
"""A page behind every other: the last one is shown, where a new item stands."""


def items_screen(view: FormView, place: str, *, page: int = LAST_PAGE) -> Screen:
    """Return a page of the items of a list, each to be changed, and the ways on."""
    speak, field = view.speak, view.form.fields[place]
    items = view.value(place) or []
    more = _more_of_last(view, place, index=len(items) - 1)
    shown, turn = page_of(
        speak,
        range(len(items)),
        page=page,
        to=lambda number: ShowItems(view.tag, place, number),
        size=PAGE - len(more),
    )
    count = speak.html("{n} of at most {most}", n=len(items), most=field.most)
    title = f"<b>{safe(localised(field.labels, view.language))}</b>: {count}"
    told = [f"{index + 1}. {safe(item_text(view, field, index))}" for index in shown]
    done = Button(speak.plain("✓ Done"), FinishList(view.tag, place))
    rows: Rows = (
        *((_item_button(view, field, index),) for index in shown),
        *turn,
        *more,
        (*_another(view, field), done),
    )
    advice = speak.html("Press one to change or remove it.")
    return Screen(paragraphs(headline(view), title, lines(*told), advice), rows)


def item_screen(view: FormView, place: str) -> Screen:
    """Return an item of a list: what it says, and how to change or remove it."""
    speak, item = view.speak, item_of(place)
    path, index = (item.path, item.index) if item else ("", 0)
    field = view.form.fields[path]
    where = speak.html(
        "<b>{list}</b>: {n} of {count}",
        list=localised(field.labels, view.language),
        n=index + 1,
        count=len(view.value(path) or ()),
    )
    rows: Rows = (
        *((_ask(view, each, place=place),) for each in view.form.inner(path)[:PAGE]),
        *((button,) for button in _another(view, field)),
        (
            Button(speak.plain("🗑 Remove this one"), DropAnswer(view.tag, place)),
            Button(speak.plain("← Back"), AskField(view.tag, path)),
        ),
    )
    text = speak.html("Press what you would like to change.")
    return Screen(
        paragraphs(headline(view), where, safe(item_text(view, field, index)), text), rows
    )


def item_text(view: FormView, field: Field, index: int) -> str:
    """Return what an item says, in one line."""
    values = [
        (inner, view.value(f"{field.path}[{index}].{inner.name}"))
        for inner in view.form.inner(field.path)
    ]
    told = [answer_text(inner, value, view.speak) for inner, value in values if value is not None]
    return shorten(" · ".join(told), ITEM_LENGTH)


def _more_of_last(view: FormView, place: str, *, index: int) -> Rows:
    """Return the fields of the last item that may be left out."""
    more = [each for each in view.form.inner(place) if not each.is_required][:MOST_MORE]
    return tuple((_ask(view, each, place=f"{place}[{index}]"),) for each in more)


def _another(view: FormView, field: Field) -> tuple[Button, ...]:
    if len(view.value(field.path) or ()) >= field.most:
        return ()
    return (Button(view.speak.plain("➕ Add another"), AddItem(view.tag, field.path)),)


def _ask(view: FormView, inner: Field, *, place: str) -> Button:
    return ask_button(view, inner, place=f"{place}.{inner.name}")


def _item_button(view: FormView, field: Field, index: int) -> Button:
    label = shorten(f"✏️ {index + 1}. {item_text(view, field, index)}", LABEL_LENGTH)
    return Button(label, AskField(view.tag, f"{field.path}[{index}]"))
