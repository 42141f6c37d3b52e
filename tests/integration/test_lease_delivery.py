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
from generation_svc.domain.event import JobEventKind
from generation_svc.domain.job import Job, JobState
from generation_svc.lifecycle.record import revise
from generation_svc.usecase import cancel_job, lease_delivery
from tests.e2e.program import until
from tests.integration.test_settle_cost import until_somebody_waits
from tests.lifecycle import CALLER, CHAT, FAILURE, SUCCESS, Harness, OpenBench
from tests.step import dispatch

SPAN = timedelta(seconds=30)
NEW_MESSAGE, EDIT = Sent(2000, is_edit=False), Sent(1000, is_edit=True)
OUTCOME, PROGRESS = DeliveryKind.OUTCOME, DeliveryKind.PROGRESS


def wanted(
    *,
    bot_id: int | None = CHAT.bot_id,
    queue: str | None = None,
    limit: int = 10,
    caller: Caller = CALLER,
) -> lease_delivery.Wanted:
    return lease_delivery.Wanted(caller, bot_id=bot_id, queue=queue, limit=limit, span=SPAN)


async def lease(harness: Harness, **wishes: Any) -> Sequence[Delivery]:
    return await lease_delivery.lease(harness.deps, wanted(**wishes), wait=timedelta(0))


async def lease_one(harness: Harness, kind: DeliveryKind, **wishes: Any) -> Delivery:
    (delivery,) = await lease(harness, **wishes)
    assert delivery.kind is kind
    return delivery


async def running(harness: Harness) -> Job:
    """A job at the provider whose progress is due to be shown."""
    job = await harness.run()
    await harness.later(seconds=2)
    return job


async def report(harness: Harness, delivery: Delivery, outcome: SendingOutcome) -> None:
    await lease_delivery.begin(harness.deps, delivery.lease_token)
    await lease_delivery.report(harness.deps, delivery.lease_token, outcome=outcome)


async def succeeded(harness: Harness, **accepted: Any) -> Job:
    job = await harness.run(**accepted)
    await harness.callback(SUCCESS)
    await harness.fetch_all()
    return await harness.job(job)


async def state(harness: Harness, job: Job, kind: DeliveryKind) -> str:
    return str((await harness.deliveries(job))[kind]["state"])


async def test_an_outcome_is_sent_once(harness: Harness) -> None:
    job = await succeeded(harness)

    delivery = await lease_one(harness, OUTCOME)
    assert delivery.job == job
    assert delivery.destination == CHAT
    assert (delivery.try_number, delivery.maybe_sent) == (1, False)
    assert delivery.lease_expire_time > datetime.now(UTC)
    assert await lease(harness) == ()
    await report(harness, delivery, EDIT)

    assert await lease(harness) == ()
    await harness.later(days=2)
    assert await lease(harness) == ()
    (event,) = await harness.query("SELECT detail FROM job_event WHERE kind = 'delivery_sent'")
    assert event["detail"] == {"kind": "outcome", "try": 1, "message_id": 1000, "is_edit": True}
    assert "delivery_begun" in await harness.events(job)


async def test_a_lease_that_ran_out_before_begin_is_offered_again_as_new(harness: Harness) -> None:
    await succeeded(harness)
    first = await lease_one(harness, OUTCOME)
    await harness.later(seconds=31)
    with pytest.raises(StaleLease):
        await lease_delivery.begin(harness.deps, first.lease_token)

    second = await lease_one(harness, OUTCOME)

    assert (second.try_number, second.maybe_sent) == (2, False)
    with pytest.raises(StaleLease):
        await lease_delivery.report(harness.deps, first.lease_token, outcome=NEW_MESSAGE)
    await report(harness, second, NEW_MESSAGE)


async def test_a_lease_that_ran_out_after_begin_may_have_been_sent(harness: Harness) -> None:
    await succeeded(harness)
    first = await lease_one(harness, OUTCOME)
    await lease_delivery.begin(harness.deps, first.lease_token)
    await lease_delivery.begin(harness.deps, first.lease_token)  # its answer was lost
    await harness.later(seconds=31)

    second = await lease_one(harness, OUTCOME)
    await harness.later(seconds=31)
    third = await lease_one(harness, OUTCOME)

    assert second.maybe_sent
    assert third.maybe_sent  # for good


async def test_a_report_after_its_time_counts_while_nobody_else_has_the_lease(
    harness: Harness,
) -> None:
    job = await succeeded(harness)
    delivery = await lease_one(harness, OUTCOME)
    await lease_delivery.begin(harness.deps, delivery.lease_token)
    await harness.later(seconds=31)

    await lease_delivery.report(harness.deps, delivery.lease_token, outcome=EDIT)

    assert await state(harness, job, OUTCOME) == "sent"
    assert await lease(harness) == ()


async def test_tokens_that_are_used_up_or_unknown_are_refused(harness: Harness) -> None:
    await succeeded(harness)
    delivery = await lease_one(harness, OUTCOME)
    await report(harness, delivery, EDIT)

    with pytest.raises(StaleLease):
        await lease_delivery.begin(harness.deps, delivery.lease_token)
    for token in ("", "unknown"):
        with pytest.raises(StaleLease):
            await lease_delivery.begin(harness.deps, token)
        with pytest.raises(StaleLease):
            await lease_delivery.report(harness.deps, token, outcome=EDIT)


async def test_a_report_whose_answer_was_lost_may_come_again(harness: Harness) -> None:
    job = await succeeded(harness)
    delivery = await lease_one(harness, OUTCOME)
    await report(harness, delivery, EDIT)

    await lease_delivery.report(harness.deps, delivery.lease_token, outcome=Unknown())

    assert await state(harness, job, OUTCOME) == "sent"
    assert await lease(harness) == ()


async def test_an_unknown_sending_is_offered_again_and_says_so(harness: Harness) -> None:
    await succeeded(harness)
    await report(harness, await lease_one(harness, OUTCOME), Unknown())
    await harness.later(seconds=3)

    assert (await lease_one(harness, OUTCOME)).maybe_sent


@pytest.mark.parametrize("ahead", [timedelta(days=1, minutes=1), timedelta(days=365 * 7900)])
async def test_a_delivery_cannot_be_parked_for_ever(harness: Harness, ahead: timedelta) -> None:
    await running(harness)
    delivery = await lease_one(harness, PROGRESS)
    with pytest.raises(PauseTooLong):
        await report(harness, delivery, TryAgain(harness.deps.database.now() + ahead))
    await lease_delivery.report(
        harness.deps, delivery.lease_token, outcome=EDIT
    )  # the lease holds on


async def test_a_delivery_may_be_put_off_for_a_day(harness: Harness) -> None:
    await running(harness)
    longest = LONGEST_PAUSE - timedelta(minutes=1)
    await report(
        harness,
        await lease_one(harness, PROGRESS),
        TryAgain(harness.deps.database.now() + longest),
    )
    await harness.later(seconds=longest.total_seconds() - 60)
    assert await lease(harness) == ()
    await harness.later(seconds=120)
    await lease_one(harness, PROGRESS)


async def test_a_time_of_the_past_is_no_pause(harness: Harness) -> None:
    await running(harness)
    await report(
        harness,
        await lease_one(harness, PROGRESS),
        TryAgain(harness.deps.database.now() - timedelta(days=400)),
    )
    await harness.later(seconds=2)
    await lease_one(harness, PROGRESS)


async def test_a_sending_is_tried_again_not_before_its_time(harness: Harness) -> None:
    await succeeded(harness)
    delivery = await lease_one(harness, OUTCOME)
    await report(harness, delivery, TryAgain(datetime.now(UTC) + timedelta(seconds=40)))

    await harness.later(seconds=35)
    assert await lease(harness) == ()
    await harness.later(seconds=6)
    again = await lease_one(harness, OUTCOME)
    assert (again.try_number, again.maybe_sent) == (2, False)


async def test_tries_come_less_and_less_often_and_end(harness: Harness) -> None:
    job = await succeeded(harness)
    waits = []
    for _ in range(11):
        await report(harness, await lease_one(harness, OUTCOME), TryAgain(None))
        (row,) = await harness.query(
            "SELECT extract(epoch FROM due_time - update_time)::float AS wait FROM delivery"
            " WHERE kind = 'outcome'"
        )
        waits.append(row["wait"])
        await harness.later(seconds=row["wait"] + 0.1)

    assert waits[:4] == [1, 2, 4, 8]
    assert waits == sorted(waits)
    assert waits[-1] <= 300
    await harness.later(days=3)
    await report(harness, await lease_one(harness, OUTCOME), TryAgain(None))
    assert await state(harness, job, OUTCOME) == "impossible"


async def test_what_is_impossible_is_not_tried_again(harness: Harness) -> None:
    job = await succeeded(harness)
    await report(harness, await lease_one(harness, OUTCOME), Impossible("blocked"))
    await harness.later(days=1)

    assert OUTCOME not in [each.kind for each in await lease(harness)]
    assert await state(harness, job, OUTCOME) == "impossible"


async def test_many_leasers_never_hold_two_deliveries_of_a_job(
    harness: Harness, open_bench: OpenBench
) -> None:
    benches = [harness, await open_bench()]
    jobs = [await harness.accept() for _ in range(12)]
    await harness.later(seconds=2)  # the progress of each is due
    await harness.dispatch_all()
    for n in range(1, 13):
        await harness.callback(SUCCESS if n % 2 else FAILURE, call=n)
    held: dict[Any, Delivery] = {}
    sent: list[tuple[Any, DeliveryKind]] = []

    async def edge(mine: Harness) -> None:
        for _ in range(6):
            for delivery in await lease(mine, limit=2):
                assert delivery.job.id not in held
                held[delivery.job.id] = delivery
                await lease_delivery.begin(mine.deps, delivery.lease_token)
                await asyncio.sleep(0.001)
                sent.append((delivery.job.id, delivery.kind))
                del held[delivery.job.id]
                await lease_delivery.report(mine.deps, delivery.lease_token, outcome=NEW_MESSAGE)

    await asyncio.gather(
        *(edge(each) for each in benches for _ in range(25)),
        harness.fetch_all(),
        harness.fetch_all(),
    )
    await edge(harness)

    outcomes = [job_id for job_id, kind in sent if kind is OUTCOME]
    assert sorted(outcomes) == sorted(job.id for job in jobs)


async def test_progress_is_coalesced(harness: Harness) -> None:
    job = await harness.accept()
    await harness.later(seconds=2)
    await harness.dispatch_all()

    delivery = await lease_one(harness, PROGRESS)
    assert delivery.job.state is JobState.RUNNING
    await report(harness, delivery, EDIT)

    assert await lease(harness) == ()
    assert await state(harness, job, PROGRESS) == "idle"


async def test_progress_that_was_overtaken_while_it_was_sent_is_sent_again(
    harness: Harness,
) -> None:
    await harness.accept()
    await harness.later(seconds=2)
    first = await lease_one(harness, PROGRESS)
    assert first.job.state is JobState.QUEUED
    assert first.queue_position == 0
    await dispatch(harness.deps)
    await report(harness, first, EDIT)

    second = await lease_one(harness, PROGRESS)

    assert second.job.state is JobState.RUNNING


async def test_an_edge_that_was_killed_after_accepting_finds_the_progress_to_show(
    harness: Harness,
) -> None:
    await harness.accept()
    assert await lease(harness) == ()  # the edge shows it itself
    await harness.later(seconds=2)
    assert (await lease_one(harness, PROGRESS)).job.state is JobState.QUEUED


async def test_the_outcome_waits_for_the_edit_under_way_and_goes_before_the_next(
    harness: Harness,
) -> None:
    job = await running(harness)
    progress = await lease_one(harness, PROGRESS)
    await harness.callback(SUCCESS)
    await harness.fetch_all()
    assert await lease(harness) == ()
    await report(harness, progress, EDIT)

    outcome = await lease_one(harness, OUTCOME)
    await report(harness, outcome, NEW_MESSAGE)

    shown = await lease_one(harness, PROGRESS)
    assert shown.job.state is JobState.SUCCEEDED
    await report(harness, shown, EDIT)
    assert await lease(harness) == ()
    assert await state(harness, job, PROGRESS) == "idle"


@pytest.mark.parametrize("progress", ["idle", "pending", "leased", "begun"])
async def test_an_outcome_put_into_the_progress_message_is_never_written_over(
    harness: Harness, progress: str
) -> None:
    job = await running(harness)
    held = None
    if progress != "pending":
        held = await lease_one(harness, PROGRESS)
    if held and progress == "idle":
        await report(harness, held, EDIT)
    if held and progress == "begun":
        await lease_delivery.begin(harness.deps, held.lease_token)
    await harness.callback(SUCCESS)
    await harness.fetch_all()
    await harness.later(seconds=31)  # the edge that held the progress hangs

    await report(harness, await lease_one(harness, OUTCOME), EDIT)

    await harness.later(minutes=5)
    assert await lease(harness) == ()
    assert await state(harness, job, PROGRESS) == "sent"
    if held and progress != "idle":
        with pytest.raises(StaleLease):
            await lease_delivery.report(harness.deps, held.lease_token, outcome=EDIT)
        assert await lease(harness) == ()


async def test_a_cancelled_job_shows_it_and_sends_nothing_more(harness: Harness) -> None:
    job = await running(harness)
    await cancel_job.cancel_job(harness.deps, CALLER, job_id=job.id)
    await harness.callback(SUCCESS)
    await harness.fetch_all()

    shown = await lease_one(harness, PROGRESS)
    await report(harness, shown, EDIT)

    assert shown.job.state is JobState.CANCELLED
    await harness.later(hours=1)
    assert await lease(harness) == ()


async def test_reports_and_changes_of_one_job_at_once_do_not_block_each_other(
    harness: Harness,
) -> None:
    """The report's event refers to the job's row, which the change has locked."""
    for _ in range(10):
        job = await running(harness)
        progress = await lease_one(harness, PROGRESS)
        await asyncio.gather(
            report(harness, progress, EDIT),
            cancel_job.cancel_job(harness.deps, CALLER, job_id=job.id),
        )
        await report(harness, await lease_one(harness, PROGRESS), EDIT)


async def test_feeds_belong_to_their_caller(harness: Harness) -> None:
    mine, theirs = Caller.trusted("a"), Caller.trusted("b")
    await harness.accept(caller=mine, destination=Queue("feed"))
    await harness.accept(caller=theirs, destination=Queue("feed"))
    await harness.dispatch_all()
    for call in (1, 2):
        await harness.callback(FAILURE, call=call)

    feed = {"bot_id": None, "queue": "feed"}
    assert await lease(harness, **{**feed, "queue": "other"}, caller=mine) == ()
    delivery = await lease_one(harness, OUTCOME, **feed, caller=mine)
    assert delivery.job.caller == "a"
    assert delivery.destination == Queue("feed")
    assert (await lease_one(harness, OUTCOME, **feed, caller=theirs)).job.caller == "b"


async def test_a_bot_gets_what_is_its_own_whoever_made_it(harness: Harness) -> None:
    await succeeded(harness, destination=Telegram(bot_id=8, chat_id=1))

    assert await lease(harness) == ()
    edge = Caller("b", bot_ids=frozenset({8}))
    await report(harness, await lease_one(harness, OUTCOME, bot_id=8, caller=edge), NEW_MESSAGE)
    assert await lease(harness, bot_id=8) == ()  # it has no progress message


async def test_a_lease_is_known_in_no_hands_but_those_that_may_have_it(harness: Harness) -> None:
    await succeeded(harness, destination=Telegram(bot_id=8, chat_id=1))
    token = (await lease_one(harness, OUTCOME, bot_id=8)).lease_token
    other, edge = Caller("b", bot_ids=frozenset({7})), Caller("c", bot_ids=frozenset({8}))

    with pytest.raises(StaleLease):
        await lease_delivery.begin(harness.deps, token, sender=other)
    await lease_delivery.begin(harness.deps, token, sender=edge)
    with pytest.raises(StaleLease):
        await lease_delivery.report(harness.deps, token, outcome=NEW_MESSAGE, sender=other)
    for _ in range(2):  # the first answer was lost
        await lease_delivery.report(harness.deps, token, outcome=NEW_MESSAGE, sender=edge)
    with pytest.raises(StaleLease):
        await lease_delivery.report(harness.deps, token, outcome=NEW_MESSAGE, sender=other)


async def test_who_does_not_send_for_a_bot_leases_nothing_of_it(harness: Harness) -> None:
    with pytest.raises(PermissionDenied):
        await lease(harness, bot_id=8, caller=Caller("b", bot_ids=frozenset({7})))


async def test_who_asks_for_no_delivery_gets_none(harness: Harness) -> None:
    job = await succeeded(harness, destination=None)
    assert await harness.deliveries(job) == {}


async def test_a_limit_holds_and_outcomes_go_first(harness: Harness) -> None:
    for _ in range(3):
        await running(harness)
    await harness.callback(SUCCESS, call=3)
    await harness.fetch_all()

    leased = await lease(harness, limit=2)

    assert [each.kind for each in leased].count(OUTCOME) == 1
    assert len(leased) == 2


async def test_one_who_waits_is_woken_by_what_comes(harness: Harness) -> None:
    job = await harness.run(destination=Telegram(CHAT.bot_id, chat_id=1))
    waiter = asyncio.create_task(
        lease_delivery.lease(harness.deps, wanted(), wait=timedelta(seconds=30))
    )
    await asyncio.sleep(0)

    async with asyncio.timeout(10):
        await harness.callback(FAILURE)
        (delivery,) = await waiter

    assert delivery.job.id == job.id


async def test_what_a_sender_tells_comes_after_a_change_of_its_job(harness: Harness) -> None:
    job = await running(harness)
    progress = await lease_one(harness, PROGRESS)
    async with harness.transaction() as tx:
        changed = await tx.jobs.lock(job.id)
        beginning = asyncio.create_task(lease_delivery.begin(harness.deps, progress.lease_token))
        await until_waiting(harness)
        await revise(tx, changed, event=JobEventKind.CANCELLED, state=JobState.CANCELLED)
    await beginning
    assert (await harness.events(job))[-2:] == ["cancelled", "delivery_begun"]
    rows = await harness.query("SELECT state FROM job_event ORDER BY id DESC LIMIT 1")
    assert rows == [{"state": "cancelled"}]


async def until_waiting(harness: Harness) -> None:
    """Wait until somebody waits for a lock."""
    query = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    async with asyncio.timeout(10):
        while not await harness.query(query):  # noqa: ASYNC110 - another session sets no event
            await asyncio.sleep(0.01)


async def test_a_report_that_comes_twice_at_once_is_taken_once(harness: Harness) -> None:
    job = await succeeded(harness)
    delivery = await lease_one(harness, OUTCOME)
    await lease_delivery.begin(harness.deps, delivery.lease_token)

    async def wait_for_lock() -> bool:
        found = await harness.query(
            "SELECT pid FROM pg_locks WHERE NOT granted OR locktype = 'tuple'"
        )
        return len(found) >= 2

    async with harness.connection.transaction():
        await harness.query("SELECT FROM job FOR NO KEY UPDATE")
        reporting = [
            asyncio.create_task(
                lease_delivery.report(
                    harness.deps, delivery.lease_token, outcome=Sent(message_id, is_edit=False)
                )
            )
            for message_id in (2000, 2001)
        ]
        await until(wait_for_lock, within_s=10, what="both wait for the job")

    await asyncio.gather(*reporting)
    assert await state(harness, job, OUTCOME) == "sent"
    assert (await harness.events(job)).count("delivery_sent") == 1
    message_id = (await harness.deliveries(job))[OUTCOME]["message_id"]
    assert message_id in (2000, 2001)


async def test_a_begin_and_a_change_of_hands_at_once_have_one_winner(harness: Harness) -> None:
    job = await succeeded(harness)
    old = await lease_one(harness, OUTCOME)
    async with harness.connection.transaction():
        await harness.query("SELECT FROM job FOR NO KEY UPDATE")
        beginning = asyncio.create_task(lease_delivery.begin(harness.deps, old.lease_token))
        await until_somebody_waits(harness)
        # As by another sender, who got the lease while this one waited.
        await harness.query("UPDATE delivery SET lease_hash = '\\x00' WHERE kind = 'outcome'")
    with pytest.raises(StaleLease):
        await beginning
    assert "delivery_begun" not in await harness.events(job)
