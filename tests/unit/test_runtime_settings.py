from pathlib import Path
from typing import cast

import pytest
from pydantic import Field, SecretStr

from runtime.address import Address
from runtime.setting_text import meaning_of
from runtime.settings import Names, ProcessSettings


class ExampleSettings(ProcessSettings):
    example_token: SecretStr
    """The token that the example asks for."""

    example_listen: Address = Field(Address("127.0.0.1", 8080), examples=["127.0.0.1:8080"])
    """Where the example listens."""

    example_limit: int = Field(18, gt=0)
    """How many examples there may be."""

    example_hosts: Names = ()
    """Which hosts are fine."""

    example_url: str | None = None
    """Where the example is."""


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXAMPLE_TOKEN", "from-environment")
    return tmp_path


def test_the_environment_wins_over_the_env_file(working_folder: Path) -> None:
    (working_folder / ".env").write_text("EXAMPLE_TOKEN=from-file\nEXAMPLE_LIMIT=3\nOTHER=x\n")
    settings = ExampleSettings.load()
    assert settings.example_token.get_secret_value() == "from-environment"
    assert settings.example_limit == 3


def test_a_value_with_a_dollar_sign_is_taken_as_it_is(
    working_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EXAMPLE_TOKEN")
    (working_folder / ".env").write_text("EXAMPLE_TOKEN=pa${HOME}ss\n")
    assert ExampleSettings.load().example_token.get_secret_value() == "pa${HOME}ss"


def test_a_file_holds_a_setting(working_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (working_folder / "secret").write_text("from-a-file\n")
    monkeypatch.delenv("EXAMPLE_TOKEN")
    monkeypatch.setenv("EXAMPLE_TOKEN_FILE", str(working_folder / "secret"))
    assert ExampleSettings.load().example_token.get_secret_value() == "from-a-file"


def test_a_file_named_by_the_environment_wins_over_the_env_file(
    working_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (working_folder / "limit").write_text("7")
    (working_folder / ".env").write_text("EXAMPLE_LIMIT=3\n")
    monkeypatch.setenv("EXAMPLE_LIMIT_FILE", str(working_folder / "limit"))
    assert ExampleSettings.load().example_limit == 7


def test_an_empty_value_is_unset_and_hides_the_env_file(
    working_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (working_folder / ".env").write_text("EXAMPLE_URL=https://example.org\n")
    monkeypatch.setenv("EXAMPLE_URL", "")
    monkeypatch.setenv("METRICS_LISTEN", " ")
    settings = ExampleSettings.load()
    assert settings.example_url is None
    assert settings.metrics_listen is None


def test_values_are_read_into_their_types(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXAMPLE_HOSTS", "a.example, b.example ,")
    monkeypatch.setenv("METRICS_LISTEN", "[::1]:9100")
    monkeypatch.setenv("LOG_LEVEL", "WARNING")
    settings = ExampleSettings.load()
    assert settings.example_hosts == ("a.example", "b.example")
    assert settings.metrics_listen == Address("::1", 9100)
    assert settings.log_level == "warning"


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        (
            "EXAMPLE_TOKEN",
            "",
            "settings: EXAMPLE_TOKEN is missing. The token that the example asks for.\n",
        ),
        (
            "EXAMPLE_LISTEN",
            "8080",
            "settings: EXAMPLE_LISTEN is wrong: '8080' is not a host:port address. "
            "Where the example listens. For example: 127.0.0.1:8080\n",
        ),
        (
            "EXAMPLE_LIMIT",
            "0",
            "settings: EXAMPLE_LIMIT is wrong: Input should be greater than 0. "
            "How many examples there may be.\n",
        ),
        (
            "EXAMPLE_TOKEN_FILE",
            "/no/such/file",
            "settings: EXAMPLE_TOKEN_FILE: cannot read /no/such/file: No such file or directory\n",
        ),
    ],
    ids=["missing", "bad address", "out of range", "unreadable file"],
)
def test_a_bad_setting_stops_with_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    name: str,
    value: str,
    line: str,
) -> None:
    if name == "EXAMPLE_TOKEN_FILE":
        monkeypatch.delenv("EXAMPLE_TOKEN")
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stopped:
        ExampleSettings.load()
    assert stopped.value.code == 1
    assert capsys.readouterr().err == line


@pytest.mark.parametrize("text", ["127.0.0.1:0", "localhost:8080", "[::1]:65535"])
def test_an_address_survives_a_round_trip(text: str) -> None:
    assert str(Address.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "dialled"),
    [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80"), ("10.0.0.1:80", "10.0.0.1:80")],
)
def test_what_listens_everywhere_is_dialled_at_the_loopback(text: str, dialled: str) -> None:
    assert str(Address.parse(text).dialled) == dialled


@pytest.mark.parametrize(
    "text", ["", ":1", "host", "host:", "host:x", "host:65536", "::1:80", "[]:1", "host:¹"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"host:port|a port from"):
        Address.parse(text)


def test_what_a_setting_means_is_read_from_below_it_in_one_line() -> None:
    class Inherited(ExampleSettings):
        example_more: int = 0
        """What it means,
        at length."""

        example_bare: int = 0

    meanings = {name: meaning_of(name, settings=Inherited) for name in Inherited.model_fields}
    assert meanings["example_more"] == "What it means, at length."
    assert meanings["example_bare"] == ""
    assert meanings["example_limit"] == "How many examples there may be."
    assert meanings["log_level"] == "How much is logged: debug, info, warning or error."


def test_without_its_source_a_setting_is_named_alone() -> None:
    made = {"ProcessSettings": ProcessSettings, "__name__": "runtime"}
    exec("class Bare(ProcessSettings):\n    bare_limit: int = 0\n    'What it means.'", made)
    assert meaning_of("bare_limit", settings=cast("type[ProcessSettings]", made["Bare"])) == ""
