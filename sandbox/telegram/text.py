"""The texts of messages: read from a call, trimmed, measured, their entities found."""

import re
from collections.abc import Callable

from sandbox.telegram.entity import in_order, parse_html, utf16_length
from sandbox.telegram.error import ApiError, bad_request
from sandbox.telegram.limit import CAPTION_LENGTH, TEXT_LENGTH
from sandbox.telegram.model import Json
from sandbox.telegram.param import Params

DETECTED = {
    "bot_command": re.compile(
        r"(?<![\w/<>])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32})?(?![\w/<>])"
    ),
    "url": re.compile(r"https?://[^\s<>\"]+[^\s<>\".,;:!?)]"),
    "email": re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+\.[\w.-]*\w"),
    "mention": re.compile(r"(?<![\w@./])@[A-Za-z]\w{4,31}(?!\w)", re.ASCII),
    "hashtag": re.compile(r"(?<![\w#&])#\w*[^\W\d]\w*"),
}


def read_text(params: Params) -> Json:
    """Return `text` and `entities` of a call, or raise what is wrong with them."""
    text, entities = _formatted(params, text="text", entities="entities")
    if not text:
        raise bad_request("message text is empty")
    if len(text) > TEXT_LENGTH:
        raise bad_request("message is too long")
    return {"text": text} | ({"entities": entities} if entities else {})


def read_caption(params: Params) -> Json:
    """Return `caption` and `caption_entities` of a call; nothing if it has no caption."""
    text, entities = _formatted(params, text="caption", entities="caption_entities")
    if len(text) > CAPTION_LENGTH:
        raise bad_request("message caption is too long")
    return caption_content(text, entities)


def caption_content(text: str, entities: list[Json]) -> Json:
    """Return the fields of a caption; an empty one has none."""
    if not text:
        return {}
    return {"caption": text} | ({"caption_entities": entities} if entities else {})


def with_detected(text: str, entities: list[Json]) -> list[Json]:
    """Add the commands, links, mentions and hashtags that Telegram finds by itself."""
    found = list(entities)
    for kind, pattern in DETECTED.items():
        for match in pattern.finditer(text):
            entity = {
                "type": kind,
                "offset": utf16_length(text[: match.start()]),
                "length": utf16_length(match[0]),
            }
            if not any(_excludes(other, entity) for other in found):
                found.append(entity)
    return in_order(found)


def _formatted(params: Params, *, text: str, entities: str) -> tuple[str, list[Json]]:
    parse = _parser(params.text("parse_mode"))
    given = params.objects(entities)
    raw = params.text(text)
    plain, found = (raw, [_checked(entity) for entity in given]) if given else parse(raw)
    plain, found = _trimmed(plain, _outside_code(found))
    return plain, with_detected(plain, found)


def _parser(mode: str) -> Callable[[str], tuple[str, list[Json]]]:
    if not mode:
        return lambda text: (text, [])
    if mode.lower() == "html":
        return parse_html
    if mode.lower() in ("markdown", "markdownv2"):
        raise bad_request(f"the sandbox reads HTML only, not parse_mode {mode}")
    raise bad_request("unsupported parse_mode")


def _checked(entity: Json) -> Json:
    if not isinstance(entity, dict) or not isinstance(entity.get("type"), str):
        raise _entity_error("type")
    for key in ("offset", "length"):
        if not isinstance(entity.get(key), int):
            raise _entity_error(key)
    return entity


def _entity_error(key: str) -> ApiError:
    return bad_request(f"can't parse MessageEntity: Can't find field \"{key}\"")


def _outside_code(entities: list[Json]) -> list[Json]:
    """Drop what lies inside code, which cannot be formatted."""
    spans = [entity for entity in entities if entity["type"] in ("pre", "code")]
    return [
        entity
        for entity in entities
        if entity in spans or not any(_contains(span, entity) for span in spans)
    ]


def _contains(outer: Json, inner: Json) -> bool:
    is_after = outer["offset"] <= inner["offset"]
    return is_after and _end(inner) <= _end(outer)


def _excludes(other: Json, entity: Json) -> bool:
    """Tell whether one entity leaves no room for a detected one."""
    is_apart = _end(other) <= entity["offset"] or _end(entity) <= other["offset"]
    return not is_apart and other["type"] in {*DETECTED, "pre", "code", "text_link"}


def _end(entity: Json) -> int:
    return int(entity["offset"] + entity["length"])


def _trimmed(text: str, entities: list[Json]) -> tuple[str, list[Json]]:
    """Cut the white space around the text and move the entities with it."""
    shift = utf16_length(text) - utf16_length(text.lstrip())
    text = text.strip()
    length = utf16_length(text)
    moved = [_moved(entity, shift=shift, length=length) for entity in entities]
    return text, [entity for entity in moved if entity["length"] > 0]


def _moved(entity: Json, *, shift: int, length: int) -> Json:
    start = max(0, entity["offset"] - shift)
    end = min(length, _end(entity) - shift)
    return entity | {"offset": start, "length": end - start}
