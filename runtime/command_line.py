"""The command line of a program that takes no arguments: who asks for help starts nothing."""

from __future__ import annotations

import sys

SETTINGS = "Its settings come from the environment, and from a file .env in its working folder."
"""What the help of most programs says of them."""


def take_no_arguments(prog: str, *, description: str) -> None:
    """Go on if there are none; print the help for `--help`, and end with 2 for any other."""
    if sys.argv[1:]:
        from runtime.command_reader import CommandReader  # hardly any start has arguments

        CommandReader(prog, description=description).parse_args()
