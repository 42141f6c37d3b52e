"""What a bot fetches: updates and files."""

from sandbox.telegram.call import Call, Method
from sandbox.telegram.error import bad_request
from sandbox.telegram.file import file_to_api
from sandbox.telegram.limit import DOWNLOAD_BYTES, POLL_LIMIT, POLL_TIMEOUT_S
from sandbox.telegram.model import Json


async def get_updates(call: Call) -> list[Json]:
    """Return the updates from an offset on, waiting for one if there is none."""
    if "allowed_updates" in call.params.values:
        call.bot.allowed_updates = call.params.objects("allowed_updates")
    limit = call.params.integer("limit", POLL_LIMIT)
    timeout = call.params.integer("timeout")
    return await call.server.inbox(call.bot).poll(
        offset=call.params.integer("offset"),
        limit=limit if 1 <= limit <= POLL_LIMIT else POLL_LIMIT,
        timeout=max(0, min(timeout, POLL_TIMEOUT_S)),
    )


async def get_file(call: Call) -> Json:
    """Return where a file can be downloaded."""
    file = call.server.files.for_bot(call.bot.id, file_id=call.params.text("file_id"))
    if file is None:
        raise bad_request("invalid file_id")
    if file.size > DOWNLOAD_BYTES:
        raise bad_request("file is too big")
    return file_to_api(file, bot_id=call.bot.id) | {"file_path": file.path}


METHODS: dict[str, Method] = {"getUpdates": get_updates, "getFile": get_file}
