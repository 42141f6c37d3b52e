"""The queue of updates that one bot has not confirmed yet."""

import asyncio
from collections.abc import Callable

from sandbox.telegram.error import ApiError
from sandbox.telegram.model import Bot, Json

OPT_IN = {"chat_member", "message_reaction", "message_reaction_count"}
"""The updates that a bot gets only by naming them in `allowed_updates`."""


class Inbox:
    """Queues a bot's updates and serves its one poller."""

    def __init__(self, bot: Bot, *, changed: Callable[[], None]) -> None:
        self.bot = bot
        self._changed = changed
        self._poller: object | None = None
        self._news = asyncio.Event()
        self._is_closed = False

    def add(self, kind: str, payload: Json) -> None:
        """Queue an update, unless the bot has said that it does not want its kind."""
        allowed = self.bot.allowed_updates
        if kind not in allowed if allowed else kind in OPT_IN:
            return
        self.force({kind: payload})

    def force(self, update: Json) -> None:
        """Queue an update whatever is in it; only its number is ours."""
        self.bot.updates.append({**update, "update_id": self.bot.next_update_id})
        self.bot.next_update_id += 1
        self.wake()

    def confirm(self, offset: int) -> None:
        """Drop the updates before an offset; a negative one counts from the end."""
        updates = self.bot.updates
        if offset < 0:
            self.bot.updates = updates[offset:]
        else:
            self.bot.updates = [one for one in updates if one["update_id"] >= offset]
        self._changed()

    async def poll(self, *, offset: int, limit: int, timeout: float) -> list[Json]:
        """Return updates as soon as there are any; a newer poll ends this one with a 409."""
        self._refuse_beside_webhook()
        me = self._poller = object()
        self.wake()
        self.confirm(offset)
        deadline = asyncio.get_running_loop().time() + timeout
        while not self.bot.updates and not self._is_closed:
            if not await self.news(until=deadline):
                break
            self._refuse_unless_newest(me)
        return self.bot.updates[:limit]

    async def news(self, *, until: float | None = None) -> bool:
        """Wait for anything to happen; false if the time, by the loop's clock, ran out."""
        try:
            async with asyncio.timeout_at(until):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    def wake(self) -> None:
        """Wake everybody who waits for updates."""
        self._changed()
        news, self._news = self._news, asyncio.Event()
        news.set()

    def close(self) -> None:
        """End the poll that is waiting."""
        self._is_closed = True
        self.wake()

    def _refuse_beside_webhook(self) -> None:
        if self.bot.webhook:
            advice = "use deleteWebhook to delete the webhook first"
            reason = f"can't use getUpdates method while webhook is active; {advice}"
            raise ApiError(409, f"Conflict: {reason}")

    def _refuse_unless_newest(self, poller: object) -> None:
        if self.bot.webhook:
            raise ApiError(409, "Conflict: terminated by setWebhook request")
        if self._poller is not poller:
            advice = "make sure that only one bot instance is running"
            reason = f"terminated by other getUpdates request; {advice}"
            raise ApiError(409, f"Conflict: {reason}")
