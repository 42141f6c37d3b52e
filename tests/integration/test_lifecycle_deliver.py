import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from generation_svc.domain.caller import Caller
from generation_svc.domain.delivery import (
    LONGEST_PAUSE,
    Delivery,
    DeliveryKind,
    Impossible,
    Queue,
    SendingOutcome,
    Sent,
    Telegram,
    TryAgain,
    Unknown,
)
from generation_svc.domain.error import PauseTooLong, PermissionDenied, StaleLease
from generation_svc.domain.job import Job, JobState
from generation_svc.lifecycle import cancel, deliver
from generation_svc.lifecycle.dispatch import dispatch
from generation_svc.lifecycle.record import revise
from tests.lifecycle import CALLER, CHAT, FAILURE, SUCCESS, Bench, OpenBench

SPAN = timedelta(seconds=30)
NEW_MESSAGE, EDIT = Sent(2000, is_edit=False), Sent(1000, is_edit=True)
OUTCOME, PROGRESS = DeliveryKind.OUTCOME, DeliveryKind.PROGRESS


def wanted(
    *,
    bot_id: int | None = CHAT.bot_id,
    queue: str | None = None,
    limit: int = 10,
    caller: Caller = CALLER,
) -> deliver.Wanted:
    return deliver.Wanted(caller, bot_id=bot_id, queue=queue, limit=limit, span=SPAN)


async def lease(bench: Bench, **wishes: Any) -> Sequence[Delivery]:
    return await deliver.lease(bench.context, wanted(**wishes), wait=timedelta(0))


async def lease_one(bench: Bench, kind: DeliveryKind, **wishes: Any) -> Delivery:
    (delivery,) = await lease(bench, **wishes)
    assert delivery.kind is kind
    return delivery


async def running(bench: Bench) -> Job:
    """A job at the provider whose progress is due to be shown."""
    job = await bench.run()
    await bench.later(seconds=2)
    return job


async def report(bench: Bench, delivery: Delivery, outcome: SendingOutcome) -> None:
    await deliver.begin(bench.context, delivery.lease_token)
    await deliver.report(bench.context, delivery.lease_token, outcome=outcome)


async def succeeded(bench: Bench, **accepted: Any) -> Job:
    job = await bench.run(**accepted)
    await bench.callback(SUCCESS)
    await bench.fetch_all()
    return await bench.job(job)


async def state(bench: Bench, job: Job, kind: DeliveryKind) -> str:
    return str((await bench.deliveries(job))[kind]["state"])


async def test_an_outcome_is_sent_once(bench: Bench) -> None:
    job = await succeeded(bench)

    delivery = await lease_one(bench, OUTCOME)
    assert delivery.job == job
    assert delivery.destination == CHAT
    assert (delivery.try_number, delivery.maybe_sent) == (1, False)
    assert delivery.lease_expire_time > datetime.now(UTC)
    assert await lease(bench) == ()
    await report(bench, delivery, EDIT)

    assert await lease(bench) == ()
    await bench.later(days=2)
    assert await lease(bench) == ()
    (event,) = await bench.query("SELECT detail FROM job_event WHERE kind = 'delivery_sent'")
    assert event["detail"] == {"kind": "outcome", "try": 1, "message_id": 1000, "is_edit": True}
    assert "delivery_begun" in await bench.events(job)


async def test_a_lease_that_ran_out_before_begin_is_offered_again_as_new(bench: Bench) -> None:
    await succeeded(bench)
    first = await lease_one(bench, OUTCOME)
    await bench.later(seconds=31)
    with pytest.raises(StaleLease):
        await deliver.begin(bench.context, first.lease_token)

    second = await lease_one(bench, OUTCOME)

    assert (second.try_number, second.maybe_sent) == (2, False)
    with pytest.raises(StaleLease):
        await deliver.report(bench.context, first.lease_token, outcome=NEW_MESSAGE)
    await report(bench, second, NEW_MESSAGE)


async def test_a_lease_that_ran_out_after_begin_may_have_been_sent(bench: Bench) -> None:
    await succeeded(bench)
    first = await lease_one(bench, OUTCOME)
    await deliver.begin(bench.context, first.lease_token)
    await deliver.begin(bench.context, first.lease_token)  # its answer was lost
    await bench.later(seconds=31)

    second = await lease_one(bench, OUTCOME)
    await bench.later(seconds=31)
    third = await lease_one(bench, OUTCOME)

    assert second.maybe_sent
    assert third.maybe_sent  # for good


async def test_a_report_after_its_time_counts_while_nobody_else_has_the_lease(
    bench: Bench,
) -> None:
    job = await succeeded(bench)
    delivery = await lease_one(bench, OUTCOME)
    await deliver.begin(bench.context, delivery.lease_token)
    await bench.later(seconds=31)

    await deliver.report(bench.context, delivery.lease_token, outcome=EDIT)

    assert await state(bench, job, OUTCOME) == "sent"
    assert await lease(bench) == ()


async def test_tokens_that_are_used_up_or_unknown_are_refused(bench: Bench) -> None:
    await succeeded(bench)
    delivery = await lease_one(bench, OUTCOME)
    await report(bench, delivery, EDIT)

    with pytest.raises(StaleLease):
        await deliver.begin(bench.context, delivery.lease_token)
    for token in ("", "unknown"):
        with pytest.raises(StaleLease):
            await deliver.begin(bench.context, token)
        with pytest.raises(StaleLease):
            await deliver.report(bench.context, token, outcome=EDIT)


async def test_a_report_whose_answer_was_lost_may_come_again(bench: Bench) -> None:
    job = await succeeded(bench)
    delivery = await lease_one(bench, OUTCOME)
    await report(bench, delivery, EDIT)

    await deliver.report(bench.context, delivery.lease_token, outcome=Unknown())

    assert await state(bench, job, OUTCOME) == "sent"
    assert await lease(bench) == ()


async def test_an_unknown_sending_is_offered_again_and_says_so(bench: Bench) -> None:
    await succeeded(bench)
    await report(bench, await lease_one(bench, OUTCOME), Unknown())
    await bench.later(seconds=3)

    assert (await lease_one(bench, OUTCOME)).maybe_sent


@pytest.mark.parametrize("ahead", [timedelta(days=1, minutes=1), timedelta(days=365 * 7900)])
async def test_a_delivery_cannot_be_parked_for_ever(bench: Bench, ahead: timedelta) -> None:
    await running(bench)
    delivery = await lease_one(bench, PROGRESS)
    with pytest.raises(PauseTooLong):
        await report(bench, delivery, TryAgain(bench.context.database.now() + ahead))
    await deliver.report(bench.context, delivery.lease_token, outcome=EDIT)  # the lease holds on


async def test_a_delivery_may_be_put_off_for_a_day(bench: Bench) -> None:
    await running(bench)
    longest = LONGEST_PAUSE - timedelta(minutes=1)
    await report(
        bench, await lease_one(bench, PROGRESS), TryAgain(bench.context.database.now() + longest)
    )
    await bench.later(seconds=longest.total_seconds() - 60)
    assert await lease(bench) == ()
    await bench.later(seconds=120)
    await lease_one(bench, PROGRESS)


async def test_a_time_of_the_past_is_no_pause(bench: Bench) -> None:
    await running(bench)
    await report(
        bench,
        await lease_one(bench, PROGRESS),
        TryAgain(bench.context.database.now() - timedelta(days=400)),
    )
    await bench.later(seconds=2)
    await lease_one(bench, PROGRESS)


async def test_a_sending_is_tried_again_not_before_its_time(bench: Bench) -> None:
    await succeeded(bench)
    delivery = await lease_one(bench, OUTCOME)
    await report(bench, delivery, TryAgain(datetime.now(UTC) + timedelta(seconds=40)))

    await bench.later(seconds=35)
    assert await lease(bench) == ()
    await bench.later(seconds=6)
    again = await lease_one(bench, OUTCOME)
    assert (again.try_number, again.maybe_sent) == (2, False)


async def test_tries_come_less_and_less_often_and_end(bench: Bench) -> None:
    job = await succeeded(bench)
    waits = []
    for _ in range(11):
        await report(bench, await lease_one(bench, OUTCOME), TryAgain(None))
        (row,) = await bench.query(
            "SELECT extract(epoch FROM due_time - update_time)::float AS wait FROM delivery"
            " WHERE kind = 'outcome'"
        )
        waits.append(row["wait"])
        await bench.later(seconds=row["wait"] + 0.1)

    assert waits[:4] == [1, 2, 4, 8]
    assert waits == sorted(waits)
    assert waits[-1] <= 300
    await bench.later(days=3)
    await report(bench, await lease_one(bench, OUTCOME), TryAgain(None))
    assert await state(bench, job, OUTCOME) == "impossible"


async def test_what_is_impossible_is_not_tried_again(bench: Bench) -> None:
    job = await succeeded(bench)
    await report(bench, await lease_one(bench, OUTCOME), Impossible("blocked"))
    await bench.later(days=1)

    assert OUTCOME not in [each.kind for each in await lease(bench)]
    assert await state(bench, job, OUTCOME) == "impossible"


async def test_many_leasers_never_hold_two_deliveries_of_a_job(
    bench: Bench, open_bench: OpenBench
) -> None:
    benches = [bench, await open_bench()]
    jobs = [await bench.accept() for _ in range(12)]
    await bench.later(seconds=2)  # the progress of each is due
    await bench.dispatch_all()
    for n in range(1, 13):
        await bench.callback(SUCCESS if n % 2 else FAILURE, call=n)
    held: dict[Any, Delivery] = {}
    sent: list[tuple[Any, DeliveryKind]] = []

    async def edge(mine: Bench) -> None:
        for _ in range(6):
            for delivery in await lease(mine, limit=2):
                assert delivery.job.id not in held
                held[delivery.job.id] = delivery
                await deliver.begin(mine.context, delivery.lease_token)
                await asyncio.sleep(0.001)
                sent.append((delivery.job.id, delivery.kind))
                del held[delivery.job.id]
                await deliver.report(mine.context, delivery.lease_token, outcome=NEW_MESSAGE)

    await asyncio.gather(
        *(edge(each) for each in benches for _ in range(25)), bench.fetch_all(), bench.fetch_all()
    )
    await edge(bench)

    outcomes = [job_id for job_id, kind in sent if kind is OUTCOME]
    assert sorted(outcomes) == sorted(job.id for job in jobs)


async def test_progress_is_coalesced(bench: Bench) -> None:
    job = await bench.accept()
    await bench.later(seconds=2)
    await bench.dispatch_all()

    delivery = await lease_one(bench, PROGRESS)
    assert delivery.job.state is JobState.RUNNING
    await report(bench, delivery, EDIT)

    assert await lease(bench) == ()
    assert await state(bench, job, PROGRESS) == "idle"


async def test_progress_that_was_overtaken_while_it_was_sent_is_sent_again(bench: Bench) -> None:
    await bench.accept()
    await bench.later(seconds=2)
    first = await lease_one(bench, PROGRESS)
    assert first.job.state is JobState.QUEUED
    assert first.queue_position == 0
    await dispatch(bench.context)
    await report(bench, first, EDIT)

    second = await lease_one(bench, PROGRESS)

    assert second.job.state is JobState.RUNNING


async def test_an_edge_that_was_killed_after_accepting_finds_the_progress_to_show(
    bench: Bench,
) -> None:
    await bench.accept()
    assert await lease(bench) == ()  # the edge shows it itself
    await bench.later(seconds=2)
    assert (await lease_one(bench, PROGRESS)).job.state is JobState.QUEUED


async def test_the_outcome_waits_for_the_edit_under_way_and_goes_before_the_next(
    bench: Bench,
) -> None:
    job = await running(bench)
    progress = await lease_one(bench, PROGRESS)
    await bench.callback(SUCCESS)
    await bench.fetch_all()
    assert await lease(bench) == ()
    await report(bench, progress, EDIT)

    outcome = await lease_one(bench, OUTCOME)
    await report(bench, outcome, NEW_MESSAGE)

    shown = await lease_one(bench, PROGRESS)
    assert shown.job.state is JobState.SUCCEEDED
    await report(bench, shown, EDIT)
    assert await lease(bench) == ()
    assert await state(bench, job, PROGRESS) == "idle"


@pytest.mark.parametrize("progress", ["idle", "pending", "leased", "begun"])
async def test_an_outcome_put_into_the_progress_message_is_never_written_over(
    bench: Bench, progress: str
) -> None:
    job = await running(bench)
    held = None
    if progress != "pending":
        held = await lease_one(bench, PROGRESS)
    if held and progress == "idle":
        await report(bench, held, EDIT)
    if held and progress == "begun":
        await deliver.begin(bench.context, held.lease_token)
    await bench.callback(SUCCESS)
    await bench.fetch_all()
    await bench.later(seconds=31)  # the edge that held the progress hangs

    await report(bench, await lease_one(bench, OUTCOME), EDIT)

    await bench.later(minutes=5)
    assert await lease(bench) == ()
    assert await state(bench, job, PROGRESS) == "sent"
    if held and progress != "idle":
        with pytest.raises(StaleLease):
            await deliver.report(bench.context, held.lease_token, outcome=EDIT)
        assert await lease(bench) == ()


async def test_a_cancelled_job_shows_it_and_sends_nothing_more(bench: Bench) -> None:
    job = await running(bench)
    await cancel.cancel(bench.context, CALLER, job_id=job.id)
    await bench.callback(SUCCESS)
    await bench.fetch_all()

    shown = await lease_one(bench, PROGRESS)
    await report(bench, shown, EDIT)

    assert shown.job.state is JobState.CANCELLED
    await bench.later(hours=1)
    assert await lease(bench) == ()


async def test_reports_and_changes_of_one_job_at_once_do_not_block_each_other(
    bench: Bench,
) -> None:
    """The report's event refers to the job's row, which the change has locked."""
    for _ in range(10):
        job = await running(bench)
        progress = await lease_one(bench, PROGRESS)
        await asyncio.gather(
            report(bench, progress, EDIT), cancel.cancel(bench.context, CALLER, job_id=job.id)
        )
        await report(bench, await lease_one(bench, PROGRESS), EDIT)


async def test_feeds_belong_to_their_caller(bench: Bench) -> None:
    mine, theirs = Caller.trusted("a"), Caller.trusted("b")
    await bench.accept(caller=mine, destination=Queue("feed"))
    await bench.accept(caller=theirs, destination=Queue("feed"))
    await bench.dispatch_all()
    for call in (1, 2):
        await bench.callback(FAILURE, call=call)

    feed = {"bot_id": None, "queue": "feed"}
    assert await lease(bench, **{**feed, "queue": "other"}, caller=mine) == ()
    delivery = await lease_one(bench, OUTCOME, **feed, caller=mine)
    assert delivery.job.caller == "a"
    assert delivery.destination == Queue("feed")
    assert (await lease_one(bench, OUTCOME, **feed, caller=theirs)).job.caller == "b"


async def test_a_bot_gets_what_is_its_own_whoever_made_it(bench: Bench) -> None:
    await succeeded(bench, destination=Telegram(bot_id=8, chat_id=1))

    assert await lease(bench) == ()
    edge = Caller("b", bot_ids=frozenset({8}))
    await report(bench, await lease_one(bench, OUTCOME, bot_id=8, caller=edge), NEW_MESSAGE)
    assert await lease(bench, bot_id=8) == ()  # it has no progress message


async def test_a_lease_is_known_in_no_hands_but_those_that_may_have_it(bench: Bench) -> None:
    await succeeded(bench, destination=Telegram(bot_id=8, chat_id=1))
    token = (await lease_one(bench, OUTCOME, bot_id=8)).lease_token
    other, edge = Caller("b", bot_ids=frozenset({7})), Caller("c", bot_ids=frozenset({8}))

    with pytest.raises(StaleLease):
        await deliver.begin(bench.context, token, courier=other)
    await deliver.begin(bench.context, token, courier=edge)
    with pytest.raises(StaleLease):
        await deliver.report(bench.context, token, outcome=NEW_MESSAGE, courier=other)
    for _ in range(2):  # the first answer was lost
        await deliver.report(bench.context, token, outcome=NEW_MESSAGE, courier=edge)
    with pytest.raises(StaleLease):
        await deliver.report(bench.context, token, outcome=NEW_MESSAGE, courier=other)


async def test_who_does_not_send_for_a_bot_leases_nothing_of_it(bench: Bench) -> None:
    with pytest.raises(PermissionDenied):
        await lease(bench, bot_id=8, caller=Caller("b", bot_ids=frozenset({7})))


async def test_who_asks_for_no_delivery_gets_none(bench: Bench) -> None:
    job = await succeeded(bench, destination=None)
    assert await bench.deliveries(job) == {}


async def test_a_limit_holds_and_outcomes_go_first(bench: Bench) -> None:
    for _ in range(3):
        await running(bench)
    await bench.callback(SUCCESS, call=3)
    await bench.fetch_all()

    leased = await lease(bench, limit=2)

    assert [each.kind for each in leased].count(OUTCOME) == 1
    assert len(leased) == 2


async def test_one_who_waits_is_woken_by_what_comes(bench: Bench) -> None:
    job = await bench.run(destination=Telegram(CHAT.bot_id, chat_id=1))
    waiter = asyncio.create_task(deliver.lease(bench.context, wanted(), wait=timedelta(seconds=30)))
    await asyncio.sleep(0)

    async with asyncio.timeout(10):
        await bench.callback(FAILURE)
        (delivery,) = await waiter

    assert delivery.job.id == job.id


async def test_what_a_sender_tells_comes_after_a_change_of_its_job(bench: Bench) -> None:
    job = await running(bench)
    progress = await lease_one(bench, PROGRESS)
    async with bench.transaction() as tx:
        changed = await tx.jobs.lock(job.id)
        beginning = asyncio.create_task(deliver.begin(bench.context, progress.lease_token))
        await until_waiting(bench)
        await revise(tx, changed, event="cancelled", state=JobState.CANCELLED)
    await beginning
    assert (await bench.events(job))[-2:] == ["cancelled", "delivery_begun"]
    rows = await bench.query("SELECT state FROM job_event ORDER BY id DESC LIMIT 1")
    assert rows == [{"state": "cancelled"}]


async def until_waiting(bench: Bench) -> None:
    """Wait until somebody waits for a lock."""
    query = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    async with asyncio.timeout(10):
        while not await bench.query(query):  # noqa: ASYNC110 - another session sets no event
            await asyncio.sleep(0.01)
