import pytest

from generation_svc.lifecycle.receive import redact

TOKEN = "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4"


@pytest.mark.parametrize(
    ("body", "path_token"),
    [
        pytest.param(f'"https://h/callbacks/kie/{TOKEN}"', TOKEN, id="its own address"),
        pytest.param(f'"https://h/callbacks/kie/{TOKEN}"', "", id="no token in the path"),
        pytest.param(f'"https://h/callbacks/kie/{TOKEN}"', "other", id="another token in the path"),
        pytest.param(rf'"https:\/\/h\/callbacks\/kie\/{TOKEN}"', "", id="escaped slashes"),
    ],
)
def test_a_stored_body_holds_no_token(body: str, path_token: str) -> None:
    kept = redact(body.encode(), token=path_token)

    assert TOKEN.encode() not in kept
    assert b"callbacks" in kept
