"""A process that cannot start with its settings ends soon, with exit code 1 and one line."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

SECRET = "hunter2-nobody-may-read-this"
LONGEST_S = 25.0
"""Five times what is promised: other tests run beside this one."""
COMMON = {
    "KIE_API_KEY": "kie-key",
    "TELEGRAM_BOT_TOKEN": "81234567:AAEe2eBotToken",
    "LOG_LEVEL": "error",
}
STARTS = [
    ("generation_svc", "MEDIA_URL", f"ftp://user:{SECRET}@host/path"),
    ("generation_svc", "MEDIA_URL", "/dev/null/media"),
    ("generation_svc", "DATABASE_URL", "nonsense"),
    ("generation_svc", "DATABASE_URL", "{no such database}"),
    ("generation_svc", "DATABASE_URL", f"postgresql://u:p@127.0.0.1:1/n?require_auth={SECRET}"),
    ("generation_svc", "DATA_FOLDER", "/dev/null/data"),
    ("generation_svc", "METRICS_LISTEN", "no-such-host.invalid:9100"),
    ("generation_svc", "GENERATION_LISTEN", "no-such-host.invalid:50051"),
    ("generation_svc", "GENERATION_TLS_CERTIFICATE_FILE", "/no/such/file"),
    ("callback_gateway", "GATEWAY_LISTEN", "no-such-host.invalid:8080"),
    ("callback_gateway", "METRICS_LISTEN", "no-such-host.invalid:9100"),
    ("callback_gateway", "GENERATION_ADDRESS", f"https://user:{SECRET}@host:50051"),
    ("callback_gateway", "GENERATION_TLS_CA_FILE", "/no/such/file"),
    ("edge_bot", "EDGE_LISTEN", "no-such-host.invalid:8081"),
    ("edge_bot", "TELEGRAM_API_URL", f"https://user:{SECRET}@host"),
    ("edge_bot", "TELEGRAM_BOT_TOKEN", SECRET),
    ("sandbox", "SANDBOX_KIE_LISTEN", "nonsense"),
    ("sandbox", "SANDBOX_KIE_MODEL_DURATION_S", "nonsense"),
    ("sandbox", "SANDBOX_KIE_CREDITS", "much"),
    ("sandbox", "SANDBOX_TELEGRAM_STATE_PATH", "/dev/null/state"),
]


@pytest.mark.parametrize(("module", "name", "value"), STARTS, ids=lambda text: text[:40])
def test_a_start_that_cannot_be_ends_with_one_line(
    tmp_path: Path, postgres_url: str, *, module: str, name: str, value: str
) -> None:
    no_such = urlsplit(postgres_url)._replace(path="/no_such_database").geturl()
    env = {"DATABASE_URL": postgres_url} if name in ("MEDIA_URL", "GENERATION_LISTEN") else {}
    env |= {**COMMON, name: value.replace("{no such database}", no_such)}
    if name == "GENERATION_TLS_CERTIFICATE_FILE":
        env["GENERATION_TLS_KEY_FILE"] = value
    paths = {key: os.environ[key] for key in ("PATH", "PYTHONPATH") if key in os.environ}
    free = {f"{kind}_LISTEN": "127.0.0.1:0" for kind in ("GENERATION", "GATEWAY", "EDGE")}
    free |= {"SANDBOX_KIE_LISTEN": "127.0.0.1:0", "SANDBOX_TELEGRAM_LISTEN": "127.0.0.1:0"}

    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-m", module],
        cwd=tmp_path,
        env={**paths, **free, **env},
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
    )

    assert time.monotonic() - began < LONGEST_S
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout
    assert SECRET not in ended.stderr + ended.stdout
    assert urlsplit(postgres_url).password not in (ended.stderr + ended.stdout).split()
    assert (
        name.removesuffix("_LISTEN") in ended.stderr
        or value in ended.stderr
        or ("database" in ended.stderr)
    )


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (("--only", "gateway"), 2, "generation_svc: argument --only: must be engine or rpc, not"),
        (("--only", "engine"), 1, "DATABASE_URL is missing: with --only, "),
        (("--only", "rpc"), 1, "DATABASE_URL is missing: with --only, "),
    ],
    ids=["unknown", "engine", "rpc"],
)
def test_a_part_that_cannot_run_alone_ends_with_one_line(
    tmp_path: Path, arguments: tuple[str, ...], code: int, line: str
) -> None:
    paths = {key: os.environ[key] for key in ("PATH", "PYTHONPATH") if key in os.environ}
    ended = subprocess.run(
        [sys.executable, "-m", "generation_svc", *arguments],
        cwd=tmp_path,
        env={**paths, **COMMON},
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
    )
    assert ended.returncode == code
    assert ended.stderr.startswith(line)
    assert ended.stderr.count("\n") == 1
