"""The languages of the bot: English is written in the code, the others in gettext catalogs.

A text is looked up and filled in one step. `html` escapes what it fills in, `plain` does not:
buttons are no HTML. `count` chooses the plural form.

    texts("ru").html("Ready: <b>{title}</b>", title=title)

A catalog is `locales/<language>/LC_MESSAGES/edge_bot.po`, compiled beside it by `pybabel compile`;
both are committed, and a test compares them with the code and with each other.
"""

from __future__ import annotations

import gettext
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path

LOCALES = Path(__file__).parent / "locales"
"""The folder of the catalogs."""

DOMAIN = "edge_bot"
"""The name of the catalogs."""

SOURCE_LANGUAGE = "en"
"""The language in which the code is written; it needs no catalog."""

LANGUAGES = (SOURCE_LANGUAGE, "ru")
"""The languages that the bot speaks."""


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of one language."""

    language: str
    catalog: gettext.NullTranslations

    def plain(self, message: str, /, **values: object) -> str:
        """Return a text for a button."""
        return self.catalog.gettext(message).format(**values)

    def html(self, message: str, /, **values: object) -> str:
        """Return a text for a message, with the values escaped."""
        escaped = {name: escape(str(value), quote=False) for name, value in values.items()}
        return self.catalog.gettext(message).format(**escaped)

    def count(self, singular: str, plural: str, n: int) -> str:
        """Return the form of a text that goes with a number; it holds no HTML."""
        return self.catalog.ngettext(singular, plural, n).format(n=self.number(n))

    def number(self, n: int) -> str:
        """Return a number as the language groups its digits: Russian leaves four together."""
        if self.language == SOURCE_LANGUAGE:
            return f"{n:,}"
        return f"{n:,}".replace(",", "\u00a0") if n >= 10_000 else str(n)


def base_language(tag: str) -> str:
    """Return the language the bot speaks to someone with this IETF tag, such as `ru-RU`."""
    code = tag.replace("_", "-").split("-")[0].lower()
    return code if code in LANGUAGES else SOURCE_LANGUAGE


def texts(tag: str) -> Texts:
    """Return the texts for someone with this IETF language tag; empty means English."""
    return _texts(base_language(tag))


@cache
def _texts(language: str) -> Texts:
    if language == SOURCE_LANGUAGE:
        return Texts(language, gettext.NullTranslations())
    return Texts(language, gettext.translation(DOMAIN, LOCALES, languages=[language]))
