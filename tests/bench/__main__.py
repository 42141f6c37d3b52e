"""`make bench`: the service beside its own floor and beside what else one would use, in one run.

The rates are those of this machine at this moment; what can be compared are the ratios, the CPU
and the counts. `ROWS=create,idle` measures some rows, `--json` prints for machines.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType

import uvloop

from runtime.file_limit import raise_file_limit
from tests.bench.burst import burst
from tests.bench.callback import callback
from tests.bench.chat import chat
from tests.bench.create import create
from tests.bench.gateway import gateway
from tests.bench.growth import growth
from tests.bench.hot import hot
from tests.bench.idle import idle
from tests.bench.life import life
from tests.bench.memory import memory
from tests.bench.news import get, news
from tests.bench.paid import paid
from tests.bench.read import read
from tests.bench.replicas import replicas
from tests.bench.restart import restart
from tests.bench.start import start
from tests.bench.stream import stream
from tests.bench.table import Line, table
from tests.bench.world import World, world

FOLDER = Path(".atelier/bench").absolute()
Row = Callable[[World], Awaitable[list[Line]]]
ROWS: Mapping[str, Row] = MappingProxyType(
    {
        "create": create,
        "paid": paid,
        "life": life,
        "idle": idle,
        "read": read,
        "callback": callback,
        "gateway": gateway,
        "stream": stream,
        "start": start,
        "get": get,
        "news": news,
        "burst": burst,
        "chat": chat,
        "hot": hot,
        "restart": restart,
        "replicas": replicas,
        "memory": memory,
        "growth": growth,
    }
)
"""Every row by its name."""
LONG = ("growth",)
"""The rows that are measured only when they are named: each takes some minutes."""
USUAL = [name for name in ROWS if name not in LONG]


async def main(options: argparse.Namespace) -> None:
    """Measure the rows and print one table."""
    began, before, lines = time.monotonic(), os.getloadavg(), list[Line]()
    async with world(
        FOLDER, rounds=options.rounds, seconds=options.seconds, jobs=options.jobs
    ) as measured:
        for name in options.rows:
            sys.stderr.write(f"measuring {name}\n")
            lines += await ROWS[name](measured)
    load = {"before": before[0], "after": os.getloadavg()[0]}
    sys.stdout.write(f"{as_json(lines, load) if options.json else table(lines)}\n")
    sys.stderr.write(f"in {time.monotonic() - began:.0f} s; load average {load}\n")


def as_json(lines: Sequence[Line], load: Mapping[str, float]) -> str:
    """Return the lines for machines."""
    return json.dumps({"load_average": load, "lines": [asdict(each) for each in lines]}, indent=1)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rows", type=_rows, default=USUAL, help=", ".join(ROWS))
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each row")
    parser.add_argument("--seconds", type=float, default=2.0, help="of one round of one program")
    parser.add_argument("--jobs", type=int, default=0, help="of the rows memory and growth")
    parser.add_argument("--json", action="store_true", help="print for machines")
    return parser.parse_args(arguments)


def _rows(text: str) -> list[str]:
    names = text.split(",") if text else USUAL
    if unknown := set(names) - set(ROWS):
        raise argparse.ArgumentTypeError(f"no row is named {', '.join(sorted(unknown))}")
    return names


if __name__ == "__main__":
    raise_file_limit()
    uvloop.run(main(_options(sys.argv[1:])))
