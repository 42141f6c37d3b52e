"""Posting a bot's updates to its webhook, in order, until each is taken."""

import asyncio
import time

import httpx2

from sandbox.telegram.model import Json, Webhook
from sandbox.telegram.settings import TelegramSettings
from sandbox.telegram.update import Inbox

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
LONGEST_PAUSE = 30
"""The longest pause between tries, as a multiple of the first."""


class WebhookSender:
    """Delivers what is in one bot's inbox for as long as the bot has a webhook."""

    def __init__(
        self, inbox: Inbox, *, client: httpx2.AsyncClient, settings: TelegramSettings
    ) -> None:
        self._inbox = inbox
        self._client = client
        self._settings = settings
        self._task: asyncio.Task[None] | None = None

    async def restart(self) -> None:
        """Follow a change of the webhook: stop, and start again if there is one."""
        await self.stop()
        if self._inbox.bot.webhook:
            name = f"webhook of bot {self._inbox.bot.id}"
            self._task = asyncio.create_task(self._run(self._inbox.bot.webhook), name=name)

    async def stop(self) -> None:
        """Stop delivering."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self, webhook: Webhook) -> None:
        failures = 0
        while True:
            updates = self._inbox.bot.updates
            if not updates:
                await self._inbox.news()
            elif await self._deliver(updates[0], webhook):
                self._inbox.confirm(updates[0]["update_id"] + 1)
                failures = 0
            else:
                pause = min(2**failures, LONGEST_PAUSE) * self._settings.webhook_retry_s
                failures += 1
                await asyncio.sleep(pause)

    async def _deliver(self, update: Json, webhook: Webhook) -> bool:
        error = await self._post(update, webhook)
        if error:
            webhook.last_error_date = int(time.time())
            webhook.last_error_message = error
        return not error

    async def _post(self, update: Json, webhook: Webhook) -> str:
        """Post one update; return what went wrong, nothing if it was taken."""
        headers = {SECRET_HEADER: webhook.secret_token} if webhook.secret_token else {}
        timeout = self._settings.webhook_timeout_s
        try:
            response = await self._client.post(
                webhook.url, json=update, headers=headers, timeout=timeout
            )
        except httpx2.TimeoutException:
            return "Read timeout expired"
        except httpx2.HTTPError:
            return "Connection refused"
        if response.is_success:
            return ""
        status = f"{response.status_code} {response.reason_phrase}"
        return f"Wrong response from the webhook: {status}"
