"""The fourth door: updates of any shape, to an edge that polls and to one that has a webhook."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tests.e2e.person import photo
from tests.e2e.program import Program, answers, until
from tests.e2e.stack import BOT_ID, Stack
from tests.fuzz.access import HOOKED_ID, HOOKED_TOKEN
from tests.fuzz.door import Tally
from tests.fuzz.known import Known
from tests.fuzz.odd import Odd
from tests.fuzz.update import Chats, Updates
from tests.port import free_address

MOST_USERS = 300
BATCH = 100
MOST_LIVE = 200
STUCK_S = 120.0
"""How long no update may be taken."""


def hooked_edge(polling: Program, folder: Path) -> Program:
    """Return an edge for another bot, to which Telegram posts."""
    listen = free_address()
    env = polling.env | {
        "EDGE_LISTEN": listen,
        "METRICS_LISTEN": (metrics := free_address()),
        "TELEGRAM_BOT_TOKEN": HOOKED_TOKEN,
        "TELEGRAM_WEBHOOK_URL": f"http://{listen}",
    }
    return Program(
        name="edge_bot-hooked",
        module="edge_bot",
        folder=folder / "edge_bot-hooked",
        env=env,
        is_ready=partial(answers, f"http://{listen}/readyz"),
        metrics_address=metrics,
    )


async def storm(stack: Stack, known: Known, seed: str, *, inputs: int) -> Tally:
    """Queue updates for both bots; return what came of them."""
    tally, start = Tally("Telegram"), time.monotonic()
    chats = await _chats(stack, users=min(MOST_USERS, 2 + inputs // 10))
    async with asyncio.TaskGroup() as group:
        for bot_id in (BOT_ID, HOOKED_ID):
            storm = _Storm(stack, tally, chats, bot_id=bot_id)
            updates = Updates(Odd(f"{seed} {bot_id}"), known, storm.chats)
            group.create_task(storm.send(updates, count=inputs // 2))
    for edge in stack.edges:
        for outcome in ("handled", "passed_over", "timed_out"):
            count = await edge.metric("atelier_edge_updates_total", outcome=outcome)
            tally.answers[outcome] += int(count)
    tally.seconds = time.monotonic() - start
    return tally


class _Storm:
    """What one bot gets."""

    def __init__(self, stack: Stack, tally: Tally, chats: Chats, *, bot_id: int) -> None:
        self._stack, self._tally, self._bot_id = stack, tally, bot_id
        self._path = f"/sandbox/updates?bot={bot_id}"
        self.chats = replace(chats, live=[])

    async def send(self, updates: Updates, *, count: int) -> None:
        """Queue updates in batches, each when the one before is nearly taken."""
        for left in range(count, 0, -BATCH):
            batch = [updates.draw() for _ in range(min(BATCH, left))]
            await self._stack.telegram.send("POST", self._path, json=batch)
            self._tally.inputs += len(batch)
            if not await _taken(self._stack, self._path, down_to=BATCH // 2):
                self._tally.find(f"bot {self._bot_id} takes no updates any more")
                return
            await self._look(updates.some_users())
        if not await _taken(self._stack, self._path, down_to=0):
            self._tally.find(f"bot {self._bot_id} does not take its last updates")

    async def _look(self, users: list[int]) -> None:
        """Learn what buttons some users see."""
        for number in users:
            path = f"/sandbox/chats/{number}/messages?bot={self._bot_id}"
            for message in (await self._stack.telegram.send("GET", path))["messages"][-3:]:
                for data in _buttons(message):
                    self.chats.live.append((number, message["message_id"], data))
        del self.chats.live[:-MOST_LIVE]


async def _taken(stack: Stack, path: str, *, down_to: int) -> bool:
    """Wait while updates are taken; False if they are not."""
    least, since = 10**9, time.monotonic()
    while time.monotonic() - since < STUCK_S:
        waiting = (await stack.telegram.send("GET", path))["waiting"]
        if waiting <= down_to:
            return True
        if waiting < least:
            least, since = waiting, time.monotonic()
        await asyncio.sleep(0.05)
    return False


async def _chats(stack: Stack, *, users: int) -> Chats:
    """Let users have chats with both bots, and some begin, so that there are buttons and files."""
    people = [await stack.telegram.person(language_code="en") for _ in range(users)]
    for person in people:
        for bot_id in (BOT_ID, HOOKED_ID):
            await stack.telegram.send("GET", f"/sandbox/chats/{person.number}?bot={bot_id}")
    for person, bot_id in zip(people[:2], (BOT_ID, HOOKED_ID), strict=False):
        await person.telegram.send(
            "POST", f"/sandbox/chats/{person.number}/messages?bot={bot_id}", data={"text": "/start"}
        )
    first = people[0]
    sent = await stack.telegram.send(
        "POST",
        f"/sandbox/chats/{first.number}/messages?bot={BOT_ID}",
        files={"photo": ("photo.png", photo(64, 64), "image/png")},
    )

    async def buttons() -> list[str]:
        shown = (await stack.telegram.send("GET", "/sandbox/messages"))["chats"]
        keyboards = [
            data for chat in shown for message in chat["messages"] for data in _buttons(message)
        ]
        return keyboards if len({each["bot_id"] for each in shown if each["messages"]}) > 1 else []

    found = await until(buttons, within_s=30, what="buttons of both bots")
    files = [size["file_id"] for size in sent.get("photo", [])]
    return Chats([each.number for each in people], found, files)


def _buttons(message: Any) -> list[str]:
    rows = message.get("reply_markup", {}).get("inline_keyboard", [])
    return [each.get("callback_data", "") for row in rows for each in row]
