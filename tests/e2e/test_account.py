"""Two accounts at KIE do twice as much, and one that is revoked takes no job with it."""

from __future__ import annotations

import json
from collections import Counter

from tests.chaos.traffic import densest
from tests.e2e.program import until
from tests.e2e.stack import KIE_KEY, Shape, Stack

KEYS = {"one": KIE_KEY, "two": f"{KIE_KEY}-too"}
LIMIT = 6
"""What KIE takes of an account in ten seconds, and what the service is told that it takes."""
WINDOW_S = 10.0
SHAPE = Shape(
    time_scale=0.25,
    service={
        "KIE_API_KEY": "",
        "KIE_API_KEYS": ",".join(f"{name}:{key}" for name, key in KEYS.items()),
        "KIE_CREATE_LIMIT": str(LIMIT),
    },
    sandbox={
        "SANDBOX_KIE_API_KEY": "",
        "SANDBOX_KIE_API_KEYS": json.dumps(KEYS),
        "SANDBOX_KIE_CREATE_LIMIT": str(LIMIT),
        "SANDBOX_KIE_DURATION_S": "2.5",
        "SANDBOX_KIE_VISIBLE_AFTER_S": "0.05",
    },
)


async def test_an_account_that_is_revoked_leaves_its_jobs_to_the_other(running: Stack) -> None:
    jobs = [await running.create(f"two accounts {n}") for n in range(3 * LIMIT)]

    async def is_full() -> bool:
        return all(each["creates"] == LIMIT for each in (await running.kie.accounts()).values())

    await until(is_full, within_s=30, what="a full window on both accounts")
    assert (await running.kie.accounts())["one"]["running"] > 0
    await running.kie.change_account("one", is_revoked=True)

    for job in jobs:
        settled = await running.history.settled(job.id, within_s=60)
        assert settled["state"] == "succeeded", settled["failure"]

    made = Counter(task["account"] for task in await running.kie.tasks())
    assert made == {"one": LIMIT, "two": 2 * LIMIT}
    calls = await _creations(running)
    assert densest(sorted(calls["one"] + calls["two"]), window_s=WINDOW_S) >= 2 * LIMIT
    for moments in calls.values():
        assert densest(moments, window_s=WINDOW_S) <= LIMIT
    assert (await running.kie.counters())["create_refusals"] == {}, "KIE itself had to say no"
    assert await _accounts(running, "attempt WHERE state = 'refused'") <= {"one"}
    opened = await running.history.rows("SELECT name FROM account_breaker WHERE reason <> ''")
    assert [row["name"] for row in opened] == ["kie/one"]
    assert await running.history.rows("SELECT FROM job_event WHERE kind = 'delayed'") == []


async def test_what_ran_on_a_revoked_account_is_read_when_it_is_back(running: Stack) -> None:
    await running.kie.change_account("one", is_revoked=False)
    await running.kie.fault("no_callback", match="unheard")
    number = 0

    async def runs_on_one() -> str | None:
        nonlocal number
        job, number = await running.create(f"unheard {number}"), number + 1
        await _creations_of(running, f"unheard {number - 1}")
        (task,) = await running.kie.tasks(f"unheard {number - 1}")
        return job.id if task["account"] == "one" else None

    job_id = await until(runs_on_one, within_s=60, what="a job on the account that is back")
    await running.kie.change_account("one", is_revoked=True)
    before = len(await _reads(running))

    async def was_read_in_vain() -> bool:
        return len(await _reads(running)) >= before + 3

    await until(was_read_in_vain, within_s=60, what="three reads that were refused")
    assert (await running.history.job(job_id))["state"] == "running"

    await running.kie.change_account("one", is_revoked=False)
    settled = await running.history.settled(job_id, within_s=60)
    assert settled["state"] == "succeeded", settled["failure"]


async def _creations(running: Stack) -> dict[str, list[float]]:
    """Return when createTask was called on each account, whatever was answered."""
    moments: dict[str, list[float]] = {name: [] for name in KEYS}
    for each in await running.kie.requests():
        if each["path"] == "/api/v1/jobs/createTask":
            key = each["headers"]["authorization"].removeprefix("Bearer ")
            moments[next(name for name in KEYS if KEYS[name] == key)].append(each["at"])
    return moments


async def _creations_of(running: Stack, prompt: str) -> None:
    async def is_there() -> bool:
        return bool(await running.kie.tasks(prompt))

    await until(is_there, within_s=30, what=f"a task for {prompt!r}")


async def _reads(running: Stack) -> list[float]:
    key = f"Bearer {KEYS['one']}"
    return [
        each["at"]
        for each in await running.kie.requests()
        if each["path"] == "/api/v1/jobs/recordInfo" and each["headers"]["authorization"] == key
    ]


async def _accounts(running: Stack, rows: str) -> set[str]:
    """Return the accounts that rows of a table name."""
    return {row["account"] for row in await running.history.rows(f"SELECT account FROM {rows}")}
