"""What is left to see once everything is quiet: rows, journals, chats, samples."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.chaos.customer import FIRST_ID
from tests.chaos.ledger import Ledger
from tests.chaos.money import Money, gather_money
from tests.chaos.rest import Rest
from tests.chaos.star import Stars
from tests.chaos.star_view import gather_stars
from tests.chaos.traffic import Traffic
from tests.e2e.history import History
from tests.e2e.stack import Stack

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """A job's row."""

    id: str
    prompt: str
    state: str
    revision: int
    destination: str = ""
    """`telegram`, `queue` or nothing."""
    create_time: datetime
    update_time: datetime
    failure: str = ""


@dataclass(frozen=True, kw_only=True)
class EventRecord:
    """An event's row."""

    kind: str
    state: str
    revision: int | None = None
    time: datetime | None = None
    detail: Json = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AttemptRecord:
    """An attempt's row; its token is known by its hash alone."""

    job_id: str
    number: int
    state: str
    token_hash: str


@dataclass(frozen=True, kw_only=True)
class DeliveryRecord:
    """The row of a delivery that brings an outcome."""

    job_id: str
    state: str
    is_edit: bool = False
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Creation:
    """A createTask as KIE received it."""

    prompt: str
    token_hash: str


@dataclass(frozen=True, kw_only=True)
class Chat:
    """What a person has been sent about a job."""

    new_outcomes: int
    """Messages that were an outcome when they were sent."""
    edited_outcomes: int
    """Messages that became one."""


@dataclass(kw_only=True)
class Evidence:
    """Everything that the check looks at."""

    ledger: Ledger
    traffic: Traffic
    jobs: list[JobRecord]
    events: dict[str, list[EventRecord]]
    """By the job's id, in their order."""
    attempts: list[AttemptRecord]
    deliveries: list[DeliveryRecord]
    creations: list[Creation]
    task_prompts: list[str]
    """The prompt of each task that KIE made."""
    callback_statuses: dict[str, int]
    chats: dict[int, Chat]
    """By the number of the order."""
    answered: set[int]
    """The orders of which a press was answered."""
    money: Money = field(default_factory=Money)
    stars: Stars = field(default_factory=Stars)
    before: Rest = field(default_factory=Rest)
    after: Rest = field(default_factory=Rest)
    fallen: list[str] = field(default_factory=list)
    """Processes that ended by themselves."""
    done: Counter[str] = field(default_factory=Counter)
    """How often what was done to the system."""
    laps: dict[str, float] = field(default_factory=dict)
    """How long each part of the run took."""


async def gather(stack: Stack, ledger: Ledger, *, traffic: Traffic) -> Evidence:
    """Read everything from the outside."""
    history = stack.history
    return Evidence(
        ledger=ledger,
        traffic=traffic,
        jobs=await _jobs(history),
        events=await _events(history),
        attempts=await _attempts(history),
        deliveries=await _deliveries(history),
        creations=list(_creations(await stack.kie.requests())),
        task_prompts=[prompt_of(each) for each in await stack.kie.tasks()],
        callback_statuses=(await stack.kie.counters())["callback_statuses"],
        chats=await _chats(stack, ledger),
        answered=await _answered(stack, ledger),
        money=await gather_money(stack),
        stars=await gather_stars(stack),
    )


def prompt_of(task: Json) -> str:
    """Return the prompt of a task as KIE's record shows it."""
    return str(json.loads(json.loads(task["param"])["input"]).get("prompt", ""))


async def _jobs(history: History) -> list[JobRecord]:
    rows = await history.rows(
        "SELECT id::text, inputs->>'prompt' AS prompt, state, revision, create_time, update_time,"
        " CASE WHEN destination IS NULL THEN '' WHEN destination ? 'chat_id' THEN 'telegram'"
        " ELSE 'queue' END AS destination, coalesce(failure->>'reason', '') AS failure FROM job"
    )
    return [JobRecord(**row) for row in rows]


async def _events(history: History) -> dict[str, list[EventRecord]]:
    rows = await history.rows(
        "SELECT job_id::text, kind, state, revision, time, detail FROM job_event ORDER BY id"
    )
    found: dict[str, list[EventRecord]] = {}
    for row in rows:
        found.setdefault(row.pop("job_id"), []).append(EventRecord(**row))
    return found


async def _attempts(history: History) -> list[AttemptRecord]:
    rows = await history.rows(
        "SELECT job_id::text, number, state, encode(token_hash, 'hex') AS token_hash FROM attempt"
    )
    return [AttemptRecord(**row) for row in rows]


async def _deliveries(history: History) -> list[DeliveryRecord]:
    rows = await history.rows(
        "SELECT job_id::text, state, coalesce((report->>'is_edit')::boolean, false) AS is_edit,"
        " coalesce(report->>'reason', '') AS reason FROM delivery WHERE kind = 'outcome'"
    )
    return [DeliveryRecord(**row) for row in rows]


def _creations(requests: list[Json]) -> Iterator[Creation]:
    """Give the orders that KIE received; one that was cut off on the proxy is none."""
    for request in requests:
        with suppress(json.JSONDecodeError):
            if request["path"].endswith("/createTask"):
                yield _creation(json.loads(request["body"]))


def _creation(body: Json) -> Creation:
    token = body["callBackUrl"].rpartition("/")[2]
    token_hash = hashlib.sha256(token.encode()).hexdigest()
    return Creation(prompt=body["input"]["prompt"], token_hash=token_hash)


async def _chats(stack: Stack, ledger: Ledger) -> dict[int, Chat]:
    shown = await stack.telegram.send("GET", "/sandbox/messages")
    chats = {each["chat_id"] - FIRST_ID: each["messages"] for each in shown["chats"]}
    return {
        number: _chat([each for each in messages if each["from"]["is_bot"]])
        for number, messages in chats.items()
        if number in ledger.orders
    }


def _chat(messages: list[Json]) -> Chat:
    firsts = [(each["history"][0]["content"] if each["history"] else each) for each in messages]
    were = [_is_outcome(first) for first in firsts]
    are = [_is_outcome(each) for each in messages]
    edited = sum(now and not then for now, then in zip(are, were, strict=True))
    return Chat(new_outcomes=sum(were), edited_outcomes=edited)


def _is_outcome(message: Json) -> bool:
    """Tell whether a message is a picture, or tells of a failure and offers another try."""
    rows = message.get("reply_markup", {}).get("inline_keyboard", [])
    labels = {button["text"] for row in rows for button in row}
    return "photo" in message or "document" in message or "🔁 Try again" in labels


async def _answered(stack: Stack, ledger: Ledger) -> set[int]:
    found = set()
    for number, presses in ledger.presses.items():
        shown = [
            await stack.telegram.send("GET", f"/sandbox/callbacks/{press}") for press in presses
        ]
        if any(each["answer"] is not None for each in shown):
            found.add(number)
    return found
