"""The token that a call carries."""

import pytest

from generation_svc.domain.error import Unauthenticated
from generation_svc.rpc.caller import LOCAL, calling, current_caller, token_of

METADATA = {
    "as grpcurl sends it": ([("authorization", "Bearer t0ken")], "t0ken"),
    "in small letters": ([("authorization", "bearer t0ken")], "t0ken"),
    "with spaces": ([("authorization", "Bearer   t0ken ")], "t0ken"),
    "among others": ([("user-agent", "x"), ("authorization", "Bearer t0ken")], "t0ken"),
    "not at all": ([("user-agent", "x")], ""),
    "of another scheme": ([("authorization", "Basic t0ken")], ""),
    "without a scheme": ([("authorization", "t0ken")], ""),
    "empty": ([("authorization", "Bearer ")], ""),
    "twice": ([("authorization", "Bearer a"), ("authorization", "Bearer b")], ""),
    "as bytes": ([("authorization", b"Bearer t0ken")], ""),
    "without metadata": (None, ""),
}


@pytest.mark.parametrize(
    ("metadata", "token"), [pytest.param(*case, id=name) for name, case in METADATA.items()]
)
def test_a_token_is_one_bearer_token(
    metadata: list[tuple[str, str | bytes]] | None, token: str
) -> None:
    assert token_of(metadata) == token


def test_outside_of_a_call_nobody_calls() -> None:
    with calling(LOCAL):
        assert current_caller() is LOCAL
    with pytest.raises(Unauthenticated):
        current_caller()
