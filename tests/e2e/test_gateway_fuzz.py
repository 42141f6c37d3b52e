"""Thousands of odd requests at the gateway, with the real service behind it: all of them 200."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e.program import client, until
from tests.e2e.secret import callback_tokens
from tests.e2e.stack import Shape, Stack

REQUESTS = int(os.environ.get("E2E_FUZZ_REQUESTS", "300"))
"""How many requests are made; 2,000 take about 15 s."""
BATCH = 20
SHAPE = Shape(service={"KIE_READ_LIMIT": "1000"}, sandbox={"SANDBOX_KIE_READ_LIMIT": "1000"})

STATES = ("waiting", "success", "fail", "SUCCESS", "done", "", "paused")
scalar = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
tree = st.recursive(
    scalar,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
raw = st.binary(max_size=400) | st.integers(1, 2_000_000).map(lambda size: b"x" * size)
method = st.sampled_from(("POST",) * 6 + ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"))
header = st.sampled_from(
    (
        {},
        {"content-type": "application/json"},
        {"content-type": "text/plain; charset=utf-16"},
        {"content-encoding": "gzip"},
        {"x-webhook-timestamp": "1769670760", "x-webhook-signature": "bm9uZQ=="},
        {"x-webhook-timestamp": "NaN"},
    )
)


@dataclass(frozen=True)
class Odd:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Target:
    """What the requests are aimed at."""

    url: str
    task_ids: list[str]
    done_token: str
    """The token of a job that is over: even a body that comes with it changes nothing."""


@pytest.fixture(scope="module")
async def target(running: Stack) -> AsyncIterator[Target]:
    """Two jobs that run for ever, one that failed and one that succeeded; none may change."""
    await running.kie.fault("waiting_forever", match="run for ever")
    await running.kie.fault("generation_failed", match="failed")
    for prompt in ("succeeded", "failed"):
        await running.history.settled((await running.create(prompt)).id)
    tokens = callback_tokens(await running.kie.requests())
    done = next(iter(tokens))
    for number in range(2):
        await running.create(f"run for ever {number}")
    query = "SELECT count(*) FROM job WHERE state = 'running'"

    async def are_running() -> bool:
        return bool(await running.history.value(query) == 2)

    await until(are_running, within_s=20, what="two running jobs")
    tasks = [task["taskId"] for task in await running.kie.tasks()]
    before = await _jobs(running)
    yield Target(running.gateway_url, tasks, done)
    assert await _jobs(running) == before
    assert await running.counted("atelier_callbacks_total") > REQUESTS / 4
    assert await _complaints(running) == []


@given(data=st.data())
@settings(
    max_examples=REQUESTS // BATCH,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_request_is_answered_200(target: Target, data: st.DataObject) -> None:
    batch = data.draw(st.lists(_odd(target), min_size=BATCH, max_size=BATCH))
    asyncio.run(_all_are_answered(target, batch))


def _odd(target: Target) -> st.SearchStrategy[Odd]:
    segment = st.sampled_from(("", "/", "forged", target.done_token)) | st.text(max_size=200)
    path = st.lists(segment, max_size=3).map(_path)
    body = st.one_of(raw, tree.map(_json), _news(target).map(_json))
    return st.builds(Odd, method=method, path=path, headers=header, body=body)


def _news(target: Target) -> st.SearchStrategy[dict[str, Any]]:
    """Callbacks that speak of real tasks, with states and results that nobody promised."""
    data = st.fixed_dictionaries(
        {
            "taskId": st.sampled_from(target.task_ids),
            "state": st.sampled_from(STATES) | tree,
            "resultJson": tree | st.just('{"resultUrls":["https://forged.example/p.png"]}'),
            "failCode": scalar,
        }
    )
    return st.fixed_dictionaries({"code": st.sampled_from((200, 501, "200")) | tree, "data": data})


def _path(segments: list[str]) -> str:
    raw_path = "/".join(quote(each, safe="/", errors="replace") for each in segments)
    return f"/callbacks/kie/{raw_path}" if segments else "/callbacks/kie"


def _json(value: object) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


async def _all_are_answered(target: Target, batch: list[Odd]) -> None:
    async with client(target.url) as http:
        answers = await asyncio.gather(*(_ask(http, odd) for odd in batch))
    for odd, answer in zip(batch, answers, strict=True):
        assert answer.status_code == 200, odd
        assert odd.method == "HEAD" or answer.json() == {"code": 200, "msg": "success"}, odd


async def _ask(http: httpx2.AsyncClient, odd: Odd) -> httpx2.Response:
    return await http.request(odd.method, odd.path, headers=odd.headers, content=odd.body)


async def _jobs(running: Stack) -> list[Any]:
    query = "SELECT id, state, revision, result, failure, delay_reason FROM job ORDER BY id"
    return await running.history.rows(query)


async def _complaints(running: Stack) -> list[dict[str, Any]]:
    records = [record for each in running.programs for record in each.records]
    return [each for each in records if each["level"] in ("error", "critical", "raw")]
