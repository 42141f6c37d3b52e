"""The screens on which a model is chosen among many: by purpose, by family, by word."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from html import escape
from typing import TypeAlias

from atelier.generation.v1 import model_pb2 as pb
from atelier.generation.v1.media_pb2 import MEDIA_KIND_IMAGE
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
from edge_bot.view.language import LANGUAGES, Texts, texts
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
from edge_bot.view.model_field import least_credits, purpose_of
from edge_bot.view.purpose import GROUPS, Purpose, group_label, group_of, purpose_label

FOUND = 7
"""How many models a search shows, above one more row."""
FEW = 3
"""How many models are described beside their buttons."""
MOST_WORDS = 4
"""How many words a search has at most; a longer text is a prompt."""

_FAST = ("turbo", "fast", "lite", "flash", "mini", "instant")
_BEST = ("ultra", "master", "pro", "max", "prime", "omni")
_WITH_PICTURE = (
    Purpose.IMAGE_EDIT,
    Purpose.IMAGE_TO_VIDEO,
    Purpose.IMAGE_UPSCALE,
    Purpose.BACKGROUND_REMOVAL,
    Purpose.IMAGE_TO_IMAGE,
    Purpose.REFERENCE_TO_VIDEO,
    Purpose.IMAGE_ANALYSIS,
)
_DEAR = Decimal(10**9)
_SHELF = [purpose for group in GROUPS for purpose in group.purposes]

Pick: TypeAlias = tuple[str, pb.Model]
"""A mark and the model that it stands before."""


def group_rows(speak: Texts, *, catalog: Catalog, draft: str = "") -> Rows:
    """Return a button for each group of purposes that some model is for."""
    return tuple(
        (Button(group_label(speak, index), ShowGroup(draft, index)),)
        for index, group in enumerate(GROUPS)
        if any(catalog.of_purpose(purpose) for purpose in group.purposes)
    )


def picture_rows(speak: Texts, *, catalog: Catalog, draft: str) -> Rows:
    """Return a button for each purpose that a picture is enough to begin with."""
    fitting = [each for each in catalog.offered if _takes_picture_only(each)]
    offered = {purpose_of(each) for each in fitting}
    return tuple(
        (Button(purpose_label(speak, each), ShowPurpose(draft, int(each))),)
        for each in _WITH_PICTURE
        if each in offered
    )


def group_screen(group: int, language: str, *, catalog: Catalog, draft: str = "") -> Screen:
    """Return the purposes of a group; the models at once where it has only one purpose."""
    speak = texts(language)
    if not 0 <= group < len(GROUPS):
        return _groups_screen(speak, catalog=catalog, draft=draft)
    purposes = [each for each in GROUPS[group].purposes if catalog.of_purpose(each)]
    if len(purposes) == 1:
        return purpose_screen(purposes[0], language, catalog=catalog, draft=draft)
    rows: Rows = tuple(
        (Button(purpose_label(speak, each), ShowPurpose(draft, int(each))),) for each in purposes
    )
    text = f"<b>{_safe(group_label(speak, group))}</b>"
    question = speak.html("What exactly?")
    return Screen(paragraphs(text, question), (*rows, (_home(speak),)))


def purpose_screen(purpose: Purpose, language: str, *, catalog: Catalog, draft: str = "") -> Screen:
    """Return three models of a purpose, the cheapest, fastest and best, and a way to all."""
    speak = texts(language)
    models = catalog.of_purpose(purpose)
    picks = _picks(speak, models)
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


def found_models(words: str, *, catalog: Catalog) -> tuple[pb.Model, ...]:
    """Return the models whose names or purposes have all of these words, in either language.

    Those that are called just so come first, then those whose purposes do on the shelf.
    """
    wanted = _words(words)
    if not catalog.is_large or not 0 < len(wanted) <= MOST_WORDS:
        return ()
    if any(len(each) < 2 for each in wanted):
        return ()
    found = [each for each in catalog.offered if _has_words(each, wanted)]
    return tuple(sorted(found, key=lambda each: _distance(each, wanted)))


def chosen_purpose(number: int) -> Purpose:
    """Return the purpose of a button's number; OTHER for one that is not known."""
    return _purpose(number)


def _has_words(model: pb.Model, wanted: Iterable[str]) -> bool:
    purpose = purpose_of(model)
    told = [model.family, model.tier, *model.titles.values()]
    told += [purpose_label(texts(language), purpose) for language in LANGUAGES]
    told += [group_label(texts(language), group_of(purpose)) for language in LANGUAGES]
    words = {word for text in told for word in _words(text)}
    return all(any(word.startswith(each) for word in words) for each in wanted)


def _distance(model: pb.Model, wanted: list[str]) -> tuple[bool, int]:
    is_called_so = any(_words(title) == wanted for title in model.titles.values())
    return not is_called_so, _SHELF.index(purpose_of(model))


def _words(text: str) -> list[str]:
    return re.findall(r"[\w.]+", text.casefold().replace("ё", "е"))


def _picks(speak: Texts, models: Sequence[pb.Model]) -> list[Pick]:
    """Choose three different models, each for a reason of its own; all if there are few."""
    if len(models) <= 3:
        return [("", each) for each in models]
    is_priced = any(least_credits(each) is not None for each in models)
    is_timed = any(each.HasField("usual_duration") or _is_fast(each) for each in models)
    wanted: tuple[tuple[str, Callable[[pb.Model], _Rank]], ...] = (
        (speak.plain("💰 cheapest") if is_priced else "", _cheapness),
        (speak.plain("⚡️ fastest") if is_timed else "", _speed),
        (speak.plain("🏆 best"), _quality),
    )
    left, picks = list(models), []
    for mark, rank in wanted:
        chosen = min(left, key=lambda each: (_is_doing_badly(each), *rank(each)))
        left.remove(chosen)
        picks.append((mark, chosen))
    return picks


def _is_doing_badly(model: pb.Model) -> bool:
    """Tell whether nobody should be led to it at the moment."""
    return model.state in (pb.MODEL_STATE_SLOW, pb.MODEL_STATE_FAILING)


_Rank: TypeAlias = tuple[float | Decimal, ...]


def _cheapness(model: pb.Model) -> _Rank:
    least = least_credits(model)
    return (_DEAR if least is None else least,)


def _speed(model: pb.Model) -> _Rank:
    usual_s = model.usual_duration.ToTimedelta().total_seconds()
    version = _version(_tier_words(model))
    return (usual_s or 86400.0, 0 if _is_fast(model) else 1, -version)


def _is_fast(model: pb.Model) -> bool:
    """Tell whether its name says so."""
    return any(word in _tier_words(model) for word in _FAST)


def _quality(model: pb.Model) -> _Rank:
    tier = _tier_words(model)
    is_best = any(word in tier.split() for word in _BEST)
    is_small = _is_fast(model)
    dear = least_credits(model) or Decimal(0)
    return (1 if is_small else 0, 0 if is_best else 1, -_version(tier), -dear)


def _tier_words(model: pb.Model) -> str:
    return f"{model.tier} {localised(model.titles, 'en')}".casefold()


def _version(tier: str) -> float:
    numbers = re.findall(r"\d+(?:\.\d+)?", tier)
    return max((float(each) for each in numbers if float(each) < 100), default=0.0)


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


def _takes_picture_only(model: pb.Model) -> bool:
    media = [each for each in model.media_inputs if each.kind == MEDIA_KIND_IMAGE]
    others = [
        each for each in model.media_inputs if each.kind != MEDIA_KIND_IMAGE and each.min_count
    ]
    return bool(media) and not others


def _purpose(number: int) -> Purpose:
    known: Iterator[Purpose] = (each for each in Purpose if each == number)
    return next(known, Purpose.OTHER)


def _safe(text: str) -> str:
    return escape(text, quote=False)
