import io
import json
import logging
import sys
from collections.abc import Iterator
from urllib.parse import quote_plus

import pytest
import structlog
from pydantic import SecretStr

from runtime.log import configure
from runtime.redaction import MASK, Redactor
from runtime.settings import ProcessSettings

SECRET = 'p@ss/"wörd" \\1'
BOT_TOKEN = "1234567890:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw1"


class SecretSettings(ProcessSettings):
    api_key: SecretStr = SecretStr(SECRET)


@pytest.fixture
def restored_logging() -> Iterator[None]:
    root, hook = logging.getLogger(), sys.excepthook
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    yield
    structlog.reset_defaults()
    logging.captureWarnings(False)
    root.handlers, root.level, sys.excepthook = handlers, level, hook


@pytest.fixture(params=["json", "console"])
def stream(request: pytest.FixtureRequest, restored_logging: None) -> io.StringIO:
    stream = io.StringIO()
    settings = SecretSettings.model_validate({"log_format": request.param})
    configure(settings, process="example", stream=stream)
    return stream


def log_everywhere(secret: str) -> None:
    logger = structlog.get_logger("ours")
    logger.info("asked", address=f"https://example.org/{quote_plus(secret)}", raw=secret)
    logger.warning("nested", data={"list": [secret]})
    logging.getLogger("theirs").error("sent %s to %r", secret, [secret], extra={"key": secret})
    try:
        raise ValueError(secret)
    except ValueError:
        logger.exception("failed")


@pytest.mark.parametrize("secret", [SECRET, BOT_TOKEN], ids=["by value", "by shape"])
def test_no_line_holds_a_secret(stream: io.StringIO, secret: str) -> None:
    log_everywhere(secret)
    written = stream.getvalue()
    forms = {secret, quote_plus(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1]}
    assert [form for form in forms if form in written] == []
    assert written.count(MASK) >= 6


def test_an_uncaught_exception_is_logged_without_secrets(stream: io.StringIO) -> None:
    error = RuntimeError(SECRET)
    sys.excepthook(RuntimeError, error, None)
    assert MASK in stream.getvalue()
    assert "w" + "örd" not in stream.getvalue()


def test_a_json_line_has_time_level_process_and_bound_context(restored_logging: None) -> None:
    stream = io.StringIO()
    settings = ProcessSettings(log_format="json")
    configure(settings, process="example", stream=stream)
    with structlog.contextvars.bound_contextvars(correlation_id="c-1", job_id="j-1"):
        logging.getLogger("theirs").warning("hello %s", "there")
        structlog.get_logger("ours").debug("unseen")
    line = json.loads(stream.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "hello there",
        "level": "warning",
        "logger": "theirs",
        "process": "example",
        "correlation_id": "c-1",
        "job_id": "j-1",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"POST /bot{BOT_TOKEN}/sendPhoto", f"POST /bot{MASK}/sendPhoto"),
        (f"x={BOT_TOKEN.replace(':', '%3A')}&y", f"x={MASK}&y"),
        ("https://t/file/bot42:abc/photos/1.jpg ok", f"https://t/file/{MASK} ok"),
        ("authorization: Bearer abc.DEF-123", f"authorization: Bearer {MASK}"),
        ("POST /callbacks/kie/tok_en-1/x?y", f"POST /callbacks/kie/{MASK}/x?y"),
        ("POST /callbacks/another-1/tok_en-1", f"POST /callbacks/another-1/{MASK}"),
        ("%2Fcallbacks%2Fkie%2Ftoken", f"%2Fcallbacks%2Fkie%2F{MASK}"),
        ('"https://g/callbacks/kie/token"', f'"https://g/callbacks/kie/{MASK}"'),
        ("an ordinary line: 12:30, job 0190f3", "an ordinary line: 12:30, job 0190f3"),
    ],
)
def test_a_shape_is_masked(text: str, expected: str) -> None:
    assert Redactor()(text) == expected


def test_a_registered_url_also_registers_its_password() -> None:
    redactor = Redactor()
    redactor.register("postgresql://atelier:hunter22@db/atelier")
    assert redactor("password hunter22 refused") == f"password {MASK} refused"


def test_short_values_and_nothing_are_not_registered() -> None:
    redactor = Redactor()
    redactor.register("short", SecretStr(""), None)
    assert redactor("short words stay") == "short words stay"


def test_a_longer_secret_goes_before_one_that_it_contains() -> None:
    redactor = Redactor()
    redactor.register("secret-one", "secret-one-longer")
    assert redactor("<secret-one-longer>") == f"<{MASK}>"
