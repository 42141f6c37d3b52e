import base64
import gzip
import hashlib
import hmac
import json
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from generation_svc.domain.job import JobState
from generation_svc.domain.observation import Observation
from generation_svc.domain.port.callback import StoredCallback
from generation_svc.engine.callback_replay import UNTRUSTED_KEPT
from generation_svc.lifecycle.callback import CallbackOutcome
from generation_svc.usecase.report_callback import Callback, report_callback
from runtime.token import token_hash
from tests.lifecycle import FAILURE, PENDING, SUCCESS, Harness, OpenBench, body_of

KEY = "a-webhook-key"


def signed(task_id: str, *, age: float = 0) -> dict[str, str]:
    timestamp = str(int(time.time() - age))
    digest = hmac.new(KEY.encode(), f"{task_id}.{timestamp}".encode(), hashlib.sha256).digest()
    return {
        "x-webhook-timestamp": timestamp,
        "x-webhook-signature": base64.b64encode(digest).decode(),
    }


async def post(harness: Harness, body: bytes, *, token: str = "") -> CallbackOutcome:
    return await report_callback(harness.deps, Callback(body=body, headers={}, token=token))


async def test_a_callback_is_kept_as_it_came_but_for_its_token(harness: Harness) -> None:
    await harness.run()
    token = harness.provider.token()
    data = {"taskId": "task-1", "state": "waiting", "param": f"https://x/callbacks/kie/{token}"}
    body = json.dumps({"code": 200, "data": data}).encode()

    await post(harness, body, token=token)

    (stored,) = await harness.query("SELECT * FROM callback_receipt")
    assert stored["body"] == body.replace(token.encode(), b"***")
    assert (stored["task_id"], stored["is_trusted"]) == ("task-1", True)
    assert stored["outcome"] == "repeated"
    assert stored["apply_time"] is not None


@pytest.mark.parametrize("end", [SUCCESS, FAILURE], ids=lambda o: o.state)
@pytest.mark.parametrize("token", ["", "wrong"])
async def test_without_the_token_a_callback_is_a_hint_once_per_interval(
    harness: Harness, end: Observation, token: str
) -> None:
    job = await harness.run()

    outcomes = [await harness.callback(end, token=token) for _ in range(3)]
    await harness.poll_all()

    assert outcomes == [CallbackOutcome.HINT, CallbackOutcome.IGNORED, CallbackOutcome.IGNORED]
    assert harness.provider.reads == ["task-1"]
    assert (await harness.job(job)).state is JobState.RUNNING
    await harness.later(seconds=11)
    assert await harness.callback(end, token=token) is CallbackOutcome.HINT


@pytest.mark.parametrize(
    ("headers", "is_believed"),
    [
        pytest.param(partial(signed, "task-1"), True, id="signed"),
        pytest.param(dict, False, id="unsigned"),
        pytest.param(partial(signed, "task-2"), False, id="of-another-task"),
        pytest.param(partial(signed, "task-1", age=86_400), False, id="old"),
        pytest.param(lambda: {"x-webhook-signature": "%%%"}, False, id="garbage"),
    ],
)
async def test_where_a_key_is_set_the_signature_must_be_valid_too(
    open_bench: OpenBench, headers: Callable[[], dict[str, str]], is_believed: bool
) -> None:
    harness = await open_bench(hmac_key=KEY)
    await harness.run()

    outcome = await harness.callback(SUCCESS, headers=headers())

    assert outcome is (CallbackOutcome.APPLIED if is_believed else CallbackOutcome.HINT)


async def test_a_signature_alone_is_no_more_than_a_hint(open_bench: OpenBench) -> None:
    harness = await open_bench(hmac_key=KEY)
    await harness.run()

    outcome = await harness.callback(SUCCESS, headers=signed("task-1"), token="wrong")

    assert outcome is CallbackOutcome.HINT


async def test_a_body_that_speaks_of_another_task_than_its_token_is_a_hint(
    harness: Harness,
) -> None:
    job = await harness.run()

    assert await harness.callback(SUCCESS, task_id="another") is CallbackOutcome.HINT

    assert (await harness.job(job)).state is JobState.RUNNING


async def test_a_hint_for_a_task_that_ended_moves_nothing(harness: Harness) -> None:
    await harness.run()
    await harness.callback(FAILURE)
    assert await harness.callback(SUCCESS, token="wrong") is CallbackOutcome.IGNORED


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        pytest.param(b"", CallbackOutcome.UNREADABLE, id="empty"),
        pytest.param(b"[[[[", CallbackOutcome.UNREADABLE, id="broken"),
        pytest.param(
            body_of(replace(SUCCESS, task_id="nobody's")), CallbackOutcome.UNKNOWN_TASK, id="task"
        ),
    ],
)
async def test_what_belongs_to_nobody_is_counted_and_kept(
    harness: Harness, body: bytes, outcome: CallbackOutcome
) -> None:
    assert await post(harness, body, token="wrong") is outcome
    assert await harness.query("SELECT outcome, body FROM callback_receipt") == [
        {"outcome": outcome, "body": body}
    ]


@pytest.mark.parametrize(
    "body", [b"\xff\x00{", gzip.compress(bytes(2 << 20))], ids=["bytes", "bomb"]
)
async def test_of_what_cannot_be_read_the_size_is_kept(harness: Harness, body: bytes) -> None:
    assert await post(harness, body, token="wrong") is CallbackOutcome.UNREADABLE
    (stored,) = await harness.query("SELECT body FROM callback_receipt")
    assert stored["body"] == b"(%d bytes that cannot be read)" % len(body)


@pytest.mark.parametrize(
    "packed", [gzip.compress, zlib.compress, lambda body: body.decode().encode("utf-16")]
)
async def test_a_callback_is_believed_however_it_is_packed(
    harness: Harness, packed: Callable[[bytes], bytes]
) -> None:
    job = await harness.run()
    token = harness.provider.token()
    body = body_of(replace(SUCCESS, task_id="task-1")).replace(
        b"{", b'{"x":"%b",' % token.encode(), 1
    )

    assert await post(harness, packed(body), token=token) is CallbackOutcome.APPLIED

    await harness.fetch_all()
    assert (await harness.job(job)).state is JobState.SUCCEEDED
    (stored,) = await harness.query("SELECT body FROM callback_receipt")
    assert stored["body"] == body.replace(token.encode(), b"***")


async def test_what_nobody_vouches_for_is_kept_in_a_ring(harness: Harness) -> None:
    await harness.run()
    for n in range(6):
        await post(harness, b"%d" % n)
        await harness.callback(PENDING, token="wrong")
    await harness.callback(PENDING)
    await harness.query(
        "INSERT INTO callback_receipt SELECT gen_random_uuid(), attempt_id, task_id, body, headers,"
        " is_trusted, receive_time, apply_time, outcome FROM callback_receipt,"
        " generate_series(1, 500) WHERE NOT is_trusted"
    )

    await harness.sweep()

    rows = await harness.query(
        "SELECT is_trusted, count(*) FROM callback_receipt GROUP BY is_trusted"
    )
    counts = {row["is_trusted"]: row["count"] for row in rows}
    assert counts[False] <= UNTRUSTED_KEPT
    assert counts[True] == 1


async def test_a_callback_stored_by_a_killed_process_is_applied(harness: Harness) -> None:
    broken, job = await harness.run(), await harness.run()
    for call, end in ((1, FAILURE), (2, SUCCESS)):
        async with harness.transaction() as tx:
            attempt = await tx.attempts.find_by_token(token_hash(harness.provider.token(call - 1)))
            assert attempt is not None
            body = body_of(replace(end, task_id=f"task-{call}"))
            stored = StoredCallback(uuid4(), body, attempt.id, is_trusted=True)
            await tx.callbacks.insert(stored, task_id=f"task-{call}", headers={})
    no_such_destination = '{"kind": "pigeon", "colour": "grey"}'
    await harness.query(
        "UPDATE job SET destination = %s WHERE id = %s", no_such_destination, broken.id
    )

    await harness.sweep()
    assert (await harness.events(job))[-1] == "taken"  # its process may still be at it
    await harness.later(seconds=31)
    with capture_logs() as logs:
        await harness.sweep()
    await harness.fetch_all()
    assert [log["log_level"] for log in logs].count("error") == 1

    assert (await harness.job(job)).state is JobState.SUCCEEDED
    pending = await harness.query("SELECT task_id FROM callback_receipt WHERE apply_time IS NULL")
    assert pending == [{"task_id": "task-1"}]  # a broken one stops none of the others


async def test_a_callback_is_read_by_the_provider_of_its_path(harness: Harness) -> None:
    job = await harness.run()
    body = body_of(replace(SUCCESS, task_id="task-1"))
    callback = Callback(body=body, headers={}, token=harness.provider.token())

    elsewhere = replace(callback, provider="another")
    assert await report_callback(harness.deps, elsewhere) is CallbackOutcome.UNREADABLE
    assert (await harness.job(job)).state is JobState.RUNNING

    named = replace(callback, provider="kie")
    assert await report_callback(harness.deps, named) is CallbackOutcome.APPLIED
    trusted = await harness.query("SELECT is_trusted FROM callback_receipt ORDER BY receive_time")
    assert [row["is_trusted"] for row in trusted] == [False, True]
