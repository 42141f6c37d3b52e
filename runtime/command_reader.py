"""Reads command lines, and says in one line what is wrong with them."""

from __future__ import annotations

import argparse
from typing import NoReturn


class CommandReader(argparse.ArgumentParser):
    """Reads a command line in which every option is written in full."""

    def __init__(self, prog: str, *, description: str) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """End the process with exit code 2 and the message alone, without the usage."""
        self.exit(2, f"{self.prog}: {message}\n")
