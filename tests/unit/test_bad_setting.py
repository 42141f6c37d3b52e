"""Each setting of each process with odd values: taken, or refused with one line and no secret."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from callback_gateway.settings import GatewaySettings
from devrun.run import RunSettings
from edge_bot.settings import EdgeSettings
from generation_svc.settings import GenerationSettings
from runtime.setting_file import MAX_BYTES
from runtime.settings import ProcessSettings

GOOD = {
    "KIE_API_KEY": "kie-key",
    "TELEGRAM_BOT_TOKEN": "81234567:AAEe2eBotToken",
    "GENERATION_TOKEN": "a-token",
}
PROCESSES: list[type[ProcessSettings]] = [
    GenerationSettings,
    GatewaySettings,
    EdgeSettings,
    RunSettings,
]
FIELDS = [
    pytest.param(process, name.upper(), id=f"{process.__name__} {name}")
    for process in PROCESSES
    for name in process.model_fields
]
SECRET = "hunter2-nobody-may-read-this"
ODD = [
    "nonsense",
    "-1",
    "nan",
    "inf",
    "1e400",
    "9" * 5000,
    SECRET,
    f"ftp://user:{SECRET}@host/path",
    f"https://user:{SECRET}@host/path",
    f"http://host:{SECRET}/",
    f"http://[{SECRET}/",
    f"postgresql://user:{SECRET}@host:port/name",
    f"postgresql://user:{SECRET}#@host/name",
    f"postgresql://user:{SECRET}@host/name?sslmode=maybe",
    f"postgresql://user:{SECRET}@host/name?no_such_option=1",
    f"host=a port={SECRET}",
    f"s3://key:{SECRET}@bucket/prefix",
    f"ключ-{SECRET}",
    f"{SECRET} and a space",
    f'[[caller]]\nname = "{SECRET}',
    f'[[caller]]\nname = "a"\ntokens_sha256 = ["{SECRET}"]',
    f'[[caller]]\nname = "a"\ntokens_sha256 = []\nwebhook_secrets = ["{SECRET}"]',
    "[::1",
    "@",
    "https://",
    "127.0.0.1:99999",
    "a" * 300 + ".example:80",
    ",",
    "../" * 2000,
]


def is_secret(process: type[ProcessSettings], name: str) -> bool:
    """Whether what somebody sets it to may hold a password."""
    annotation = repr(process.model_fields[name.lower()].annotation)
    return "SecretStr" in annotation or name.endswith("_URL")


@pytest.fixture(scope="module", autouse=True)
def nothing_else(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A folder without `.env`, and an environment in which all that is needed is right."""
    before, folder = dict(os.environ), Path.cwd()
    for process in PROCESSES:
        for name in process.model_fields:
            os.environ.pop(name.upper(), None)
            os.environ.pop(f"{name.upper()}_FILE", None)
    os.environ.update(GOOD)
    os.chdir(tmp_path_factory.mktemp("settings"))
    yield
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(before)


def said(process: type[ProcessSettings], **changes: str) -> str:
    """Return what a process says of these settings; nothing if it takes them."""
    code: object
    earlier = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    errors, code = io.StringIO(), 0
    try:
        with redirect_stderr(errors):
            process.load()
    except SystemExit as end:
        code = end.code
    finally:
        for name, value in earlier.items():
            os.environ.pop(name)
            os.environ.update({name: value} if value is not None else {})
    assert bool(errors.getvalue()) == (code == 1)
    return errors.getvalue()


def assert_is_one_line(line: str, *, name: str, is_secret: bool) -> None:
    assert line.startswith("settings: ")
    assert line.endswith("\n")
    assert line.count("\n") == 1
    others = {field.upper() for process in PROCESSES for field in process.model_fields}
    assert name in line or any(other in line for other in others), "it names no setting"
    assert len(line) < 7000
    assert not (is_secret and SECRET in line)


@pytest.mark.parametrize(("process", "name"), FIELDS)
def test_an_odd_value_is_taken_or_refused_in_one_line(
    process: type[ProcessSettings], name: str
) -> None:
    for value in ODD:
        line = said(process, **{name: value})
        if line:
            assert_is_one_line(line, name=name, is_secret=is_secret(process, name))


@given(
    process_and_name=st.sampled_from([each.values for each in FIELDS]),
    value=st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=60),
)
@example(process_and_name=(GenerationSettings, "DATABASE_URL"), value="nonsense")
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_text_is_taken_or_refused_in_one_line(
    process_and_name: tuple[type[ProcessSettings], str], value: str
) -> None:
    process, name = process_and_name
    line = said(process, **{name: value})
    if line:
        assert_is_one_line(line, name=name, is_secret=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MEDIA_URL", f"ftp://user:{SECRET}@host/path"),
        ("MEDIA_URL", f"s3://key:{SECRET}@bucket"),
        ("DATABASE_URL", "nonsense"),
        ("DATABASE_URL", f"postgresql://user:{SECRET}@host:99999/name"),
        ("KIE_API_URL", f"https://user:{SECRET}@api.kie.ai"),
        ("KIE_UPLOAD_URL", "nonsense"),
        ("CALLBACK_BASE_URL", "gateway.example.org"),
        ("MEDIA_BASE_URL", "https://"),
        ("KIE_RESULT_HOSTS", "https://host/path"),
        ("KIE_API_KEY", "ключ"),
        ("START_DEADLINE_S", "inf"),
        ("START_DEADLINE_S", "1e300"),
        ("GENERATION_LISTEN", "a b:50051"),
    ],
)
def test_what_would_fail_later_is_refused_at_once(name: str, value: str) -> None:
    assert_is_one_line(said(GenerationSettings, **{name: value}), name=name, is_secret=True)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:p%40ss@host/name",
        "postgres://user@a,b:5433/name?sslmode=verify-full",
        "postgresql:///name?host=/run/postgresql",
        "host=a,b port=5432,5433 dbname=name",
    ],
)
def test_what_libpq_takes_is_taken(url: str) -> None:
    assert not said(GenerationSettings, DATABASE_URL=url)


Writing = Callable[[str], bytes]


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda text: text.encode(), id="plain"),
        pytest.param(lambda text: f"{text}\n".encode(), id="line feed"),
        pytest.param(lambda text: f"{text}\r\n".encode(), id="CRLF"),
        pytest.param(lambda text: f"{text}\r\n".encode("utf-8-sig"), id="byte order mark"),
        pytest.param(lambda text: f"{text}\r\n".encode("utf-16"), id="UTF-16"),
        pytest.param(lambda text: f"\ufeff{text}\n".encode("utf-16-be"), id="UTF-16, big-endian"),
        pytest.param(lambda text: f"{text}\n".encode("utf-32"), id="UTF-32"),
    ],
)
def test_a_secret_is_read_however_its_file_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Writing
) -> None:
    (tmp_path / "key").write_bytes(write("the-key"))
    monkeypatch.setenv("KIE_API_KEY", "")
    monkeypatch.setenv("KIE_API_KEY_FILE", str(tmp_path / "key"))
    assert GenerationSettings.load().kie_accounts == {"default": "the-key"}


def _folder(path: Path) -> None:
    path.mkdir()


BAD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "No such file or directory"),
    "a folder": (_folder, "Is a directory"),
    "empty": (lambda path: path.write_bytes(b""), "names an empty file"),
    "blank": (lambda path: path.write_bytes(b"\xef\xbb\xbf \r\n"), "names an empty file"),
    "huge": (lambda path: path.write_bytes(b"x" * (MAX_BYTES + 1)), "larger than 1 MiB"),
    "no text": (lambda path: path.write_bytes(b"\xff\xc3" + SECRET.encode()), "it is not text"),
    "half UTF-16": (lambda path: path.write_bytes(b"\xff\xfea"), "it is not text"),
    "NULs": (lambda path: path.write_bytes(b"\0" + SECRET.encode()), "it is not text"),
    "endless": (lambda path: path.symlink_to("/dev/zero"), "larger than 1 MiB"),
    "a circle": (lambda path: path.symlink_to(path), "symbolic links"),
}


@pytest.mark.parametrize(("make", "reason"), BAD_FILES.values(), ids=BAD_FILES)
@pytest.mark.parametrize("name", ["KIE_API_KEY", "KIE_WEBHOOK_HMAC_KEY", "DATABASE_URL"])
def test_a_file_that_holds_no_secret_is_said_in_one_line(
    tmp_path: Path, name: str, make: Callable[[Path], object], reason: str
) -> None:
    make(tmp_path / "secret")
    line = said(GenerationSettings, **{name: "", f"{name}_FILE": str(tmp_path / "secret")})
    assert_is_one_line(line, name=f"{name}_FILE", is_secret=True)
    assert reason in line


@pytest.mark.parametrize("data", [b"KIE_API_KEY=\xff\xfe", b"\xff\xfeK\0"])
def test_a_dotenv_that_is_no_text_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes(data)
    assert said(GenerationSettings) == "settings: .env: cannot be read: it is not text\n"


def test_a_dotenv_may_begin_with_a_byte_order_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KIE_API_KEY")
    (tmp_path / ".env").write_text("KIE_API_KEY=from-dotenv\r\n", encoding="utf-8-sig")
    assert GenerationSettings.load().kie_accounts == {"default": "from-dotenv"}
