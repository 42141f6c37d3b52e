import base64
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation_svc.domain.error import InvalidPageToken
from generation_svc.rpc.page_token import MAX_LENGTH, PageQuery

QUERY = PageQuery("ListJobs", "shop", ("shop:7",))
CURSOR = "0198c0de-0000-7000-8000-000000000000"
TOKEN = QUERY.token(CURSOR)


@given(
    cursor=st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50
    ).filter(bool)
)
def test_a_token_leads_back_to_its_cursor(cursor: str) -> None:
    assert QUERY.cursor(QUERY.token(cursor)) == cursor


def test_no_token_is_the_first_page() -> None:
    assert QUERY.cursor("") == ""


def test_a_token_is_opaque_and_fits_where_it_travels() -> None:
    assert CURSOR not in TOKEN
    assert len(QUERY.token("h" * 2048)) <= MAX_LENGTH


@pytest.mark.parametrize(
    "query",
    [
        PageQuery("ListModels", "shop", ("shop:7",)),
        PageQuery("ListJobs", "mall", ("shop:7",)),
        PageQuery("ListJobs", "shop", ("shop:8",)),
        PageQuery("ListJobs", "shop", ("",)),
        PageQuery("ListJobs", "shop"),
        PageQuery("ListJobs", "sho", ("p", "shop:7")),
    ],
    ids=str,
)
def test_a_token_of_another_query_is_refused(query: PageQuery) -> None:
    with pytest.raises(InvalidPageToken):
        query.cursor(TOKEN)


@pytest.mark.parametrize(
    "token",
    [
        CURSOR,
        "z-image",
        "?",
        "é",
        "A",
        " " + TOKEN,
        TOKEN + "=",
        TOKEN + "\n",
        TOKEN[:-1],
        TOKEN + "AAAA",
        "A" * (MAX_LENGTH + 1),
        base64.urlsafe_b64encode(CURSOR.encode()).decode(),
    ],
)
def test_a_made_up_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidPageToken):
        QUERY.cursor(token)


def sealed(cursor: bytes) -> str:
    """A token with a seal that somebody computed, who has read how."""
    raw = b"\x01" + QUERY._seal(cursor) + cursor
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.mark.parametrize("cursor", [b"no id", b"\xff\xfe", CURSOR.encode() + b"0", b"\0"])
def test_what_is_no_id_under_a_computed_seal_is_refused(cursor: bytes) -> None:
    assert QUERY.id_cursor(sealed(CURSOR.encode())) == UUID(CURSOR)
    with pytest.raises(InvalidPageToken):
        QUERY.id_cursor(sealed(cursor))


@pytest.mark.parametrize("cursor", [b"\xff\xfe", b"https://a.example/\0"])
def test_what_is_no_text_under_a_computed_seal_is_refused(cursor: bytes) -> None:
    with pytest.raises(InvalidPageToken):
        QUERY.cursor(sealed(cursor))


@given(place=st.integers(0, len(TOKEN) - 1), character=st.sampled_from("AZaz09-_+/="))
def test_a_token_with_another_character_is_refused(place: int, character: str) -> None:
    damaged = TOKEN[:place] + character + TOKEN[place + 1 :]
    if damaged != TOKEN:
        with pytest.raises(InvalidPageToken):
            QUERY.cursor(damaged)
