"""Makes a token for a caller: `python -m generation_svc.token`."""

import hashlib
import secrets
import sys

TOKEN_BYTES = 32
"""The entropy of a token: 256 bits, so that its plain SHA-256 gives nothing away."""


def main() -> None:
    """Print a new token, and what the callers' file keeps of it."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    digest = hashlib.sha256(token.encode()).hexdigest()
    sys.stdout.write(f'token: {token}\ntokens_sha256 = ["{digest}"]\n')


if __name__ == "__main__":
    main()
