"""The screens on which a model is chosen among many: by purpose, by family, by word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from atelier.generation.v1 import model_pb2 as pb
from edge_bot.view.button import (
    Home,
    PickModel,
    ShowDraft,
    ShowFamily,
    ShowGroup,
    ShowPurpose,
    ShowShelf,
)
from edge_bot.view.catalog import Catalog, localised
from edge_bot.view.language import Texts, texts
from edge_bot.view.layout import (
    LABEL_LENGTH,
    Button,
    Rows,
    Screen,
    lines,
    page_of,
    paragraphs,
    shorten,
)
from edge_bot.view.model_entry import (
    entry_line,
    entry_text,
    family_entry_text,
    family_name,
    health_text,
)
from edge_bot.view.model_field import purpose_of
from edge_bot.view.pick import three_picks
from edge_bot.view.purpose import GROUPS, Purpose, group_label, group_of, purpose_label

FOUND = 7
"""How many models a search shows, above one more row."""
FEW = 3
"""How many models are described beside their buttons."""
_WITH_PICTURE = (
    Purpose.IMAGE_EDIT,
    Purpose.IMAGE_TO_VIDEO,
    Purpose.IMAGE_UPSCALE,
    Purpose.BACKGROUND_REMOVAL,
    Purpose.IMAGE_TO_IMAGE,
    Purpose.REFERENCE_TO_VIDEO,
    Purpose.IMAGE_ANALYSIS,
)


def group_rows(speak: Texts, *, catalog: Catalog, draft: str = "") -> Rows:
    """Return a button for each group of purposes that some model is for."""
    return tuple(
        (Button(group_label(speak, index), ShowGroup(draft, index)),)
        for index, group in enumerate(GROUPS)
        if any(catalog.of_purpose(purpose) for purpose in group.purposes)
    )


def picture_rows(speak: Texts, *, catalog: Catalog, draft: str) -> Rows:
    """Return a button for each purpose that a picture is enough to begin with."""
    return tuple(
        (Button(purpose_label(speak, each), ShowPurpose(draft, int(each))),)
        for each in _WITH_PICTURE
        if catalog.of_purpose(each)
    )


def group_screen(group: int, language: str, *, catalog: Catalog, draft: str = "") -> Screen:
    """Return the purposes of a group; the models at once where it has only one purpose."""
    speak = texts(language)
    if not 0 <= group < len(GROUPS):
        return _groups_screen(speak, catalog=catalog, draft=draft)
    purposes = group_purposes(group, catalog=catalog)
    if len(purposes) == 1:
        return purpose_screen(purposes[0], language, catalog=catalog, draft=draft)
    rows: Rows = tuple(
        (Button(purpose_label(speak, each), ShowPurpose(draft, int(each))),) for each in purposes
    )
    text = f"<b>{_safe(group_label(speak, group))}</b>"
    question = speak.html("What exactly?")
    return Screen(paragraphs(text, question), (*rows, (_home(speak),)))


def group_purposes(group: int, *, catalog: Catalog) -> list[Purpose]:
    """Return the purposes of a group that some model is for; none of an unknown group."""
    purposes = GROUPS[group].purposes if 0 <= group < len(GROUPS) else ()
    return [each for each in purposes if catalog.of_purpose(each)]


def purpose_screen(purpose: Purpose, language: str, *, catalog: Catalog, draft: str = "") -> Screen:
    """Return three models of a purpose, the cheapest, fastest and best, and a way to all."""
    speak = texts(language)
    models = catalog.of_purpose(purpose)
    picks = three_picks(speak, models)
    text = paragraphs(
        f"<b>{_safe(purpose_label(speak, purpose))}</b>",
        *(entry_text(speak, model, mark=mark) for mark, model in picks),
        "" if models else _none(speak),
    )
    rows: list[tuple[Button, ...]] = [
        (_model_button(speak, model, draft=draft, mark=mark.split()[0] if mark else ""),)
        for mark, model in picks
    ]
    if len(models) > len(picks):
        label = speak.plain("All models: {n}", n=len(models))
        rows.append((Button(label, ShowShelf(draft, int(purpose), 0)),))
    return Screen(text, (*rows, _back(speak, purpose, draft=draft)))


def shelf_screen(
    purpose: Purpose, language: str, *, catalog: Catalog, page: int, draft: str = ""
) -> Screen:
    """Return a page of all models of a purpose, those of a family as one."""
    speak = texts(language)
    entries = _folded(catalog.of_purpose(purpose))
    shown, turn = page_of(
        speak, entries, page=page, to=lambda number: ShowShelf(draft, int(purpose), number)
    )
    rows = tuple((_entry_button(speak, each, purpose=purpose, draft=draft),) for each in shown)
    told = [
        entry_line(speak, each[0]) if len(each) == 1 else family_entry_text(speak, each)
        for each in shown
    ]
    text = paragraphs(f"<b>{_safe(purpose_label(speak, purpose))}</b>", *told)
    return Screen(text, (*rows, *turn, _back(speak, purpose, draft=draft)))


def family_screen(action: ShowFamily, language: str, *, catalog: Catalog) -> Screen:
    """Return the variants of a model."""
    speak, purpose, draft = texts(language), _purpose(action.purpose), action.draft
    models = [each for each in catalog.of_purpose(purpose) if each.family == action.family]
    shown, turn = page_of(
        speak,
        models,
        page=action.page,
        to=lambda number: ShowFamily(draft, action.purpose, action.family, number),
    )
    rows = tuple((_model_button(speak, each, draft=draft),) for each in shown)
    text = paragraphs(
        f"<b>{_safe(purpose_label(speak, purpose))}</b>",
        _entries(speak, shown),
    )
    all_models = Button(speak.plain("← Back"), ShowShelf(draft, action.purpose, 0))
    return Screen(text, (*rows, *turn, (all_models,)))


def found_screen(models: Sequence[pb.Model], language: str, *, words: str, draft: str) -> Screen:
    """Return the models that were found by a word, which may also be what to draw."""
    speak = texts(language)
    shown = models[:FOUND]
    rows = tuple((_model_button(speak, each, draft="", with_purpose=True),) for each in shown)
    question = speak.html("<b>Models for “{words}”</b>", words=words)
    draw = Button(
        shorten(speak.plain("🎨 Draw “{words}”", words=words), LABEL_LENGTH), ShowDraft(draft)
    )
    left = len(models) - len(shown)
    more = speak.html("And {n} more: write more of the name.", n=left) if left else ""
    return Screen(paragraphs(question, _entries(speak, shown), more), (*rows, (draw,)))


def chosen_purpose(number: int) -> Purpose:
    """Return the purpose of a button's number; OTHER for one that is not known."""
    return _purpose(number)


def _folded(models: Iterable[pb.Model]) -> list[list[pb.Model]]:
    """Put models of one family together, where the first of them stands."""
    entries: dict[str, list[pb.Model]] = {}
    for model in models:
        entries.setdefault(model.family or f"/{model.id}", []).append(model)
    return list(entries.values())


def _entry_button(
    speak: Texts, models: Sequence[pb.Model], *, purpose: Purpose, draft: str
) -> Button:
    if len(models) == 1:
        return _model_button(speak, models[0], draft=draft)
    label = speak.plain("{family} ({n})", family=family_name(speak, models), n=len(models))
    action = ShowFamily(draft, int(purpose), models[0].family, 0)
    return Button(shorten(f"📁 {label}", LABEL_LENGTH), action)


def _model_button(
    speak: Texts, model: pb.Model, *, draft: str, mark: str = "", with_purpose: bool = False
) -> Button:
    title = localised(model.titles, speak.language)
    icon = purpose_label(speak, purpose_of(model)).split()[0] if with_purpose else mark
    warning = health_text(speak, model).partition(" ")[0]
    label = " ".join(filter(None, (icon, title, warning)))
    return Button(shorten(label, LABEL_LENGTH), PickModel(draft, model.id))


def _entries(speak: Texts, models: Sequence[pb.Model]) -> str:
    """Return what models are: a line for each if they are many, for a screen holds no more."""
    if len(models) <= FEW:
        return paragraphs(*(entry_text(speak, each) for each in models))
    return lines(*(entry_line(speak, each) for each in models))


def _groups_screen(speak: Texts, *, catalog: Catalog, draft: str) -> Screen:
    text = speak.html("<b>What would you like to do?</b>")
    return Screen(text, group_rows(speak, catalog=catalog, draft=draft))


def _back(speak: Texts, purpose: Purpose, *, draft: str) -> tuple[Button, ...]:
    if draft:
        return (Button(speak.plain("← Back"), ShowDraft(draft)), _home(speak))
    return (Button(speak.plain("← Back"), ShowGroup("", group_of(purpose))), _home(speak))


def _home(speak: Texts) -> Button:
    return Button(speak.plain("🏠 Start over"), Home())


def _none(speak: Texts) -> str:
    return speak.html(
        "None of the models for this is available right now. Please try again in a few minutes."
    )


def _purpose(number: int) -> Purpose:
    known: Iterator[Purpose] = (each for each in Purpose if each == number)
    return next(known, Purpose.OTHER)


def _safe(text: str) -> str:
    return escape(text, quote=False)
