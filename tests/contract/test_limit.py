"""Callers and the service keep the limits that the contract states, and no others."""

import pytest

from edge_bot.conversation.handler.upload import MAX_PICTURE_BYTES
from edge_bot.conversation.session import MAX_BYTES
from edge_bot.telegram.error import MAX_PAUSE_S
from generation_client import limit as told
from generation_client.call import DEADLINE_S, LONG_DEADLINE_S
from generation_svc.domain import limit as kept
from generation_svc.rpc.deadline import LIMITS, ORDINARY
from tests.contract.comment import PACKAGE, bound_in, comments
from tests.contract.method import METHODS

HOUR_S = 3600
STATED = {
    "an upload": ("Upload.size_bytes", told.MAX_UPLOAD_BYTES),
    "an upload, to the service": ("Upload.size_bytes", kept.MAX_UPLOAD_BYTES),
    "a piece": ("UploadInputRequest.data", told.MAX_PIECE_BYTES),
    "a session": ("PutSessionRequest.data", told.MAX_SESSION_BYTES),
    "a callback": ("ReportCallbackRequest.body", told.MAX_CALLBACK_BYTES),
    "a path token": ("ReportCallbackRequest.path_token", told.MAX_TOKEN_LENGTH),
    "an id": ("GetJobRequest.job_id", kept.MAX_ID_LENGTH),
    "an address": ("WebhookDestination.url", kept.MAX_LINK_LENGTH),
    "a wait for a job": ("WaitJobRequest.timeout", told.LONGEST_WAIT_S),
    "a wait for deliveries": ("LeaseDeliveriesRequest.wait", told.LONGEST_WAIT_S),
    "a pause": (
        "ReportDeliveryRequest.TryAgain.not_before_time",
        told.LONGEST_PAUSE_S / HOUR_S,
    ),
}


@pytest.mark.parametrize(("field", "most"), STATED.values(), ids=STATED)
def test_the_contract_states_this_limit(field: str, most: float) -> None:
    bound = bound_in(comments()[f"{PACKAGE}.{field}"])
    assert bound is not None
    assert bound.size == most


def test_the_bot_keeps_within_what_the_contract_takes() -> None:
    assert MAX_PICTURE_BYTES <= told.MAX_UPLOAD_BYTES
    assert MAX_BYTES < told.MAX_SESSION_BYTES
    assert MAX_PAUSE_S < told.LONGEST_PAUSE_S


@pytest.mark.parametrize("method", [name.rpartition("/")[2] for name in METHODS])
def test_a_caller_waits_no_longer_than_the_service_works(method: str) -> None:
    served = LIMITS.get(method, ORDINARY)
    waited_s = LONG_DEADLINE_S.get(method, DEADLINE_S)
    assert served is None or waited_s <= served.total_seconds()
