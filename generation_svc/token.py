"""Makes a token for a caller: `python -m generation_svc.token`."""

import sys

from runtime.command_line import take_no_arguments
from runtime.token import new_token, token_hash


def main() -> None:
    """Print a new token, and what the callers' file keeps of it."""
    take_no_arguments(
        "generation_svc.token",
        description="Make a token for a caller, and what the callers’ file keeps of it.",
    )
    token = new_token()
    digest = token_hash(token).hex()
    sys.stdout.write(f'token: {token}\ntokens_sha256 = ["{digest}"]\n')


if __name__ == "__main__":
    main()
