"""The callers of `make run`: the bot, the gateway and the user of this machine.

Their tokens are made once and kept, each in a file that only this user reads. The document that the
service reads holds the tokens' hashes and is written anew at each start, for the bot of then.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from pathlib import Path

from runtime.token import new_token, token_hash

FOLDER = Path(".atelier/caller")
DOCUMENT = "callers.toml"
LOCAL_TOKEN = FOLDER / "local"
"""The token of the user of this machine."""

_TEXT = """\
# Made by `make run`. To have callers of your own, set GENERATION_CALLERS_FILE to another file.

[[caller]]
name = "edge"
tokens_sha256 = ["{edge}"]
scopes = ["own_jobs", "deliveries", "sessions", "wallet_read", "wallet_topup"]
owner_prefixes = ["telegram:"]
bot_ids = {bot_ids}

[[caller]]
name = "gateway"
tokens_sha256 = ["{gateway}"]
scopes = ["callbacks"]

# What was made before there were callers is this one's.
[[caller]]
name = "local"
tokens_sha256 = ["{local}"]
scopes = [
    "own_jobs", "all_jobs", "deliveries", "operator_fields", "catalog",
    "wallet_read", "wallet_operate",
]
owner_prefixes = [""]
webhook_secrets = ["{webhook_secret}"]
"""


def make_callers(folder: Path, *, bot_id: int | None) -> Path:
    """Create the callers that are missing and return their document."""
    _make_private(folder)
    hashes = {
        name: token_hash(_kept(folder / name, new_token)).hex()
        for name in ("edge", "gateway", "local")
    }
    secret = _kept(folder / "webhook_secret", _webhook_secret)
    bot_ids = [] if bot_id is None else [bot_id]
    document = folder / DOCUMENT
    _write(document, _TEXT.format(**hashes, webhook_secret=secret, bot_ids=bot_ids))
    return document


def make_link_key(folder: Path) -> Path:
    """Make the key that signs links to media, unless it is there, and return its file."""
    _make_private(folder)
    path = folder / "media_link_key"
    _kept(path, new_token)
    return path


def _make_private(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)


def _kept(path: Path, make: Callable[[], str]) -> str:
    """Return the secret in a file, which is created if there is none."""
    if not (path.exists() and path.read_text()):
        _write(path, make())
    path.chmod(0o600)
    return path.read_text().strip()


def _webhook_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _write(path: Path, text: str) -> None:
    """Write a file that nobody else can read, completely or not at all."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    new.write_text(text)
    new.replace(path)
