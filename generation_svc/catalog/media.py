"""Checks how inputs name media and earlier jobs."""

import base64
import binascii
import re
from urllib.parse import SplitResult, unquote, urlsplit

import httpx2

from generation_svc.catalog.rule import list_words
from generation_svc.catalog.shape import schema_at
from generation_svc.domain.limit import MAX_LINK_LENGTH
from generation_svc.domain.media import MediaKind
from generation_svc.domain.media_input import (
    MAX_ITEM_NUMBER,
    MediaInput,
    ReferenceInput,
    ReferencePart,
    SpecialInput,
    name_of,
    parse_reference,
)
from generation_svc.domain.model import Model
from generation_svc.domain.schema import Steps
from generation_svc.egress.hostname import may_be_public

MAX_DATA_BYTES = 2**20
"""The size of media inside `data:`, counted after decoding."""

FORMS = "upload:<id>, media:<id>, an https: link, or a data: URL of up to 1 MiB"

_ITEM = {
    MediaKind.IMAGE: "image",
    MediaKind.VIDEO: "video",
    MediaKind.AUDIO: "audio file",
    MediaKind.TEXT: "text file",
    MediaKind.FILE: "file",
}
_ONE = {kind: f"{'an' if word[0] in 'ai' else 'a'} {word}" for kind, word in _ITEM.items()}
_NOT_REACHABLE = "The link must be on the internet, where the provider fetches it."
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_BOT_TOKEN = re.compile(r"/bot\d+:", re.IGNORECASE)
_LARGEST_BASE64 = 4 * -(-MAX_DATA_BYTES // 3)


def special_words(model: Model, steps: Steps) -> str | None:
    """Say what a place of a special input asks for; None for any other place."""
    one = model.special_input(name_of(steps))
    if one is None:
        return None
    if isinstance(one, ReferenceInput):
        return reference_words(one)
    if not one.is_list or isinstance(steps[-1], int):
        return f"{_ONE[one.kind]}: {FORMS}"
    schema = schema_at(model.input_schema, steps)
    return f"{list_words(schema, item=_ITEM[one.kind])}: {FORMS}"


def reference_words(one: ReferenceInput) -> str:
    """Say how an earlier job is referred to."""
    if one.part is ReferencePart.TASK:
        return "an earlier job: job:<id>"
    numbers = f"where n is 1 to {MAX_ITEM_NUMBER}"
    return f"the {one.part} of an earlier job: job:<id> for the first, or job:<id>/<n>, {numbers}"


def special_flaw(one: SpecialInput, text: str) -> str | None:
    """Say what is wrong with a text in a place of a special input, or None.

    The text itself is never repeated: a link may hold somebody's secret.
    """
    if isinstance(one, MediaInput):
        return _media_flaw(one, text)
    reference = parse_reference(text)
    is_numbered = "/" in text and one.part is ReferencePart.TASK
    if reference is None or is_numbered:
        return f"Must be {reference_words(one)}."
    return None


def _media_flaw(one: MediaInput, text: str) -> str | None:
    scheme, colon, rest = text.partition(":")
    match scheme.lower() if colon else "":
        case "upload" | "media" if scheme.islower():
            return None if _UUID.fullmatch(rest) else f"The id after {scheme}: must be a UUID."
        case "https":
            return _link_flaw(text)
        case "data":
            return _data_flaw(one, rest)
    return f"Must be {_ONE[one.kind]}: {FORMS}."


def _link_flaw(text: str) -> str | None:
    if len(text) > MAX_LINK_LENGTH:
        return f"A link must have up to {MAX_LINK_LENGTH} characters, not {len(text)}."
    try:
        link = urlsplit(text)
        is_complete = bool(link.hostname) and link.port != 0 and not re.search(r"[\s\\]", text)
    except ValueError:
        is_complete = False
    if not is_complete:
        return "The link is not a valid https: address."
    return _secret_flaw(link) or (None if _is_reachable(text) else _NOT_REACHABLE)


def _is_reachable(text: str) -> bool:
    """Return whether the provider may find the host, which no name of ours alone helps with."""
    try:
        host = httpx2.URL(text).raw_host.decode("ascii")
    except (httpx2.InvalidURL, UnicodeError):
        return False
    return may_be_public(host.removesuffix("."))


def _secret_flaw(link: SplitResult) -> str | None:
    if link.username is not None:
        return "A link must not hold a user name or password."
    # Unquoted: an escaped path leads to the same file and shows the token all the same.
    if _BOT_TOKEN.search(unquote(link.path)):
        return "A Telegram file link holds the bot's token; upload the file instead."
    return None


def _data_flaw(one: MediaInput, rest: str) -> str | None:
    head, _, encoded = rest.partition(",")
    mime_type, _, encoding = head.lower().partition(";")
    if mime_type not in one.mime_types or encoding != "base64":
        return f"A data: URL must be base64 of one of {', '.join(one.mime_types)}."
    return _bytes_flaw(encoded)


def _bytes_flaw(encoded: str) -> str | None:
    too_large = (
        f"Media in a data: URL must have up to {MAX_DATA_BYTES} bytes; upload what is larger."
    )
    # Before decoding, which would copy a text of any length.
    if len(encoded) > _LARGEST_BASE64:
        return too_large
    try:
        size = len(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError):
        return "The data: URL is not valid base64."
    if not size:
        return "The data: URL holds nothing."
    return too_large if size > MAX_DATA_BYTES else None
