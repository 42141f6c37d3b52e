"""The HTML of Telegram, read as TDLib's `parse_html` reads it, down to the words of its errors."""

import re
from dataclasses import dataclass, field

from sandbox.telegram.error import bad_request
from sandbox.telegram.link import checked_link
from sandbox.telegram.model import Json

SPACES = " \t\r\n\v\0"
END = "\0"
"""Stands behind the last character, as in the original."""

TAG_TYPES = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "span": "spoiler",
    "a": "text_link",
    "tg-emoji": "custom_emoji",
    "pre": "pre",
    "code": "code",
    "blockquote": "blockquote",
}
PRIORITIES = {
    "blockquote": 0,
    "expandable_blockquote": 0,
    "pre": 11,
    "code": 20,
    "text_link": 49,
    "bold": 90,
    "italic": 91,
    "underline": 92,
    "strikethrough": 93,
    "spoiler": 94,
    "custom_emoji": 99,
}
NAMED_CHARACTERS = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
CHARACTER = re.compile(r"&(?:#x([0-9a-fA-F]*)|#([0-9]*)|([A-Za-z]*));?", re.ASCII)


def utf16_length(text: str) -> int:
    """Count UTF-16 code units, the measure of every entity offset."""
    return len(text) + sum(character > "\uffff" for character in text)


def in_order(entities: list[Json]) -> list[Json]:
    """Sort entities as the Bot API lists them: outer before inner."""

    def key(entity: Json) -> tuple[int, int, int]:
        return entity["offset"], -entity["length"], PRIORITIES.get(entity["type"], 50)

    return sorted(entities, key=key)


def parse_html(html: str) -> tuple[str, list[Json]]:
    """Return the text and its entities; raise a 400 that says what is wrong and where."""
    return _Parser(html).run()


@dataclass
class _Tag:
    name: str
    offset: int
    start: int
    attributes: dict[str, str] = field(default_factory=dict)


class _Parser:
    def __init__(self, html: str) -> None:
        self.source = html.replace(END, "") + END
        self.at = 0
        self.text = ""
        self.offset = 0
        self.open: list[_Tag] = []
        self.entities: list[Json] = []

    def run(self) -> tuple[str, list[Json]]:
        while self.at < len(self.source) - 1:
            self._step()
        if self.open:
            name = self.open[-1].name
            raise _error(f'Can\'t find end tag corresponding to start tag "{name}"')
        for entity in self.entities:
            if entity["type"] == "code":
                entity.pop("language", None)
        return _joined(self.text), in_order(self.entities)

    def _step(self) -> None:
        if self.source[self.at] == "&":
            self._append(self._character())
        elif self.source[self.at] != "<":
            self._append(self.source[self.at])
            self.at += 1
        elif self.source[self.at + 1] == "/":
            self._end_tag()
        else:
            self._start_tag()

    def _append(self, characters: str) -> None:
        self.text += characters
        self.offset += utf16_length(characters)

    def _character(self) -> str:
        """Read `&lt;` and the like; anything that is not a known character stays as it is."""
        match = CHARACTER.match(self.source, self.at)
        character = _decoded(match) if match else ""
        self.at = match.end() if match and character else self.at + 1
        return character or "&"

    def _start_tag(self) -> None:
        begin = self.at
        self.at += 1
        name = self._until(">").lower()
        if self._here() == END:
            raise self._error("Unclosed start tag", begin)
        if name not in TAG_TYPES:
            raise self._error(f'Unsupported start tag "{name}"', begin)
        tag = _Tag(name, self.offset, len(self.text))
        while self._skip_spaces() != ">":
            self._attribute(tag, begin)
        self.at += 1
        if name == "span" and tag.attributes.get("class") != "tg-spoiler":
            raise self._error('Tag "span" must have class "tg-spoiler"', begin)
        self.open.append(tag)

    def _attribute(self, tag: _Tag, begin: int) -> None:
        if self._here() == END:
            raise self._error(f'Unclosed start tag "{tag.name}"', begin)
        name = self._until("=>")
        if not name:
            raise self._error(f'Empty attribute name in the tag "{tag.name}"', begin)
        value = ""
        if self._skip_spaces() == "=":
            self.at += 1
            value = self._value(tag, begin)
        tag.attributes[name] = value

    def _value(self, tag: _Tag, begin: int) -> str:
        quote = self._skip_spaces()
        if quote == END:
            raise self._error(f'Unclosed start tag "{tag.name}"', begin)
        value = self._quoted(quote) if quote in "'\"" else self._name_token()
        if self._here() == END:
            raise self._error("Unclosed start tag", begin)
        return value

    def _quoted(self, quote: str) -> str:
        self.at += 1
        value = ""
        while self._here() not in (quote, END):
            if self._here() == "&":
                value += self._character()
            else:
                value += self._here()
                self.at += 1
        self.at += self._here() == quote
        return value

    def _name_token(self) -> str:
        begin = self.at
        while self._here().isascii() and (self._here().isalnum() or self._here() in ".-"):
            self.at += 1
        if self._here() not in SPACES + ">":
            raise self._error("Unexpected end of name token", begin)
        return self.source[begin : self.at].lower()

    def _end_tag(self) -> None:
        begin = self.at
        if not self.open:
            raise self._error("Unexpected end tag", begin)
        self.at += 2
        name = self._until(">").lower()
        if self._skip_spaces() != ">":
            raise self._error("Unclosed end tag", begin)
        self.at += 1
        expected = self.open[-1].name
        if name and name != expected:
            reason = f'expected "</{expected}>", found "</{name}>"'
            raise _error(f"Unmatched end tag at byte offset {self._byte(begin)}, {reason}")
        self._close(self.open.pop())

    def _close(self, tag: _Tag) -> None:
        if self.offset == tag.offset:
            return
        entity = {"type": TAG_TYPES[tag.name], "offset": tag.offset}
        entity["length"] = self.offset - tag.offset
        if _completed(entity, tag=tag, text=self.text[tag.start :], last=self.entities[-1:]):
            self.entities.append(entity)

    def _here(self) -> str:
        return self.source[self.at]

    def _until(self, stops: str) -> str:
        begin = self.at
        while self._here() not in SPACES + stops:
            self.at += 1
        return self.source[begin : self.at]

    def _skip_spaces(self) -> str:
        while self._here() in SPACES and self._here() != END:
            self.at += 1
        return self._here()

    def _byte(self, position: int) -> int:
        return len(self.source[:position].encode("utf-8", "surrogatepass"))

    def _error(self, reason: str, position: int) -> Exception:
        return _error(f"{reason} at byte offset {self._byte(position)}")


def _error(reason: str) -> Exception:
    return bad_request(f"can't parse entities: {reason}")


def _decoded(match: re.Match[str]) -> str:
    hexadecimal, decimal, name = match.groups()
    if name is not None:
        return NAMED_CHARACTERS.get(name, "")
    code = int(hexadecimal or "0", 16) if hexadecimal is not None else int(decimal or "0")
    is_valid = 0 < code < 0x10FFFF and len(match[0].rstrip(";")) < 10
    return chr(code) if is_valid else ""


def _joined(text: str) -> str:
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError as error:
        reason = "Text contains invalid Unicode characters after decoding HTML entities"
        raise _error(f"{reason}, check for unmatched surrogate code units") from error


def _completed(entity: Json, *, tag: _Tag, text: str, last: list[Json]) -> bool:
    """Fill in what the tag's attributes say; false if the tag makes no entity of its own."""
    if tag.name == "a":
        entity["url"] = checked_link(tag.attributes.get("href") or text)
        return bool(entity["url"])
    if tag.name == "tg-emoji":
        entity["custom_emoji_id"] = _emoji_id(tag.attributes.get("emoji-id", ""))
    if tag.name == "blockquote" and "expandable" in tag.attributes:
        entity["type"] = "expandable_blockquote"
    return not (tag.name in ("pre", "code") and _is_merged(entity, tag=tag, last=last))


def _is_merged(entity: Json, *, tag: _Tag, last: list[Json]) -> bool:
    """Make `<pre><code class="language-x">`, in either order, one entity with a language."""
    language = tag.attributes.get("class", "")
    language = language.removeprefix("language-") if language.startswith("language-") else ""
    if tag.name == "code" and language:
        entity["language"] = language
    other = last[0] if last and _is_same_place(last[0], entity) else {}
    pair = {entity["type"], other.get("type")}
    if pair != {"pre", "code"} or not (language or other.get("language")):
        return False
    other |= {"type": "pre", "language": language or other["language"]}
    return True


def _is_same_place(one: Json, other: Json) -> bool:
    return all(one[key] == other[key] for key in ("offset", "length"))


def _emoji_id(value: str) -> str:
    if not value.isdigit() or int(value) == 0:
        raise _error("Invalid custom emoji identifier specified")
    return value
