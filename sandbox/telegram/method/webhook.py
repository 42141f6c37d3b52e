"""Setting and deleting the webhook."""

import re

from sandbox.telegram.call import Call, Method
from sandbox.telegram.error import bad_request
from sandbox.telegram.link import is_loopback
from sandbox.telegram.model import Json, Webhook

SECRET = re.compile(r"[A-Za-z0-9_-]{0,256}")


async def set_webhook(call: Call) -> bool:
    """Have updates posted to an address; an empty one means polling again."""
    params = call.params
    url, secret = params.text("url"), params.text("secret_token")
    if not url:
        return await delete_webhook(call)
    if not url.startswith("https://") and not is_loopback(url):
        raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
    if not SECRET.fullmatch(secret):
        raise bad_request("secret token contains unallowed characters")
    if "allowed_updates" in params.values:
        call.bot.allowed_updates = params.objects("allowed_updates")
    count = params.integer("max_connections", 40)
    call.bot.webhook = Webhook(url=url, secret_token=secret, max_connections=count)
    return await _changed(call)


async def delete_webhook(call: Call) -> bool:
    """Have updates kept for polling."""
    call.bot.webhook = None
    return await _changed(call)


async def _changed(call: Call) -> bool:
    if call.params.flag("drop_pending_updates"):
        call.bot.updates = []
    call.server.inbox(call.bot).wake()
    await call.server.sender(call.bot).restart()
    return True


async def get_webhook_info(call: Call) -> Json:
    """Return where updates go, how many wait, and what went wrong last."""
    info: Json = {"url": "", "has_custom_certificate": False}
    info["pending_update_count"] = len(call.bot.updates)
    if call.bot.webhook:
        shown = {"url", "max_connections", "last_error_date", "last_error_message"}
        info |= call.bot.webhook.model_dump(include=shown, exclude_none=True)
    if call.bot.allowed_updates:
        info["allowed_updates"] = call.bot.allowed_updates
    return info


METHODS: dict[str, Method] = {
    "setWebhook": set_webhook,
    "deleteWebhook": delete_webhook,
    "getWebhookInfo": get_webhook_info,
}
