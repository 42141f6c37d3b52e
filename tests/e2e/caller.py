"""The callers of a stack: each process has its own token, and rights for its own work alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from generation_client import Transport

TOKENS: Mapping[str, str] = MappingProxyType(
    {
        "edge": "edge-e2e-token-that-only-the-edges-may-know",
        "gateway": "gateway-e2e-token-that-only-the-gateways-may-know",
        "caller": "caller-e2e-token-that-only-the-test-may-know",
        "shop": "shop-e2e-token-that-only-the-test-may-know",
    }
)
"""The tokens by part of the stack; the caller and the shop are the test itself."""
WEBHOOK_SECRET = "whsec_d2ViaG9vay1lMmUta2V5LXRoYXQtb25seS10aGUtdGVzdC1tYXkta25vdw=="
"""The key that signs the webhooks of the caller."""
SHOP_CREDITS = 70
"""How much the wallet of the shop may owe for the jobs of a month."""
_TEXT = """\
[[caller]]
name = "edge"
tokens_sha256 = ["{edge}"]
scopes = ["own_jobs", "deliveries", "sessions", "wallet_read", "wallet_topup"]
owner_prefixes = ["telegram:"]
bot_ids = [{bot_id}]

[[caller]]
name = "gateway"
tokens_sha256 = ["{gateway}"]
scopes = ["callbacks"]

[[caller]]
name = "caller"
tokens_sha256 = ["{caller}"]
scopes = [
  "own_jobs", "all_jobs", "callbacks", "deliveries", "operator_fields", "catalog",
  "wallet_read", "wallet_topup", "wallet_operate",
]
owner_prefixes = [""]
bot_ids = [{bot_id}]
webhook_secrets = ["{webhook_secret}"]
calls_per_second = 100000
jobs_per_minute = 1000000

[[caller]]
name = "shop"
tokens_sha256 = ["{shop}"]
scopes = ["own_jobs", "wallet_read"]
owner_prefixes = ["shop:"]
wallet = "shop"
monthly_credits = {shop_credits}
calls_per_second = 100000
jobs_per_minute = 1000000
"""


def write_callers(path: Path, *, bot_id: int) -> Path:
    """Write the document that the services of a stack read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hashes = {part: hashlib.sha256(token.encode()).hexdigest() for part, token in TOKENS.items()}
    path.write_text(
        _TEXT.format(
            **hashes, bot_id=bot_id, webhook_secret=WEBHOOK_SECRET, shop_credits=SHOP_CREDITS
        )
    )
    return path


def client_settings(transport: Transport) -> dict[str, str]:
    """Return the settings of a process whose calls shall travel like this."""
    settings = {
        "GENERATION_TLS_CA_FILE": transport.ca_file,
        "GENERATION_TLS_CLIENT_CERTIFICATE_FILE": transport.certificate_file,
        "GENERATION_TLS_CLIENT_KEY_FILE": transport.key_file,
        "GENERATION_TLS_SERVER_NAME": transport.server_name,
    }
    return {name: str(value) for name, value in settings.items() if value}
