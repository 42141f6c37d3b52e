import codecs
import gzip
import json
import re
import time
import zlib
from collections.abc import Callable, Iterable
from urllib.parse import unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from generation_svc.domain.body import MAX_UNPACKED_BYTES, read_text
from generation_svc.provider.kie.payload import read_body
from generation_svc.usecase.report_callback import kept_body

TOKEN = "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4"
ADDRESS = f"https://h/callbacks/kie/{TOKEN}"
BODY = {"code": 200, "data": {"taskId": "task-1", "state": "fail", "param": ""}}


def kept(body: bytes, *, token: str = TOKEN) -> bytes:
    return kept_body(body, said=read_text(body), token=token)


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
    stored = kept(body.encode(), token=path_token)

    assert TOKEN.encode() not in stored
    assert b"callbacks" in stored


def test_all_but_the_token_is_kept_as_it_came() -> None:
    body = rf'{{"a": "\u041f\\u0430%20b", "param": "{ADDRESS}?x=%41\/"}}'

    assert kept(body.encode()) == body.replace(TOKEN, "***").encode()
    assert kept(b"\xef\xbb\xbf" + body.encode()) == body.replace(TOKEN, "***").encode()


@pytest.mark.parametrize("body", [b"", b"{}", b"[[[[", "\ufeff{}".encode("utf-16-le")])
def test_a_body_without_a_token_is_kept(body: bytes) -> None:
    assert kept(body) in (body, b"{}")


def quoted(chars: Iterable[str]) -> str:
    return f'"{"".join(chars)}"'


def json_string(text: str) -> str:
    return json.dumps(text)


def slashed(text: str) -> str:
    return json.dumps(text).replace("/", r"\/")


def unicode_escaped(text: str) -> str:
    return quoted(f"\\u{ord(each):04x}" for each in text)


def half_escaped(text: str) -> str:
    return quoted(
        f"\\u{ord(each):04X}" if n % 3 else json.dumps(each)[1:-1] for n, each in enumerate(text)
    )


def percent(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


def half_percent(text: str) -> str:
    return "".join(
        f"%{ord(each):02X}" if n % 2 or each == "%" else each for n, each in enumerate(text)
    )


def in_object(text: str) -> str:
    return json.dumps({"param": text, "more": ["ы", text]})


Writing = Callable[[str], str]
WRITINGS: list[Writing] = [
    json_string,
    slashed,
    unicode_escaped,
    half_escaped,
    percent,
    half_percent,
    in_object,
]
CHARSETS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]


def raw_deflate(data: bytes) -> bytes:
    renderer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return renderer.compress(data) + renderer.flush()


Packing = Callable[[bytes], bytes]
PACKINGS: list[Packing] = [gzip.compress, zlib.compress, raw_deflate]


def readings(stored: bytes) -> set[str]:
    """Return all that somebody with patience can read in what is stored."""
    found: set[str] = set()
    for data in {stored, *unpacked(stored)}:
        for charset in (*CHARSETS, "latin-1"):
            text = codecs.decode(data, charset, "ignore").replace("\0", "")
            for _ in range(20):
                found.add(text)
                text = unquote(text)
                text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
                text = re.sub(r"\\(.)", r"\1", text)
    return found


def unpacked(data: bytes) -> list[bytes]:
    for window in (32 + zlib.MAX_WBITS, -zlib.MAX_WBITS):
        try:
            inner = zlib.decompress(data, window)
        except zlib.error:
            continue
        return [inner, *unpacked(inner)]
    return []


@given(
    writings=st.lists(st.sampled_from(WRITINGS), max_size=4),
    charset=st.sampled_from(CHARSETS),
    packings=st.lists(st.sampled_from(PACKINGS), max_size=3),
    knows_path=st.booleans(),
)
@example(writings=[], charset="utf-16", packings=[], knows_path=True)
@example(writings=[], charset="utf-8", packings=[gzip.compress], knows_path=True)
@example(writings=[unicode_escaped], charset="utf-8", packings=[], knows_path=True)
@settings(max_examples=300, deadline=None)
def test_no_way_of_writing_a_body_keeps_its_token(
    writings: list[Writing], charset: str, packings: list[Packing], *, knows_path: bool
) -> None:
    text = ADDRESS
    for write in writings:
        text = write(text)
    body = json.dumps({**BODY, "param": text}).encode(charset)
    for pack in packings:
        body = pack(body)

    stored = kept(body, token=TOKEN if knows_path else "another-token-of-this-length")

    assert not any(TOKEN in reading for reading in readings(stored))
    assert b"task-1" in stored, "more was cut out than the token"


@given(
    body=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-16")),
    at=st.integers(0, 200),
)
@settings(max_examples=200, deadline=None)
def test_a_token_among_any_bytes_is_not_kept(body: bytes, at: int) -> None:
    stored = kept(body[:at] + TOKEN.encode() + body[at:])

    assert not any(TOKEN in reading for reading in readings(stored))


@pytest.mark.parametrize("pack", PACKINGS)
def test_a_packed_body_is_read(pack: Packing) -> None:
    said = read_text(pack(json.dumps(BODY).encode()))

    assert said is not None
    assert read_body(said.text.encode()).task_id == "task-1"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(gzip.compress(b"x" * (MAX_UNPACKED_BYTES + 1)), id="too long unpacked"),
        pytest.param(gzip.compress(TOKEN.encode())[:-9], id="cut short"),
        pytest.param(gzip.compress(TOKEN.encode()) + b"more", id="more behind it"),
        pytest.param(bytes(range(256)) + TOKEN.encode(), id="no text"),
        pytest.param(("%25" * 200_000 + TOKEN).encode(), id="escaped for ever"),
    ],
)
def test_of_what_cannot_be_read_only_the_size_is_kept(body: bytes) -> None:
    assert kept(body) == b"(%d bytes that cannot be read)" % len(body)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(gzip.compress(gzip.compress(bytes(400 << 20), 1)), id="a bomb"),
        pytest.param(b"\\" * (1 << 20), id="backslashes"),
        pytest.param(b"%25252525252525252525252541" * 40_000, id="percent signs"),
        pytest.param(b"callbacks/" * 100_000, id="half an address"),
        pytest.param(b"callbacks/kie/" + b"/" * 1_000_000, id="slashes"),
        pytest.param(b"callbacks" + b"/" * 1_000_000, id="slashes before the address"),
    ],
)
def test_a_body_that_is_made_to_be_slow_is_not(body: bytes) -> None:
    began = time.process_time()
    kept(body)
    assert time.process_time() - began < 2.5  # five times what a busy machine takes
