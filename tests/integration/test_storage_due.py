"""What is due next, told by one statement that reads no more than the beginnings of indexes."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from generation_svc.domain.account import Account
from generation_svc.domain.delivery import Webhook
from generation_svc.domain.error import ProviderMaintenance, ProviderSilent
from generation_svc.domain.port.due import DueKind, DueRules
from generation_svc.storage.account import FIRST_ACCOUNT
from generation_svc.storage.due_store import LOOK
from tests.lifecycle import CALLER, SUCCESS, Harness
from tests.step import dispatch

NOW = timedelta(0)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
SHOP = replace(CALLER, name="shop", webhook_secrets=("whsec_" + "c2VjcmV0" * 4,))
HOOK = Webhook("https://shop.example/hook")
RULES = DueRules(
    readable=(FIRST_ACCOUNT,),
    submit_lease=MINUTE,
    hard_deadline=DAY,
    callback_age=MINUTE,
    untrusted_kept=3,
)
NUMBERS = "generate_series(2, 5000) AS n"


async def look(harness: Harness, rules: DueRules = RULES) -> Mapping[DueKind, timedelta]:
    async with harness.transaction() as tx:
        return await tx.due.look(rules)


def is_about(span: timedelta, expected: timedelta) -> bool:
    return expected - MINUTE / 2 < span <= expected


async def test_where_nothing_is_nothing_is_due(harness: Harness) -> None:
    assert await look(harness) == {}


async def test_a_queued_job_is_due_to_be_dispatched_and_to_have_started(harness: Harness) -> None:
    await harness.accept()
    due = await look(harness)
    assert due.keys() == {DueKind.DISPATCH, DueKind.START_DEADLINE}
    assert due[DueKind.DISPATCH] == NOW
    assert is_about(due[DueKind.START_DEADLINE], harness.deps.timing.start_deadline)


async def test_a_task_is_due_to_be_read_and_to_be_given_up(harness: Harness) -> None:
    await harness.run()
    due = await look(harness)
    assert due.keys() == {DueKind.READ, DueKind.HARD_STOP}
    assert NOW < due[DueKind.READ] < 2 * MINUTE
    assert is_about(due[DueKind.HARD_STOP], DAY)

    others = await look(harness, replace(RULES, readable=(Account("kie", "another"),)))
    assert DueKind.READ not in others


async def test_a_success_is_due_to_be_fetched(harness: Harness) -> None:
    await harness.run()
    await harness.callback(SUCCESS)
    due = await look(harness)
    assert due.keys() == {DueKind.FETCH, DueKind.HARD_STOP}
    assert due[DueKind.FETCH] == NOW


async def test_a_submission_is_due_when_its_dispatcher_has_had_its_time(harness: Harness) -> None:
    await harness.run()
    await harness.query("UPDATE attempt SET state = 'submitting', read_time = NULL")
    due = await look(harness)
    assert is_about(due[DueKind.ORPHAN], MINUTE)
    await harness.later(minutes=2)
    assert (await look(harness))[DueKind.ORPHAN] == NOW


async def test_an_attempt_of_unknown_fate_ends_with_the_deadline_of_its_job(
    harness: Harness,
) -> None:
    harness.provider.refuse(ProviderSilent())
    job = await harness.accept()
    await dispatch(harness.deps)
    assert is_about((await look(harness))[DueKind.HARD_STOP], DAY)
    await harness.query(
        "UPDATE job SET finish_deadline_time = now() + interval '1 hour' WHERE id = %s", job.id
    )
    assert is_about((await look(harness))[DueKind.HARD_STOP], timedelta(hours=1))


async def test_a_webhook_is_due_and_a_message_for_a_chat_is_not(harness: Harness) -> None:
    await harness.made()
    assert DueKind.WEBHOOK not in await look(harness)
    await harness.made(destination=HOOK, caller=SHOP)
    assert (await look(harness))[DueKind.WEBHOOK] == NOW


async def test_a_callback_that_nobody_applied_is_due_after_a_while(harness: Harness) -> None:
    await harness.run()
    await harness.callback(SUCCESS)
    assert DueKind.CALLBACK not in await look(harness)
    await harness.query("UPDATE callback_receipt SET apply_time = NULL, outcome = NULL")
    assert is_about((await look(harness))[DueKind.CALLBACK], MINUTE)


async def test_callbacks_that_are_not_believed_are_due_to_be_trimmed(harness: Harness) -> None:
    await harness.run()
    for _ in range(3):
        await harness.callback(SUCCESS, token="forged")
    assert DueKind.SURPLUS not in await look(harness)
    await harness.callback(SUCCESS, token="forged")
    assert (await look(harness))[DueKind.SURPLUS] == NOW


async def test_labels_are_due_while_a_breaker_is_open_or_a_job_has_one(harness: Harness) -> None:
    harness.provider.refuse(ProviderMaintenance())
    await harness.accept()
    assert DueKind.DELAY not in await look(harness)
    await dispatch(harness.deps)
    assert (await look(harness))[DueKind.DELAY] == NOW  # the breaker
    await harness.sweep()
    await harness.query("UPDATE breaker SET reason = NULL, probe_time = NULL")
    assert (await look(harness))[DueKind.DELAY] == NOW  # the label
    await harness.sweep()
    assert DueKind.DELAY not in await look(harness)


async def test_the_look_reads_no_whole_table_however_much_there_is(harness: Harness) -> None:
    await harness.made(destination=HOOK, caller=SHOP)
    await harness.run(owner="user:2", destination=None)
    await harness.callback(SUCCESS, token="forged")
    await harness.accept(owner="user:3", destination=None)
    for table, fresh, source in (
        ("job", "'id', gen_random_uuid()", NUMBERS),
        (
            "attempt",
            "'id', gen_random_uuid(), 'number', n, 'token_hash', it.id || '/' || n",
            NUMBERS,
        ),
        ("callback_receipt", "'id', gen_random_uuid()", NUMBERS),
        (
            "delivery",
            "'id', gen_random_uuid(), 'job_id', job.id",
            "job WHERE it.url IS NOT NULL AND it.job_id <> job.id",
        ),
    ):
        await harness.query(
            f"INSERT INTO {table} SELECT (jsonb_populate_record(it, jsonb_build_object({fresh}))).*"
            f" FROM {table} AS it, {source}"
        )
    await harness.query("ANALYZE")
    values = {"readable": ["kie/default"], "kept": 1000} | dict.fromkeys(
        ("submit_lease", "hard_deadline", "callback_age"), MINUTE
    )
    cursor = await harness.connection.execute(f"EXPLAIN {LOOK}", values)
    plan = [row["QUERY PLAN"] for row in await cursor.fetchall()]
    tables = ("job", "attempt", "delivery", "callback_receipt")
    assert not [line for line in plan if any(f"Seq Scan on {table}" in line for table in tables)]
    for index in ("job_due", "job_start_due", "job_delayed"):
        assert any(index in line for line in plan), index
    for index in ("attempt_under_way", "attempt_read_due"):
        assert any(index in line for line in plan), index
