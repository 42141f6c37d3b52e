"""A call counts when it is taken and when it arrives: one that came late in between is not made."""

from generation_svc.domain.job import JobState
from generation_svc.lifecycle.budget import SLACK
from generation_svc.lifecycle.dispatch import dispatch
from tests.lifecycle import Bench


async def test_a_call_whose_attempt_was_written_too_late_is_not_made(bench: Bench) -> None:
    job = await bench.accept()
    await bench.query(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN PERFORM pg_sleep({SLACK['create'].total_seconds()}); RETURN NEW; END $$"
    )
    await bench.query(
        "CREATE TRIGGER slow BEFORE INSERT ON attempt FOR EACH ROW EXECUTE FUNCTION slow()"
    )
    assert await dispatch(bench.context)
    assert bench.provider.created == []
    assert (await bench.events(job))[-1] == "postponed"
    assert [each["state"] for each in await bench.attempts(job)] == ["refused"]

    await bench.query("DROP FUNCTION slow CASCADE")
    await bench.dispatch_all()
    assert len(bench.provider.created) == 1
    assert (await bench.job(job)).state is JobState.RUNNING
