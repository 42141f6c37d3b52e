"""Who calls the attacked service: the parts of the stack, and an attacker with every right."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.e2e.caller import TOKENS, write_callers
from tests.e2e.stack import BOT_ID

HOOKED_TOKEN = "91234567:AAEotherBotTokenThatNobodyElseMayEverSee"
HOOKED_ID = int(HOOKED_TOKEN.partition(":")[0])
"""The bot of the edge that has a webhook."""
FUZZ_TOKEN = "fuzz-token-that-only-the-attacker-may-know"
BEARERS = (
    *(f"Bearer {FUZZ_TOKEN}",) * 30,
    *(f"Bearer {token}" for token in TOKENS.values()),
    "Bearer ",
    "Bearer nobody-has-this-token-at-all",
    "Basic Zm9v",
    "",
)
"""What a call says of its caller: mostly one who may do all there is to do."""
_TEXT = """
[[caller]]
name = "fuzz"
tokens_sha256 = ["{digest}"]
scopes = [
  "own_jobs", "all_jobs", "callbacks", "deliveries", "sessions", "money",
  "wallet_read", "wallet_topup", "wallet_operate",
]
owner_prefixes = [""]
bot_ids = [{bots}, 1, 2, 7, 100]
calls_per_second = 100000
jobs_per_minute = 1000000
"""


def write_access(path: Path) -> Path:
    """Write the callers of a stack, whose edges have two bots, and the attacker."""
    bots = f"{BOT_ID}, {HOOKED_ID}"
    usual = write_callers(path, bot_id=BOT_ID).read_text()
    digest = hashlib.sha256(FUZZ_TOKEN.encode()).hexdigest()
    known = usual.replace(f"bot_ids = [{BOT_ID}]", f"bot_ids = [{bots}]")
    path.write_text(known + _TEXT.format(digest=digest, bots=bots))
    return path
