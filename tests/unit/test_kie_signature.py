from datetime import UTC, datetime, timedelta

import pytest

from generation_svc.domain.port.callback import Evidence
from generation_svc.provider.kie.callback import KieCallbackReader
from generation_svc.provider.kie.signature import Verdict, judge_signature, sign

KEY = "test-webhook-key"
TASK_ID = "ee9c2715375b7837f8bb51d641ff5863"
TIMESTAMP = "1769670760"
SIGNATURE = "ZSz3IIsRnzzqwW4sS0laO7mc3nIpiLgCwWT++NgKmX4="
MOMENT = datetime.fromtimestamp(int(TIMESTAMP), UTC)
HEADERS = {"x-webhook-timestamp": TIMESTAMP, "x-webhook-signature": SIGNATURE}
BODY = b'{"code": 200, "data": {"taskId": "%s", "state": "success"}}' % TASK_ID.encode()


def verify(
    key: str = KEY,
    *,
    task_id: str = TASK_ID,
    timestamp: str = TIMESTAMP,
    signature: str = SIGNATURE,
    now: datetime = MOMENT,
) -> Verdict:
    return judge_signature(key, task_id=task_id, timestamp=timestamp, signature=signature, now=now)


@pytest.mark.parametrize(("hours", "is_signed"), [(0, True), (-3, False), (3, False)])
def test_a_callbacks_age_is_told_by_the_time_that_the_reader_is_given(
    hours: int, *, is_signed: bool
) -> None:
    reader = KieCallbackReader([KEY], now=lambda: MOMENT + timedelta(hours=hours))
    assert reader.wants_evidence
    assert (reader.evidence(HEADERS, BODY) is Evidence.TASK) is is_signed


@pytest.mark.parametrize(
    ("keys", "body", "evidence"),
    [
        pytest.param(["another", KEY], BODY, Evidence.TASK, id="second of two accounts"),
        pytest.param(["another", "third"], BODY, Evidence.NONE, id="neither of two accounts"),
        pytest.param([KEY], BODY.replace(b"ee9c", b"ee9d"), Evidence.NONE, id="another task"),
        pytest.param([KEY], b"{}", Evidence.NONE, id="no task"),
        pytest.param([], BODY, Evidence.NONE, id="no key"),
    ],
)
def test_any_key_of_the_list_proves_of_which_task_was_spoken(
    keys: list[str], body: bytes, evidence: Evidence
) -> None:
    reader = KieCallbackReader(keys, now=lambda: MOMENT)
    assert reader.evidence(HEADERS, body) is evidence
    assert reader.wants_evidence is bool(keys)


def test_known_signature_is_made_and_verified() -> None:
    assert sign(KEY, task_id=TASK_ID, timestamp=TIMESTAMP) == SIGNATURE.encode()
    assert verify() is Verdict.VALID


@pytest.mark.parametrize("minutes", [-5, 5])
def test_signature_holds_within_the_window(minutes: int) -> None:
    assert verify(now=MOMENT + timedelta(minutes=minutes)) is Verdict.VALID
    assert verify(now=MOMENT + timedelta(minutes=minutes) * 1.01) is Verdict.STALE


@pytest.mark.parametrize(
    "changed",
    [
        {"key": "another"},
        {"key": ""},
        {"task_id": "another"},
        {"timestamp": "1769670761"},
        {"timestamp": ""},
        {"timestamp": "-1"},
        {"timestamp": "١٢٣"},
        {"timestamp": "9" * 40},
        {"signature": ""},
        {"signature": SIGNATURE.lower()},
        {"signature": "подпись"},
        {"signature": "\ud800"},
        {"task_id": "\ud800"},
    ],
    ids=repr,
)
def test_anything_else_is_no_signature(changed: dict[str, str]) -> None:
    verdict = verify(**changed)  # type: ignore[arg-type] # all of them are strings
    assert verdict is (Verdict.MISSING if changed == {"signature": ""} else Verdict.WRONG)
