"""Every way in which KIE goes wrong, one user for each: the right end, told once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.person import Person
from tests.e2e.program import until
from tests.e2e.stack import Shape, Stack

SHAPE = Shape(
    time_scale=0.03,
    service={
        "KIE_CREATE_LIMIT": "1000",
        "KIE_READ_LIMIT": "1000",
        "MODEL_REST_S": "86400",  # what is off stays so to the end of the module
    },
    sandbox={
        "SANDBOX_KIE_DURATION_S": "0.3",
        "SANDBOX_KIE_VISIBLE_AFTER_S": "0.1",
        "SANDBOX_KIE_CREATE_LIMIT": "1000",
        "SANDBOX_KIE_READ_LIMIT": "1000",
        "SANDBOX_KIE_CALLBACK_RETRY_DELAY_S": "0.2",
    },
)
MAX_WAIT_S = 60
Faults = dict[str, dict[str, Any]]
ONCE: dict[str, Any] = {"remaining": 1}
HTML_FOR_LONG: dict[str, Any] = {"remaining": 1, "variant": "html", "seconds": 6}
FOREIGN: dict[str, Any] = {"remaining": 1, "variant": "foreign"}
GONE = "result_unavailable"
SILENT: dict[str, Any] = {"remaining": 1, "seconds": 0.3}


@dataclass(frozen=True)
class Case:
    """What goes wrong, and how the job has to end."""

    name: str
    faults: Faults
    failure: str = ""
    """The reason of the failure; empty for a picture."""
    creates: int = 1
    """The tasks that KIE makes of it."""

    @property
    def prompt(self) -> str:
        return f"<{self.name}>"


CASES = (
    Case("no fault", {}),
    Case("hang", {"hang": SILENT}),
    Case("429 in the body", {"create_429": {"remaining": 2}}),
    Case("429 as the status", {"create_429": {"remaining": 2, "status": 429}}),
    Case("5xx", {"create_5xx": ONCE}),
    Case("500 in the body", {"create_5xx": {"remaining": 1, "status": 200}}),
    Case("maintenance", {"maintenance": {"remaining": 2}}),
    Case("unauthorized", {"unauthorized": ONCE}),
    Case("no credits", {"no_credits": ONCE}),
    Case("no credits as 500", {"no_credits": {"remaining": 1, "code": 500}}),
    Case("created, no answer", {"create_no_answer": SILENT}),
    Case("created, answer cut", {"create_cut": ONCE}),
    Case("created, silent for ever", {"create_no_answer": SILENT, "no_callback": ONCE}, creates=2),
    Case("callback before the answer", {"callback_before_answer": ONCE}),
    Case("no callback", {"no_callback": ONCE}),
    Case("callback twice", {"callback_twice": ONCE}),
    Case("callback late", {"callback_late": {"remaining": 1, "seconds": 4}}),
    Case("forged success", {"callback_forged": ONCE}),
    Case("forged failure", {"callback_forged": {"remaining": 1, "variant": "fail"}}),
    Case("truncated", {"callback_malformed": ONCE}),
    Case("empty", {"callback_malformed": {"remaining": 1, "variant": "empty"}}),
    Case("array", {"callback_malformed": {"remaining": 1, "variant": "array"}}),
    Case("binary", {"callback_malformed": {"remaining": 1, "variant": "binary"}}),
    Case("runway's shape", {"callback_wrong_family": ONCE}),
    Case("suno's shape", {"callback_wrong_family": {"remaining": 1, "variant": "suno"}}),
    Case("waiting for ever", {"waiting_forever": ONCE}, "finish_deadline"),
    Case("task lost", {"task_lost": ONCE}, "provider_lost_job"),
    Case("task dead", {"task_dead": ONCE}, "generation_failed"),
    Case("unknown state", {"unknown_state": ONCE, "no_callback": ONCE}),
    Case("generation failed", {"generation_failed": ONCE}, "generation_failed"),
    Case("content refused", {"content_refused": ONCE}, "content_refused"),
    Case("dead link", {"dead_result_link": ONCE}),
    *(
        Case(f"{variant} for a result", {"bad_result": {"remaining": 1, "variant": variant}})
        for variant in ("empty", "status", "loop", "cut", "html")
    ),
    Case("dead, no fresh link", {"dead_result_link": ONCE, "bad_fresh_link": ONCE}, GONE),
    Case("page, foreign fresh link", {"bad_result": HTML_FOR_LONG, "bad_fresh_link": FOREIGN}),
    Case("an extra dead link", {"extra_link": ONCE}),
    Case("result in response", {"result_place": ONCE}),
    Case("result encoded twice", {"result_place": {"remaining": 1, "variant": "twice"}}),
    Case("no result", {"result_place": {"remaining": 1, "variant": "missing"}}, GONE),
    Case("503 of KIE's own", {"create_unavailable": ONCE}),
    Case("numeric id", {"numeric_id": ONCE, "no_callback": ONCE}),
    Case("long answer", {"long_answer": ONCE, "no_callback": ONCE}),
    Case("packed answer", {"packed_answer": ONCE}),
    Case("packed read", {"read_packed": ONCE, "no_callback": ONCE}),
    Case("slow download", {"slow_download": {"remaining": 1, "seconds": 2}}),
    Case("429 for reads", {"no_callback": ONCE, "read_429": {"remaining": 3}}),
    Case("5xx for reads", {"no_callback": ONCE, "read_5xx": {"remaining": 3}}),
    Case("reads hang", {"no_callback": ONCE, "read_hang": {"remaining": 2, "seconds": 0.2}}),
)
each_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
Crowd = dict[str, Person]


@pytest.fixture(scope="module")
async def crowd(running: Stack) -> Crowd:
    """A person for each case, all of whom have asked."""
    people = {case.name: await running.telegram.person() for case in CASES}
    for case in CASES:
        for name, options in case.faults.items():
            await running.kie.fault(name, match=case.prompt, **options)
    await asyncio.gather(*(people[case.name].asks_for(case.prompt) for case in CASES))
    return people


@each_case
async def test_the_job_ends_as_it_should(running: Stack, crowd: Crowd, case: Case) -> None:
    job_id = await running.history.job_of(case.prompt)
    job = await running.history.settled(job_id, within_s=MAX_WAIT_S)
    story = await running.history.kinds(job_id)
    assert ((job["failure"] or {}).get("reason", "")) == case.failure, story
    assert len(await running.kie.tasks(case.prompt)) == case.creates, story


@each_case
async def test_the_user_is_told_once(running: Stack, crowd: Crowd, case: Case) -> None:
    await _nothing_is_left_to_do(running)
    person = crowd[case.name]
    told = (len(await person.pictures()), len(await person.failures()))
    assert told == ((0, 1) if case.failure else (1, 0))


async def test_a_model_that_is_off_is_not_asked_for_again_and_again(
    running: Stack, crowd: Crowd
) -> None:
    """The last one to ask: it hides the model from all."""
    await _nothing_is_left_to_do(running)
    first, second = [await running.telegram.person() for _ in range(2)]
    await running.kie.fault("model_off", match="<off>")
    await first.asks_for("<off> 1")
    job_id = await running.history.job_of("<off> 1")
    job = await running.history.settled(job_id, within_s=MAX_WAIT_S)
    assert job["failure"]["reason"] == "model_unavailable"
    before = (await running.kie.counters())["create_requests"]
    await second.asks_for("<off> 2")

    await second.reads("switched this model off")
    assert (await running.kie.counters())["create_requests"] == before


async def test_the_gateway_has_answered_nothing_but_200(running: Stack, crowd: Crowd) -> None:
    assert {each["status"] for each in await running.kie.callbacks()} == {200}


async def _nothing_is_left_to_do(running: Stack) -> None:
    """Wait until every job is over, everything is sent, and the last callback has come."""
    query = (
        "SELECT (SELECT count(*) FROM job WHERE state IN ('queued', 'running'))"
        " + (SELECT count(*) FROM delivery WHERE state IN ('pending', 'leased', 'begun'))"
    )
    late = await running.history.job_of("<callback late>")

    async def is_quiet() -> bool:
        has_come = "callback_late" in await running.history.kinds(late)
        return has_come and await running.history.value(query) == 0

    await until(is_quiet, within_s=MAX_WAIT_S, what="the end of all work")
