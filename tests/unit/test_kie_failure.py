import pytest
from prometheus_client import CollectorRegistry

from generation_svc.domain.failure import SENTENCES, Failure, FailureReason
from generation_svc.domain.observation import Observation, ProviderState
from generation_svc.provider.kie.failure import (
    MAX_OFF_CHARS,
    OFF,
    TABLE,
    Known,
    failure_of,
    refusal_reason_in,
)
from generation_svc.provider.kie.meter import KieMeter
from tests.kie_body import EXAMPLES

SEEN = EXAMPLES["21 Failure texts seen in failCode/failMsg"]["body"]

EXPECTED = [
    FailureReason.GENERATION_FAILED,
    FailureReason.GENERATION_FAILED,
    FailureReason.CONTENT_REFUSED,
    FailureReason.INPUT_UNREADABLE,
    FailureReason.CONTENT_REFUSED,
    FailureReason.CONTENT_REFUSED,
    FailureReason.GENERATION_FAILED,
    FailureReason.CONTENT_REFUSED,
]


def failed(message: str, *, code: str = "500") -> Observation:
    return Observation(ProviderState.FAILED, fail_code=code, fail_message=message)


def why(observation: Observation) -> Failure:
    return failure_of(observation, meter=KieMeter())


@pytest.mark.parametrize(
    ("values", "reason"),
    list(zip(SEEN, EXPECTED, strict=True)),
    ids=[values["failMsg"] for values in SEEN],
)
def test_text_that_was_seen_gives_its_reason(values: dict[str, str], reason: FailureReason) -> None:
    assert why(failed(values["failMsg"], code=values["failCode"])).reason is reason


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Inappropriate content detected. Please replace it.", FailureReason.CONTENT_REFUSED),
        ("Flagged by the safety system", FailureReason.CONTENT_REFUSED),
        ("Public error: unsafe image upload", FailureReason.CONTENT_REFUSED),
        ("Content security audit failed", FailureReason.CONTENT_REFUSED),
        ("Your request was caught by our AI moderator", FailureReason.CONTENT_REFUSED),
        ("image file type not supported", FailureReason.INPUT_UNREADABLE),
        ("The image size exceeds the limit", FailureReason.INPUT_UNREADABLE),
        ("Get image info failed.", FailureReason.INPUT_UNREADABLE),
        ("Failed to download image", FailureReason.INPUT_UNREADABLE),
        ("The generation task failed.", FailureReason.GENERATION_FAILED),
        ("", FailureReason.GENERATION_FAILED),
    ],
)
def test_similar_texts_give_the_same_reasons(message: str, reason: FailureReason) -> None:
    assert why(failed(message)).reason is reason


def test_code_that_is_a_word_gives_a_reason_too() -> None:
    failure = why(failed("", code="CONTENT_POLICY_BLOCKED"))
    assert failure.reason is FailureReason.CONTENT_REFUSED


def test_user_reads_our_sentence_and_nothing_of_kies() -> None:
    message = "NullPointerException at https://internal.kie/x?key=secret"
    assert why(failed(message)).message == SENTENCES[FailureReason.GENERATION_FAILED]


@pytest.mark.parametrize(("message", "count"), [("a new text", 1), ("nsfw", 0)])
def test_text_in_no_table_is_counted_for_the_operator(message: str, count: int) -> None:
    registry = CollectorRegistry()
    failure_of(failed(message), meter=KieMeter(registry))
    assert registry.get_sample_value("atelier_kie_unknown_texts_total") == count


@pytest.mark.parametrize("known", [*OFF, *TABLE], ids=lambda known: known.pattern)
def test_every_line_of_the_table_names_its_source(known: Known) -> None:
    assert known.source
    assert known.reason in SENTENCES


OFF_TEXTS = [
    "This interface is temporarily paused, please use another one.",
    "The page does not exist or is not published",
    "Feature Disabled - The requested feature is currently disabled",
    "This feature is currently disabled",
    "The model name you specified is not supported. Please verify your input and use one of the"
    " supported models provided by KIE.",
]


@pytest.mark.parametrize("text", OFF_TEXTS)
def test_create_task_says_that_a_model_is_off(text: str) -> None:
    assert refusal_reason_in(text) is FailureReason.MODEL_UNAVAILABLE
    assert refusal_reason_in(f" {text.upper()}") is FailureReason.MODEL_UNAVAILABLE


@pytest.mark.parametrize("text", OFF_TEXTS)
@pytest.mark.parametrize(
    "quoting",
    [
        "prompt '{}' is too long",
        "Invalid value: {}",
        "[{}] is not within the range of allowed options",
        "{}" + " is what a user wrote" * (MAX_OFF_CHARS // 20),
    ],
)
def test_words_of_a_user_switch_no_model_off(text: str, quoting: str) -> None:
    quoted = quoting.format(text)
    assert refusal_reason_in(quoted) is None
    assert why(failed(quoted)).reason is FailureReason.GENERATION_FAILED


@pytest.mark.parametrize("text", OFF_TEXTS)
def test_of_a_task_only_its_code_says_that_the_model_is_off(text: str) -> None:
    assert why(failed(text)).reason is FailureReason.GENERATION_FAILED
    assert why(failed(text, code="505")).reason is FailureReason.MODEL_UNAVAILABLE
