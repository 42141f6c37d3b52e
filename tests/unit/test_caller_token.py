"""The token tool: what it prints is what the callers' file takes."""

import hashlib
import subprocess
import sys

from generation_svc.caller import parse_callers


def printed() -> tuple[str, str]:
    command = [sys.executable, "-m", "generation_svc.token"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return lines[0].removeprefix("token: "), lines[1]


def test_a_token_is_long_and_its_line_fits_into_the_callers_file() -> None:
    token, line = printed()
    (grant,) = parse_callers(f'[[caller]]\nname = "edge"\n{line}\n')
    assert grant.token_hashes == {hashlib.sha256(token.encode()).digest()}
    assert len(token) >= 43  # 256 bits in Base64
    assert printed()[0] != token
