"""Sending photos, videos, songs, documents and albums."""

import secrets
from functools import partial

from sandbox.telegram.attachment import MediaKind, read_input_media, read_media
from sandbox.telegram.call import Call, Method
from sandbox.telegram.error import ApiError, bad_request
from sandbox.telegram.limit import ALBUM_SIZE
from sandbox.telegram.markup import read_inline_markup
from sandbox.telegram.method.send import reply_target, send
from sandbox.telegram.model import Json
from sandbox.telegram.param import Params
from sandbox.telegram.text import read_caption

ALONE = {"audio", "document"}
"""What stands in albums with its like alone."""

SERVER_REFUSALS = {
    "Bad Request: IMAGE_PROCESS_FAILED": "IMAGE_PROCESS_FAILED",
    "Bad Request: PHOTO_INVALID_DIMENSIONS": "PHOTO_INVALID_DIMENSIONS",
    "Bad Request: failed to get HTTP URL content": "WEBPAGE_CURL_FAILED",
    "Bad Request: wrong type of the web page content": "WEBPAGE_MEDIA_EMPTY",
}
"""What Telegram's servers, not its client library, find wrong: an album reports it by position."""


async def send_one(call: Call, *, kind: MediaKind) -> Json:
    """Send media as a message of its own."""
    content = read_caption(call.params) | read_inline_markup(call.params)
    conversation = call.conversation()
    return send(call, conversation, await read_media(call, kind) | content)


async def send_media_group(call: Call) -> list[Json]:
    """Send an album; a single item becomes an ordinary message, as with the real one."""
    items = _items(call)
    conversation = call.conversation()
    reply_to_id = reply_target(call, conversation)
    contents = [await _content(call, item, number=n) for n, item in enumerate(items, start=1)]
    album = {"media_group_id": str(secrets.randbits(62))} if len(contents) > 1 else {}
    posted = [
        conversation.post(content | album, is_from_bot=True, reply_to_id=reply_to_id)
        for content in contents
    ]
    return [conversation.to_api(message) for message in posted]


def _items(call: Call) -> list[Params]:
    if "media" not in call.params.values:
        raise bad_request('parameter "media" is required')
    items = call.params.objects("media")
    if not items:
        raise bad_request("there are no messages to send")
    if len(items) > ALBUM_SIZE:
        raise bad_request("too many messages to send as an album")
    if not all(isinstance(item, dict) for item in items):
        raise bad_request("can't parse InputMedia: expected an Object")
    types = {item.get("type") for item in items}
    if "animation" in types:
        words = 'type "animation" can\'t be used in sendMediaGroup'
        raise bad_request(f"can't parse InputMedia: {words}")
    if len(types) > 1 and (alone := types & ALONE):
        raise bad_request(f"{min(alone)} can't be mixed with other media types")
    return [call.params.nested(item) for item in items]


async def _content(call: Call, item: Params, *, number: int) -> Json:
    caption = read_caption(item)
    try:
        _, media = await read_input_media(call, item)
    except ApiError as error:
        raise _at(number, error) from error
    return media | caption


def _at(number: int, error: ApiError) -> ApiError:
    reason = SERVER_REFUSALS.get(error.description)
    if reason is None:
        return error
    return bad_request(f'failed to send message #{number} with the error message "{reason}"')


METHODS: dict[str, Method] = {
    "sendPhoto": partial(send_one, kind="photo"),
    "sendDocument": partial(send_one, kind="document"),
    "sendVideo": partial(send_one, kind="video"),
    "sendAudio": partial(send_one, kind="audio"),
    "sendMediaGroup": send_media_group,
}
