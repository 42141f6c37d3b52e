from datetime import datetime
from io import StringIO
from pathlib import Path

import pytest
from honcho.printer import Message

from devrun.caller import make_callers
from devrun.run import (
    SANDBOX_TOKEN,
    PlainPrinter,
    RunSettings,
    commands,
    credentials,
    environment,
    links,
)
from devrun.welcome import WelcomeSettings, text
from generation_svc.caller import parse_callers
from generation_svc.domain.top_up import parse_packs

KIE_KEY, BOT_TOKEN = "key-of-the-account", "123456789:token-of-the-bot"
REAL = {"KIE_API_KEY": KIE_KEY, "TELEGRAM_BOT_TOKEN": BOT_TOKEN}


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in (*RunSettings.model_fields, "callback_base_url", "generation_callers_file"):
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path


def told(folder: Path, **variables: str) -> dict[str, str]:
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    return environment(RunSettings.load())


def test_without_keys_everything_is_the_sandbox(working_folder: Path) -> None:
    env = told(working_folder, SANDBOX_KIE_LISTEN="127.0.0.1:1", SANDBOX_TELEGRAM_LISTEN="[::]:2")
    assert env["KIE_API_URL"] == env["KIE_UPLOAD_URL"] == "http://127.0.0.1:1"
    assert env["KIE_RESULT_HOSTS"] == env["SANDBOX_KIE_LISTEN"] == "127.0.0.1:1"
    assert env["TELEGRAM_API_URL"] == "http://[::1]:2"
    assert env["TELEGRAM_BOT_TOKEN"] == env["SANDBOX_TELEGRAM_TOKEN"] == SANDBOX_TOKEN
    assert env["CALLBACK_BASE_URL"] == "http://127.0.0.1:8080"
    assert next(iter(commands(RunSettings.load()))) == "sandbox"


def test_with_both_keys_there_is_no_sandbox(working_folder: Path) -> None:
    env = told(working_folder, **REAL, CALLBACK_BASE_URL="https://callbacks.example.org")
    assert not {*REAL, "CALLBACK_BASE_URL", "KIE_API_URL", "TELEGRAM_API_URL"} & set(env)
    assert env["SANDBOX_KIE_LISTEN"] == env["SANDBOX_TELEGRAM_LISTEN"] == ""
    assert "sandbox" not in commands(RunSettings.load())


def test_keys_of_several_accounts_are_keys_too(working_folder: Path) -> None:
    env = told(working_folder, KIE_API_KEYS="one:key-1,two:key-2")
    assert not {"KIE_API_KEY", "KIE_API_URL"} & set(env)
    assert env["SANDBOX_KIE_LISTEN"] == ""


def test_without_keys_credits_are_sold_for_stars_that_cost_nothing(working_folder: Path) -> None:
    env = told(working_folder)
    assert (env["MONEY"], parse_packs(env["STAR_PACKS"])[0].stars) == ("test", 100)
    assert env["EDGE_SUPPORT"].startswith("@")
    own = told(working_folder, STAR_PACKS="tiny=1:1", EDGE_SUPPORT="@me")
    assert (own["MONEY"], own["STAR_PACKS"], own["EDGE_SUPPORT"]) == ("test", "tiny=1:1", "@me")


@pytest.mark.parametrize(
    "set_",
    [
        {"KIE_API_KEY": KIE_KEY},
        {"TELEGRAM_BOT_TOKEN": BOT_TOKEN},
        {"DATABASE_URL": "postgresql://db/own"},
        {"UNPAID_MODELS": "allow"},
        {"MONEY": "test"},
    ],
    ids=lambda each: next(iter(each)),
)
def test_nothing_is_sold_unasked_where_something_is_real(
    working_folder: Path, set_: dict[str, str]
) -> None:
    assert not {"MONEY", "STAR_PACKS", "EDGE_SUPPORT"} & set(told(working_folder, **set_))


@pytest.mark.parametrize("real", REAL)
def test_a_part_without_its_key_is_the_sandbox(working_folder: Path, real: str) -> None:
    env = told(working_folder, **{real: REAL[real]})
    assert ("KIE_API_URL" in env) is (real != "KIE_API_KEY")
    assert ("TELEGRAM_API_URL" in env) is (real != "TELEGRAM_BOT_TOKEN")
    assert "sandbox" in commands(RunSettings.load())


def test_the_parts_find_each_other_wherever_they_listen(working_folder: Path) -> None:
    env = told(working_folder, GENERATION_LISTEN="0.0.0.0:1", GATEWAY_LISTEN="127.0.0.1:2")
    assert env["GENERATION_ADDRESS"] == "127.0.0.1:1"
    assert env["CALLBACK_BASE_URL"] == "http://127.0.0.1:2"


@pytest.mark.parametrize(
    ("asked", "url"), [("", ""), ("https://bot.example.org", "http://127.0.0.1:8081")]
)
def test_the_sandbox_posts_updates_to_this_machine(
    working_folder: Path, asked: str, url: str
) -> None:
    assert told(working_folder, TELEGRAM_WEBHOOK_URL=asked)["TELEGRAM_WEBHOOK_URL"] == url


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (["edge_bot started (pid=7)", "edge_bot stopped (rc=-9)", "sandbox stopped (rc=-15)"], -9),
        (["edge_bot started (pid=7)", "edge_bot stopped (rc=0)"], 0),
        (["edge_bot stopped (rc=1)", "sandbox stopped (rc=0)"], None),
        (["SIGINT received", "edge_bot stopped (rc=0)"], None),
    ],
    ids=["killed", "ended", "has said why", "asked to"],
)
def test_a_process_that_ended_without_a_word_is_named(said: list[str], shown: int | None) -> None:
    output = StringIO()
    printer = PlainPrinter(output)
    for line in said:
        printer.write(Message("line", f"{line}\n", datetime.now(), "system", None))
    line = f"edge_bot ended (exit code {shown}), so everything stops.\n"
    assert output.getvalue() == ("" if shown is None else line)


def test_it_is_quiet_unless_asked_to_log(working_folder: Path) -> None:
    assert told(working_folder)["LOG_LEVEL"] == "warning"
    assert "LOG_LEVEL" not in told(working_folder, LOG_LEVEL="debug")


@pytest.mark.parametrize(
    ("token", "chat"),
    [(SANDBOX_TOKEN, "http://127.0.0.1:8092"), (BOT_TOKEN, "your bot in Telegram")],
    ids=["sandbox", "real"],
)
def test_the_welcome_says_where_to_chat(token: str, chat: str) -> None:
    assert f"Chat     {chat}\n" in text(
        WelcomeSettings.model_validate({"telegram_bot_token": token})
    )


def test_each_process_is_told_its_own_token(working_folder: Path) -> None:
    told = credentials(RunSettings.load())
    assert set(told) == {"generation_svc", "edge_bot", "callback_gateway"}
    tokens = [
        Path(told[name]["GENERATION_TOKEN_FILE"]) for name in ("edge_bot", "callback_gateway")
    ]
    assert [path.name for path in tokens] == ["edge", "gateway"]
    assert len({path.read_text() for path in tokens}) == 2


def test_callers_that_are_configured_are_respected(working_folder: Path) -> None:
    (working_folder / "own.toml").write_text("[[caller]]")
    (working_folder / ".env").write_text("GENERATION_CALLERS_FILE=own.toml\n")
    assert credentials(RunSettings.load()) == {}
    assert not (working_folder / ".atelier").exists()
    assert "Bearer $TOKEN" in text(WelcomeSettings.load())


def test_links_lead_to_the_gateway_here_and_keep_their_key(working_folder: Path) -> None:
    told = [links(RunSettings.load()) for _ in range(2)]
    assert told[0]["MEDIA_BASE_URL"] == "http://127.0.0.1:8080"
    keys = [Path(each["MEDIA_LINK_KEY_FILE"]) for each in told]
    assert len(keys[0].read_text()) >= 32
    assert keys[0] == keys[1]
    assert keys[0].stat().st_mode & 0o077 == 0


def test_links_to_a_public_address_have_a_key_of_yours(working_folder: Path) -> None:
    (working_folder / ".env").write_text("MEDIA_BASE_URL=https://media.example.org\n")
    assert links(RunSettings.load()) == {}


def test_tokens_are_kept_and_the_bot_is_the_one_of_now(tmp_path: Path) -> None:
    before = make_callers(tmp_path, bot_id=1).read_text()
    after = make_callers(tmp_path, bot_id=2).read_text()
    assert after == before.replace("bot_ids = [1]", "bot_ids = [2]")
    edge, gateway, local = (grant.caller for grant in parse_callers(after))
    assert edge.bot_ids == frozenset({2})
    assert gateway.scopes == {"callbacks"}
    assert local.sees is None
    assert len(local.webhook_secrets) == 1
    assert {"operator_fields", "catalog"} <= local.scopes


def test_a_token_that_was_never_written_is_made(tmp_path: Path) -> None:
    make_callers(tmp_path, bot_id=None)
    (tmp_path / "edge").write_text("")
    make_callers(tmp_path, bot_id=None)
    assert len((tmp_path / "edge").read_text()) == 43


def test_the_welcome_shows_a_command_for_tls() -> None:
    settings = {"generation_tls_certificate_file": "c.pem", "generation_tls_ca_file": "ca.pem"}
    shown = text(WelcomeSettings.model_validate(settings))
    assert "grpcurl -cacert ca.pem \\\n" in shown
    assert "-plaintext" not in shown
