import re
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

import edge_bot
from edge_bot.view.language import DOMAIN, LANGUAGES, LOCALES, SOURCE_LANGUAGE, base_language, texts

KEYWORDS = {"plain": None, "html": None, "count": (1, 2)}
TRANSLATED = [language for language in LANGUAGES if language != SOURCE_LANGUAGE]
TAG = re.compile(r"</?\w+>")


def catalog_path(language: str) -> Path:
    return LOCALES / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def translations(language: str) -> Catalog:
    with catalog_path(language).open("rb") as file:
        return read_po(file, locale=language)


def messages(language: str) -> list[Message]:
    return [message for message in translations(language) if message.id]


def in_code() -> set[object]:
    folder = Path(edge_bot.__file__).parent
    return {text for _, _, text, _, _ in extract_from_dir(folder, keywords=KEYWORDS)}


@pytest.mark.parametrize("language", TRANSLATED)
def test_the_catalog_has_what_the_code_says_and_nothing_else(language: str) -> None:
    assert {message.id for message in messages(language)} == in_code()


@pytest.mark.parametrize("language", TRANSLATED)
def test_the_compiled_catalog_is_the_written_one(language: str) -> None:
    with catalog_path(language).with_suffix(".mo").open("rb") as file:
        compiled = read_mo(file)
    assert told(compiled) == told(translations(language))
    assert compiled.plural_expr == translations(language).plural_expr


@pytest.mark.parametrize("language", TRANSLATED)
def test_translations_keep_placeholders_and_tags(language: str) -> None:
    for message in messages(language):
        source, *_ = forms(message.id)
        for form in forms(message.string):
            assert form, source
            assert placeholders(form) == placeholders(source)
            assert sorted(TAG.findall(form)) == sorted(TAG.findall(source))


def told(catalog: Catalog) -> dict[str, list[str]]:
    return {forms(message.id)[0]: forms(message.string) for message in catalog if message.id}


def forms(text: str | list[str] | tuple[str, ...] | None) -> list[str]:
    """Return the plural forms of a text."""
    return [text] if isinstance(text, str) else list(text or ())


def placeholders(text: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize(
    ("tag", "language"),
    [("ru", "ru"), ("ru-RU", "ru"), ("RU_ru", "ru"), ("en-GB", "en"), ("de", "en"), ("", "en")],
    ids=repr,
)
def test_a_user_is_spoken_to_in_a_language_the_bot_speaks(tag: str, language: str) -> None:
    assert base_language(tag) == language


@pytest.mark.parametrize(
    ("tag", "n", "words"),
    [
        ("ru", 1, "1 секунда"),
        ("ru", 2, "2 секунды"),
        ("ru", 5, "5 секунд"),
        ("ru", 11, "11 секунд"),
        ("ru", 21, "21 секунда"),
        ("ru", 112, "112 секунд"),
        ("en", 1, "1 second"),
        ("en", 2, "2 seconds"),
    ],
    ids=repr,
)
def test_numbers_have_their_plural_form(tag: str, n: int, words: str) -> None:
    assert texts(tag).count("{n} second", "{n} seconds", n) == words


def test_html_is_escaped_and_plain_is_not() -> None:
    assert texts("en").html("Your current text: {prompt}", prompt="<b> & {x}") == (
        "Your current text: &lt;b&gt; &amp; {x}"
    )
    assert texts("ru").plain("Your current text: {prompt}", prompt="<b>") == "Сейчас написано: <b>"
