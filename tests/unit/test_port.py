"""Two tests are never given the same port, in one process or in two."""

from __future__ import annotations

import subprocess
import sys

from tests import port as module
from tests.port import free_port


def test_a_port_is_given_once() -> None:
    given = [free_port() for _ in range(200)]
    assert len(set(given)) == len(given)


def test_another_process_is_not_given_a_port_of_this_one() -> None:
    port = free_port()
    asked = f"from tests.port import _is_ours; print(_is_ours({port}), _is_ours({port}))"
    other = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True)
    assert other.stdout.split() == ["False", "False"], other.stderr
    assert not module._is_ours(port)
