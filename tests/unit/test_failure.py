"""Every reason of a failure is told with one sentence, in the domain and over the wire."""

import pytest

from atelier.generation.v1 import job_pb2
from generation_svc.domain.failure import SENTENCES, Failure, FailureReason

PREFIX = "FAILURE_REASON_"


def test_the_contract_knows_the_same_reasons() -> None:
    told = {name.removeprefix(PREFIX) for name, _ in job_pb2.FailureReason.items()}
    assert told == {"UNSPECIFIED", *FailureReason.__members__}


def test_every_reason_has_a_sentence() -> None:
    assert set(SENTENCES) == set(FailureReason)


@pytest.mark.parametrize("reason", FailureReason)
def test_a_sentence_fits_every_kind_of_media_and_the_contract(reason: FailureReason) -> None:
    message = Failure.of(reason).message
    assert message[0].isupper()
    assert message.endswith(".")
    assert len(message) <= 300, "the bound of JobFailure.message"
    words = set(message.lower().replace(".", " ").split())
    assert words.isdisjoint({"picture", "image", "photo", "video", "song"})


def test_no_two_reasons_read_the_same() -> None:
    assert len(set(SENTENCES.values())) == len(SENTENCES)
