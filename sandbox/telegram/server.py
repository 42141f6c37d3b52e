"""Everything the sandbox holds while it runs, and its memory over a restart."""

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2

from sandbox.telegram.error import unauthorized
from sandbox.telegram.event import Broadcast
from sandbox.telegram.fault import Faults
from sandbox.telegram.file import FileStore
from sandbox.telegram.journal import Journal
from sandbox.telegram.model import Bot, State
from sandbox.telegram.settings import TelegramSettings
from sandbox.telegram.update import Inbox
from sandbox.telegram.webhook import WebhookSender

TOKEN = re.compile(r"([1-9]\d{0,18}):(\S+)", re.ASCII)
SAVE_PAUSE_S = 0.1
"""How long changes are gathered before they are written."""


class TelegramServer:
    """Holds the state and the moving parts; enter it before the first call."""

    def __init__(self, settings: TelegramSettings) -> None:
        self.settings = settings
        self.state = _loaded(settings.state_path)
        folder = settings.state_path / "files" if settings.state_path else None
        self.files = FileStore(self.state.files, folder=folder)
        self.events = Broadcast()
        self.faults = Faults()
        self.journal = Journal()
        self.client = httpx2.AsyncClient(follow_redirects=True, trust_env=False)
        self._inboxes: dict[int, Inbox] = {}
        self._senders: dict[int, WebhookSender] = {}
        self._timers: set[asyncio.TimerHandle] = set()
        self._dirty = asyncio.Event()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start delivering to webhooks and writing the state down."""
        await self._stack.enter_async_context(self.client)
        if self.settings.token:
            self.bot(self.settings.token)
        for bot in self.state.bots.values():
            await self.sender(bot).restart()
        if self.settings.state_path:
            saver = asyncio.create_task(self._save_forever(), name="state of the sandbox")
            self._stack.callback(saver.cancel)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop what runs and write the state a last time."""
        self.stop()
        for sender in self._senders.values():
            await sender.stop()
        await self._stack.aclose()
        self._save()

    def stop(self) -> None:
        """End long polls and event streams, so that a server can close its connections."""
        self.events.close()
        self._forget_timers()
        for inbox in self._inboxes.values():
            inbox.close()

    def bot(self, token: str) -> Bot:
        """Return the bot of a token, made on first use; raise a 401 for a malformed one."""
        if token in self.state.bots:
            return self.state.bots[token]
        match = TOKEN.fullmatch(token)
        if not match or any(bot.id == int(match[1]) for bot in self.state.bots.values()):
            raise unauthorized()
        self.state.bots[token] = self._new_bot(token, number=int(match[1]))
        self.changed()
        return self.state.bots[token]

    def latest_bot(self) -> Bot | None:
        """Return the bot that said hello last, the one people talk to by default."""
        bots = self.state.bots.values()
        return max(bots, key=lambda bot: bot.last_seen, default=None)

    def bot_by_id(self, number: int) -> Bot | None:
        """Return the bot with an id."""
        return next((bot for bot in self.state.bots.values() if bot.id == number), None)

    def inbox(self, bot: Bot) -> Inbox:
        """Return the bot's queue of updates."""
        if bot.id not in self._inboxes:
            self._inboxes[bot.id] = Inbox(bot, changed=self.changed)
        return self._inboxes[bot.id]

    def sender(self, bot: Bot) -> WebhookSender:
        """Return what delivers to the bot's webhook."""
        if bot.id not in self._senders:
            inbox = self.inbox(bot)
            self._senders[bot.id] = WebhookSender(inbox, client=self.client, settings=self.settings)
        return self._senders[bot.id]

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something after a while, at once if there is none; a stop and a reset forget it."""
        if seconds <= 0:
            action()
            return

        def act() -> None:
            self._timers.discard(timer)
            action()

        timer = asyncio.get_running_loop().call_later(seconds, act)
        self._timers.add(timer)

    def changed(self) -> None:
        """Have the state written soon."""
        self._dirty.set()

    def reset(self) -> None:
        """Forget users, chats, files, calls and faults; the bots stay, with what they set up."""
        self._forget_timers()
        self.state.users.clear()
        self.state.groups.clear()
        for bot in self.state.bots.values():
            bot.forget()
        self.files.clear()
        self.faults.remove()
        self.journal.clear()
        self.events.publish_everywhere("reset")
        self.changed()

    def _forget_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _new_bot(self, token: str, *, number: int) -> Bot:
        name = self.settings.bot_username
        username = f"{name.removesuffix('_bot')}_{number}_bot" if self.state.bots else name
        return Bot(
            id=number,
            token=token,
            first_name=self.settings.bot_name,
            username=username,
            last_seen=time.time(),
        )

    async def _save_forever(self) -> None:
        while True:
            await self._dirty.wait()
            self._save()
            await asyncio.sleep(SAVE_PAUSE_S)

    def _save(self) -> None:
        self._dirty.clear()
        if self.settings.state_path:
            draft = self.settings.state_path / "state.json.new"
            draft.write_text(self.state.model_dump_json())
            draft.replace(self.settings.state_path / "state.json")


def _loaded(folder: Path | None) -> State:
    path = folder / "state.json" if folder else None
    return State.model_validate_json(path.read_bytes()) if path and path.exists() else State()
