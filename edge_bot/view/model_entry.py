"""Says in a few lines what a model is: what it does, what it costs, how it is doing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape

from atelier.generation.v1 import model_pb2 as pb
from edge_bot.view.catalog import localised
from edge_bot.view.language import Texts
from edge_bot.view.layout import lines, shorten, span
from edge_bot.view.model_field import least_credits

DESCRIPTION_LENGTH = 120
_MARKS = " :,·-"


def entry_text(speak: Texts, model: pb.Model, *, mark: str = "") -> str:
    """Return a model's title, what speaks for it and against it, and its description."""
    terms = _in_a_row(_safe(mark), *_terms(speak, model), health_text(speak, model))
    return lines(_title(speak, model), terms, _about(speak, model))


def entry_line(speak: Texts, model: pb.Model) -> str:
    """Return a model's title and what speaks for it and against it, where there are many."""
    terms = (*_terms(speak, model), health_text(speak, model))
    return " · ".join(filter(None, (_title(speak, model), *map(_unbroken, terms))))


def card_text(speak: Texts, model: pb.Model) -> str:
    """Return what a model does, what it costs, and how long it usually takes."""
    return lines(_about(speak, model), _in_a_row(*_terms(speak, model)))


def family_entry_text(speak: Texts, models: Sequence[pb.Model]) -> str:
    """Return the name of a family, its least price, and below it what tells its models apart."""
    tiers = [each.tier or localised(each.titles, speak.language) for each in models]
    priced = [each for each in models if least_credits(each) is not None]
    cheapest = min(priced, key=lambda each: least_credits(each) or 0, default=None)
    price = price_text(speak, cheapest) if cheapest else ""
    # One that works is enough: each says on its own screen how it is doing.
    health = min((health_text(speak, each) for each in models), key=bool)
    name = f"<b>{_safe(family_name(speak, models))}</b>"
    told = _safe(shorten(", ".join(tiers), DESCRIPTION_LENGTH))
    return lines(" · ".join(filter(None, (name, *map(_unbroken, (price, health))))), told)


def price_text(speak: Texts, model: pb.Model) -> str:
    """Return what a generation costs at least, in a few words; empty if it is not told."""
    least = least_credits(model)
    if least is None:
        return ""
    if not least:
        return speak.html("free")
    return speak.count("from {n} credit", "from {n} credits", int(least))


def health_text(speak: Texts, model: pb.Model) -> str:
    """Return how a model is doing if it is slow or fails, in a few words."""
    match model.state:
        case pb.MODEL_STATE_SLOW:
            return speak.plain("🐢 slow at the moment")
        case pb.MODEL_STATE_FAILING:
            return speak.plain("⚠️ fails often at the moment")
        case _:
            return ""


def family_name(speak: Texts, models: Sequence[pb.Model]) -> str:
    """Return what the titles of a family begin with, or most of them; else the first title."""
    titles = [localised(each.titles, speak.language).split() for each in models]
    by_all = _beginning(titles, least=len(titles))
    return by_all or _beginning(titles, least=len(titles) // 2 + 1) or " ".join(titles[0])


def _beginning(titles: Sequence[Sequence[str]], *, least: int) -> str:
    """Return the most words with which so many titles begin; empty if they share none."""
    found, called = "", {_bare(each) for each in titles}
    for length in range(1, max(map(len, titles)) + 1):
        counts = Counter(_bare(each[:length]) for each in titles if len(each) >= length)
        words, count = counts.most_common(1)[0]
        # A number that is all of a title is one version: "Hailuo" has "02" and "02 Pro".
        is_version = words[-1][:1].isdigit() and words in called
        if count < least or (found and is_version):
            break
        found = next(" ".join(each[:length]) for each in titles if _bare(each[:length]) == words)
    return found.strip(_MARKS)


def _bare(words: Sequence[str]) -> tuple[str, ...]:
    """Return words without the marks around them: a colon after a name is no part of it."""
    return tuple(each.strip(_MARKS) for each in words)


def _title(speak: Texts, model: pb.Model) -> str:
    return f"<b>{_safe(localised(model.titles, speak.language))}</b>"


def _about(speak: Texts, model: pb.Model) -> str:
    return _safe(shorten(localised(model.descriptions, speak.language), DESCRIPTION_LENGTH))


def _terms(speak: Texts, model: pb.Model) -> tuple[str, str]:
    usual_s = model.usual_duration.ToTimedelta().total_seconds()
    usual = speak.html("usually {span}", span=span(speak, usual_s)) if usual_s > 0 else ""
    return price_text(speak, model), usual


def _in_a_row(*parts: str) -> str:
    """Return the parts in one line that breaks only between them and begins as a sentence does."""
    line = " · ".join(map(_unbroken, filter(None, parts)))
    return line[:1].upper() + line[1:]


def _unbroken(text: str) -> str:
    """Return a text that no line breaks in."""
    return text.replace(" ", "\u00a0")


def _safe(text: str) -> str:
    return escape(text, quote=False)
