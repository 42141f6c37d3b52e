from typing import Any

import pytest

from sandbox.telegram.entity import parse_html
from sandbox.telegram.error import ApiError

PARSED: dict[str, tuple[str, str, list[tuple[Any, ...]]]] = {
    "plain": ("a & b", "a & b", []),
    "escapes": ("&lt;&gt;&amp;&quot;&laquo;&#65;&#x42", '<>&"&laquo;AB', []),
    "bold": ("<b>one</b> <strong>two</strong>", "one two", [("bold", 0, 3), ("bold", 4, 3)]),
    "nested": ("<i>a<b>b</b></i>", "ab", [("italic", 0, 2), ("bold", 1, 1)]),
    "surrogates": ("🏟<i>🏟&lt;</i>", "🏟🏟<", [("italic", 2, 3)]),
    "short end": ("<u>a</>", "a", [("underline", 0, 1)]),
    "upper case": ("<B>a</b>", "a", [("bold", 0, 1)]),
    "spoiler": ('<span class="tg-spoiler">a</span>', "a", [("spoiler", 0, 1)]),
    "link": ('<a href="https://e.org/?a&amp;b">x</a>', "x", [("text_link", 0, 1)]),
    "no link": ("<a>x</a>", "x", []),
    "empty": ("<b></b>x", "x", []),
    "language": (
        '<pre><code class="language-py">x</code></pre>',
        "x",
        [("pre", 0, 1)],
    ),
    "code in pre": ("<pre><code>x</code></pre>", "x", [("pre", 0, 1), ("code", 0, 1)]),
    "quote": (
        "<blockquote expandable>a</blockquote>",
        "a",
        [("expandable_blockquote", 0, 1)],
    ),
}
REFUSED = {
    "unsupported": ("🏟<abac>", 'Unsupported start tag "abac" at byte offset 4'),
    "line break": ("a<br>b", 'Unsupported start tag "br" at byte offset 1'),
    "heart": ("I <3 you", 'Unsupported start tag "3" at byte offset 2'),
    "unclosed start": ("a <b", "Unclosed start tag at byte offset 2"),
    "unclosed value": ("<i a = ", 'Unclosed start tag "i" at byte offset 0'),
    "unclosed quote": ('<i a="x>', "Unclosed start tag at byte offset 0"),
    "no end": ("<i>a", 'Can\'t find end tag corresponding to start tag "i"'),
    "no start": ("a</b>", "Unexpected end tag at byte offset 1"),
    "unclosed end": ("<i>a</i   ", "Unclosed end tag at byte offset 4"),
    "crossed": (
        "<b><i>a</b></i>",
        'Unmatched end tag at byte offset 7, expected "</i>", found "</b>"',
    ),
    "no name": ("<i =a>", 'Empty attribute name in the tag "i" at byte offset 0'),
    "bad token": ("<i a=b,>x</i>", "Unexpected end of name token at byte offset 5"),
    "span": ("<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
    "half a pair": (
        "&#57311;",
        "Text contains invalid Unicode characters after decoding HTML entities, "
        "check for unmatched surrogate code units",
    ),
}


@pytest.mark.parametrize(("html", "text", "entities"), PARSED.values(), ids=PARSED.keys())
def test_html_becomes_text_and_entities(
    html: str, text: str, entities: list[tuple[Any, ...]]
) -> None:
    plain, found = parse_html(html)
    assert plain == text
    assert [(one["type"], one["offset"], one["length"]) for one in found] == entities


def test_a_language_and_a_link_are_kept() -> None:
    _, (pre,) = parse_html('<code class="language-py"><pre>x</pre></code>')
    _, (link,) = parse_html("<a href=telegram.org>x</a>")
    assert pre["language"] == "py"
    assert link["url"] == "http://telegram.org/"


@pytest.mark.parametrize(("html", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_broken_html_is_refused_in_the_words_of_telegram(html: str, reason: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse_html(html)
    assert caught.value.description == f"Bad Request: can't parse entities: {reason}"
