"""The little language of ListJobs: what is understood, and where what is not is wrong."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation_svc.domain.error import InvalidInputs
from generation_svc.domain.job_filter import Condition, JobField, JobFilter, Operator
from generation_svc.rpc.bound import MAX_FILTER_CONDITIONS as MAX_CONDITIONS
from generation_svc.rpc.job_filter import parse_filter

FAILED = Condition(JobField.STATE, Operator.EQUAL, "failed")
CANCELLED = Condition(JobField.STATE, Operator.EQUAL, "cancelled")
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
SINCE_NOON = Condition(JobField.UPDATE_TIME, Operator.ABOVE, NOON)
STATES = "one of JOB_STATE_QUEUED, JOB_STATE_RUNNING, JOB_STATE_SUCCEEDED, JOB_STATE_FAILED,"
STATES += " JOB_STATE_CANCELLED"
FIELDS = "one of state, model_id, create_time, update_time"
A_TIME = 'a time with its zone, such as "2026-11-28T20:00:00Z"'


def model(text: str, operator: Operator = Operator.EQUAL) -> JobFilter:
    return ((Condition(JobField.MODEL_ID, operator, text),),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("  ", ()),
        ("state = JOB_STATE_FAILED", ((FAILED,),)),
        ('state="JOB_STATE_FAILED"', ((FAILED,),)),
        ("model_id = z-image", model("z-image")),
        ("model_id!=qwen/text-to-image", model("qwen/text-to-image", Operator.UNEQUAL)),
        (r'model_id = "a \"b\" \\"', model('a "b" \\')),
        ("update_time > 2026-11-28T12:00:00Z", ((SINCE_NOON,),)),
        ('update_time > "2026-11-28T15:00:00+03:00"', ((SINCE_NOON,),)),
        (
            "create_time <= 2026-11-28T12:00:00.25Z",
            (
                (
                    Condition(
                        JobField.CREATE_TIME,
                        Operator.AT_MOST,
                        NOON + timedelta(milliseconds=250),
                    ),
                ),
            ),
        ),
        (
            "state = JOB_STATE_FAILED OR state = JOB_STATE_CANCELLED"
            " AND update_time > 2026-11-28T12:00:00Z",
            ((FAILED, CANCELLED), (SINCE_NOON,)),
        ),
        (
            "update_time > 2026-11-28T12:00:00Z\n AND state = JOB_STATE_FAILED",
            ((SINCE_NOON,), (FAILED,)),
        ),
    ],
)
def test_a_filter_is_choices_that_all_hold(text: str, expected: JobFilter) -> None:
    assert parse_filter(text) == expected


def test_a_time_keeps_its_zone() -> None:
    ((condition,),) = parse_filter("create_time = 2026-11-28T15:00:00+03:00")
    assert condition.value == datetime(2026, 11, 28, 15, tzinfo=timezone(timedelta(hours=3)))


@pytest.mark.parametrize(
    ("text", "position", "wanted", "found"),
    [
        ("stat = JOB_STATE_FAILED", 1, FIELDS, '"stat"'),
        ("owner = x", 1, FIELDS, '"owner"'),
        ("state", 6, "one of = !=", "the end"),
        ("state > JOB_STATE_FAILED", 7, "one of = !=", '">"'),
        ("state : JOB_STATE_FAILED", 7, "one of = !=", '":"'),
        ("state = failed", 9, STATES, '"failed"'),
        ("state = JOB_STATE_UNSPECIFIED", 9, STATES, '"JOB_STATE_UNSPECIFIED"'),
        ("state = =", 9, STATES, '"="'),
        ('model_id = ""', 12, "the id of a model, as in ListModels", '""""'),
        ("update_time > yesterday", 15, A_TIME, '"yesterday"'),
        ("update_time > 2026-11-28T12:00:00", 15, A_TIME, '"2026-11-28T12:00:00"'),
        ("update_time > 2026-13-28T12:00:00Z", 15, A_TIME, '"2026-13-28T12:00:00Z"'),
        ("update_time > ٢٠٢٦", 15, "a field, an operator, a value, AND or OR", '"٢٠٢٦"'),
        ("state = JOB_STATE_FAILED and", 26, "AND, OR or the end", '"and"'),
        ("state = JOB_STATE_FAILED state", 26, "AND, OR or the end", '"state"'),
        ("state = JOB_STATE_FAILED AND", 29, FIELDS, "the end"),
        ("NOT state = JOB_STATE_FAILED", 1, FIELDS, '"NOT"'),
        ("(state = x)", 1, "a field, an operator, a value, AND or OR", '"(state = x)"'),
        ('model_id = "x', 12, "a field, an operator, a value, AND or OR", '""x"'),
        ('model_id = "x\0"', 12, "a field, an operator, a value, AND or OR", '""x\0""'),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(
    text: str, position: int, wanted: str, found: str
) -> None:
    with pytest.raises(InvalidInputs) as caught:
        parse_filter(text)
    (violation,) = caught.value.violations
    assert violation.field == "filter"
    assert violation.description == f"At character {position}: expected {wanted}, not {found}."


def test_sixteen_conditions_are_taken_and_no_more() -> None:
    one = "model_id = z"
    assert len(parse_filter(" AND ".join([one] * MAX_CONDITIONS))) == MAX_CONDITIONS
    with pytest.raises(InvalidInputs, match="at most 16 conditions"):
        parse_filter(" OR ".join([one] * (MAX_CONDITIONS + 1)))


WORDS = ("state", "model_id", "update_time", "AND", "OR", "JOB_STATE_FAILED", "z-image")
TIMES = ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00")
PARTS = st.sampled_from([*WORDS, *TIMES, "=", "!=", ">=", '"', "\\", "(", "\0", "é", " "])


@given(st.lists(PARTS | st.text(max_size=5), max_size=12).map(" ".join))
def test_any_text_is_a_filter_or_refused_with_a_place_inside_of_it(text: str) -> None:
    try:
        parse_filter(text)
    except InvalidInputs as error:
        (violation,) = error.violations
        position = int(violation.description.split()[2].rstrip(":"))
        assert 1 <= position <= len(text) + 1
