"""Who blocks the bot while it draws and lets it in again gets the picture."""

from __future__ import annotations

from tests.e2e.person import Person
from tests.e2e.program import until
from tests.e2e.stack import Shape, Stack

SHAPE = Shape(sandbox={"SANDBOX_KIE_DURATION_S": "1.5", "SANDBOX_KIE_VISIBLE_AFTER_S": "0.1"})


async def test_blocked_while_drawing_and_unblocked_the_picture_is_offered(running: Stack) -> None:
    person = await running.telegram.person()
    await person.asks_for("drawn for nobody")
    job_id = await running.history.job_of("drawn for nobody")
    await _knows(person, "block")
    query = (
        "SELECT count(*) FROM delivery"
        " WHERE job_id = %(id)s AND kind = 'outcome' AND state = 'impossible'"
    )

    async def is_impossible() -> bool:
        return bool(await running.history.value(query, id=job_id) == 1)

    await until(is_impossible, within_s=30, what="a delivery that is impossible")
    assert await person.pictures() == []
    await _knows(person, "unblock")
    await person.reads("1 picture is waiting for you")
    await person.presses("🖼 Send now")
    assert "drawn for nobody" in (await person.gets_picture())["caption"]
    await person.reads("Done")
    assert len(await running.kie.creations("drawn for nobody")) == 1


async def _knows(person: Person, what: str) -> None:
    await person.telegram.send("POST", f"/sandbox/chats/{person.number}/{what}")
