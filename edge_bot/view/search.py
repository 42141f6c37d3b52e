"""The search for models by words, in either language."""

from __future__ import annotations

import re
from collections.abc import Iterable

from atelier.generation.v1 import model_pb2 as pb
from edge_bot.view.catalog import Catalog
from edge_bot.view.language import LANGUAGES, texts
from edge_bot.view.model_field import purpose_of
from edge_bot.view.purpose import GROUPS, group_label, group_of, purpose_label
from edge_bot.view.search_word import FILLERS, SEARCH_WORDS, SHORT

MOST_WORDS = 4
"""How many words a search has at most; a longer text is a prompt, unless it is a whole name."""
_SHELF = [purpose for group in GROUPS for purpose in group.purposes]


def found_models(words: str, *, catalog: Catalog) -> tuple[pb.Model, ...]:
    """Return the models whose names or purposes have all of these words, in either language.

    Those that are called just so come first, however long their names are, then those whose
    purposes do on the shelf.
    """
    wanted = _telling(words)
    if not catalog.is_large or not wanted:
        return ()
    is_short = len(_words(words)) <= MOST_WORDS
    is_search = is_short and all(len(each) > 1 or each.isdecimal() for each in wanted)
    found = [
        each
        for each in catalog.offered
        if _is_called(each, wanted) or (is_search and _has_words(each, wanted))
    ]
    return tuple(sorted(found, key=lambda each: _distance(each, wanted)))


def _is_called(model: pb.Model, wanted: list[str]) -> bool:
    return any(_telling(title) == wanted for title in model.titles.values())


def _has_words(model: pb.Model, wanted: Iterable[str]) -> bool:
    purpose = purpose_of(model)
    told = [model.family, model.tier, *model.titles.values()]
    told += [purpose_label(texts(language), purpose) for language in LANGUAGES]
    told += [group_label(texts(language), group_of(purpose)) for language in LANGUAGES]
    words = {word for text in told for word in _words(text)}
    stems = SEARCH_WORDS.get(purpose, ())
    return all(
        any(word.startswith(each) for word in words) or any(_is_form(each, stem) for stem in stems)
        for each in wanted
    )


def _is_form(word: str, stem: str) -> bool:
    """Tell whether a word is a form of another, or the beginning of one that is being written."""
    if len(stem) <= SHORT or len(word) <= SHORT:
        return word == stem
    return word.startswith(stem) or stem.startswith(word)


def _distance(model: pb.Model, wanted: list[str]) -> tuple[bool, int]:
    return not _is_called(model, wanted), _SHELF.index(purpose_of(model))


def _telling(text: str) -> list[str]:
    """Return the words of a text that tell anything of a model."""
    return [each for each in _words(text) if each not in FILLERS]


def _words(text: str) -> list[str]:
    return re.findall(r"[\w.]+", text.casefold().replace("ё", "е"))
