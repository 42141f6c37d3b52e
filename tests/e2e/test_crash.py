"""Kill -9 at the instructions where it hurts most (invariant 7)."""

from __future__ import annotations

import asyncio
from functools import partial

from tests.e2e.person import Person
from tests.e2e.program import until
from tests.e2e.stack import Shape, Stack

SHAPE = Shape(time_scale=0.2)
FOR_EVER_S = 60


async def test_a_callback_finds_its_job_though_the_answer_was_never_committed(
    running: Stack,
) -> None:
    prompt = "answered and never committed"
    await running.kie.fault("callback_late", match=prompt, seconds=6)
    async with running.history.holding("attempt", event="UPDATE", when="NEW.state = 'accepted'"):
        job = await running.create(prompt)
        await running.history.caught()
        running.service.kill()
        await running.history.drop_caught()
    assert (await running.history.job(job.id))["state"] == "queued"
    running.service.start()
    await running.service.ready()
    assert (await running.history.settled(job.id))["state"] == "succeeded"
    assert len(await running.kie.creations(prompt)) == 1
    assert await running.counted("atelier_callbacks_total", outcome="applied") == 1
    assert "poll" not in await running.history.kinds(job.id)


async def test_a_result_whose_sending_was_not_reported_is_put_into_the_progress_message(
    running: Stack,
) -> None:
    person = await running.telegram.person()
    await running.telegram.fault(
        "answer_lost", method="sendPhoto", chat_id=person.number, times=1, seconds=FOR_EVER_S
    )
    await person.asks_for("sent and not reported")
    await _called(person, "sendPhoto")
    progress = (await person.heard())[0]["message_id"]
    await _kill_edge(running)

    def is_picture(message: dict[str, object]) -> bool:
        return message["message_id"] == progress and "photo" in message

    await person.sees("the picture in the progress message", is_picture)
    await _delivered(running, "sent and not reported")
    assert len(await person.calls("sendPhoto")) == 1
    assert len(await person.calls("editMessageMedia")) == 1


async def test_a_result_that_was_leased_and_not_begun_is_sent_once_as_a_new_message(
    running: Stack,
) -> None:
    person = await running.telegram.person()
    is_outcome = "NEW.state = 'begun' AND NEW.kind = 'outcome'"
    async with running.history.holding("delivery", event="UPDATE", when=is_outcome):
        await person.asks_for("leased and not begun")
        await running.history.caught()
        running.edge.kill()
        await running.history.drop_caught()
    assert await person.calls("sendPhoto") == []
    await _kill_edge(running)
    await person.gets_picture()
    await _delivered(running, "leased and not begun")
    assert len(await person.calls("sendPhoto")) == 1
    assert await person.calls("editMessageMedia") == []


async def test_a_press_whose_handling_was_killed_before_the_job_is_not_lost(
    running: Stack,
) -> None:
    person = await running.telegram.person()
    await person.says("killed before the job")
    await running.telegram.fault("timeout", method="editMessageText", times=1, seconds=FOR_EVER_S)
    await person.presses("✨ Generate")
    await until(partial(_is_stuck, running), within_s=20, what="an edit that is stuck")
    await _kill_edge(running)
    await person.gets_picture()
    assert len(await running.kie.creations("killed before the job")) == 1


async def test_a_press_whose_handling_was_killed_after_the_job_makes_no_second_one(
    running: Stack,
) -> None:
    person = await running.telegram.person()
    await person.says("killed after the job")
    await person.reads("Shall I draw it?")
    has_job = "convert_from(NEW.data, 'UTF8') LIKE '%\"job_id\"%'"
    async with running.history.holding("session", event="UPDATE", when=has_job):
        await person.presses("✨ Generate")
        await running.history.caught()
        running.edge.kill()
        await running.history.drop_caught()
    await _kill_edge(running)
    await person.gets_picture()
    await _delivered(running, "killed after the job")
    assert len(await running.kie.creations("killed after the job")) == 1
    assert len(await person.pictures()) == 1


async def test_work_goes_on_whatever_is_killed(running: Stack) -> None:
    people = [await running.telegram.person() for _ in range(6)]
    await asyncio.gather(*(each.asks_for(f"killed {each.number}") for each in people))
    for each in running.programs:
        each.kill()
        each.start()
    await asyncio.gather(*(each.ready() for each in running.programs))
    await running.history.run_out_leases()
    for person in people:
        await person.gets_picture(within_s=60)
        job = await running.history.job(await running.history.job_of(f"killed {person.number}"))
        assert job["state"] == "succeeded"
        assert len(await running.kie.creations(f"killed {person.number}")) == 1


async def _kill_edge(running: Stack) -> None:
    """Kill the edge, start it, and let what it had leased run out."""
    running.edge.kill()
    running.edge.start()
    await running.edge.ready()
    await running.history.run_out_leases()


async def _is_stuck(running: Stack) -> bool:
    calls = await running.telegram.calls("editMessageText")
    return any(call["fault"] == "timeout" for call in calls)


async def _called(person: Person, method: str) -> None:
    async def has_come() -> bool:
        return bool(await person.calls(method))

    await until(has_come, within_s=30, what=f"a call of {method}")


async def _delivered(running: Stack, prompt: str) -> None:
    job_id = await running.history.job_of(prompt)
    query = "SELECT state FROM delivery WHERE job_id = %(id)s AND kind = 'outcome'"

    async def is_sent() -> bool:
        return bool(await running.history.value(query, id=job_id) == "sent")

    await until(is_sent, within_s=20, what="the report of the delivery")
