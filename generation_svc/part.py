"""The parts of the service, which run in one process or apart: `--only rpc`, `--only engine`."""

import argparse
from collections.abc import Sequence
from enum import StrEnum


class Part(StrEnum):
    """What a process of the service does; nothing but the database lies between the parts."""

    RPC = "rpc"
    """Answers calls."""
    ENGINE = "engine"
    """Does the work that the clock starts, and listens for no calls."""


BOTH = frozenset(Part)
"""What a process does unless it is told to do one alone."""


def read_parts(arguments: Sequence[str]) -> frozenset[Part]:
    """Return the parts that a command line asks for, or end the process with exit code 2."""
    if not arguments:
        return BOTH
    from runtime.command_line import SETTINGS  # hardly any start has arguments
    from runtime.command_reader import CommandReader

    parser = CommandReader("generation_svc", description=f"Run the generation service. {SETTINGS}")
    parser.add_argument(
        "--only",
        type=_part,
        action="append",
        metavar="engine|rpc",
        help="run this part alone, beside processes on the same database that run the other",
    )
    only: list[Part] = parser.parse_args(arguments).only or []
    if len(only) > 1:  # the last one alone would run, and nothing would say so
        parser.error("argument --only: must be given once; both parts run without it")
    return frozenset(only) or BOTH


def _part(word: str) -> Part:
    try:
        return Part(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be engine or rpc, not {word!r}") from None
