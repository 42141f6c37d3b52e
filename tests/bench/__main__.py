"""`make bench`: the service beside bare gRPC and bare PostgreSQL, measured in the same run.

The numbers are those of this machine at this moment; what can be compared are the ratios.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from generation_svc.storage.embedded.server import embedded_postgres
from generation_svc.storage.migrate import migrate
from tests.bench.call import Replica, inserts, replica
from tests.bench.cancel import left_per_cancel
from tests.bench.load import Sample, load
from tests.bench.wait import notifications, outcomes, updates

FOLDER = Path(".atelier/bench").absolute()
CALLERS = (1, 8, 32)
INSERT = "committed INSERT"
Rates = Mapping[str, Mapping[int, Sample]]
BASELINES = {"GetJob": "bare echo", "CreateJob": INSERT}
"""What each call is compared with."""


async def main() -> None:
    """Measure everything and print two tables."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(embedded_postgres(FOLDER / "postgres"))
        await asyncio.to_thread(migrate, url)
        one = await stack.enter_async_context(replica(url, FOLDER / "one"))
        other = await stack.enter_async_context(replica(url, FOLDER / "other"))
        rates = await _rates(one, database_url=url)
        _say(rate_table(rates))
        waits = {
            "NOTIFY to LISTEN, bare": await notifications(url),
            "bare echo": rates["bare echo"][1],
            "CreateJob": rates["CreateJob"][1],
            "cancel here to stream there": await updates(one, other),
        }
        left = await left_per_cancel(one)
    async with embedded_postgres(FOLDER / "postgres-stack") as url:
        waits["callback to leased outcome"] = await outcomes(FOLDER, database_url=url)
    _say(wait_table(waits))
    _say(f"kB left by a cancelled call, until its connection ends    {left:.2f}")


async def _rates(one: Replica, *, database_url: str) -> Rates:
    rates: dict[str, dict[int, Sample]] = {}
    for name, call in (await one.calls()).items():
        rates[name] = {callers: await load([call] * callers) for callers in CALLERS}
    rates[INSERT] = {}
    for callers in CALLERS:
        async with inserts(database_url, callers=callers) as calls:
            rates[INSERT][callers] = await load(calls)
    return rates


def rate_table(rates: Rates) -> str:
    """Return calls a second by callers, and each as a share of what it is compared with."""
    heads = "".join(f"{callers:>9} " for callers in CALLERS)
    lines = [f"calls a second, by callers     {heads}"]
    for name, samples in rates.items():
        cells = "".join(f"{samples[callers].per_second:>9,.0f} " for callers in CALLERS)
        lines.append(f"{name:<31}{cells}")
    for name, baseline in BASELINES.items():
        shares = (rates[name][n].per_second / rates[baseline][n].per_second for n in CALLERS)
        cells = "".join(f"{share:>9.0%} " for share in shares)
        lines.append(f"{f'{name} / {baseline}':<31}{cells}")
    return "\n".join(lines)


def wait_table(waits: Mapping[str, Sample]) -> str:
    """Return how long each wait is, in milliseconds."""
    lines = [f"{'milliseconds':<31}{'p50':>9} {'p99':>9}"]
    lines += [f"{name:<31}{each.p50_ms:>9.1f} {each.p99_ms:>9.1f}" for name, each in waits.items()]
    return "\n".join(lines)


def _say(text: str) -> None:
    sys.stdout.write(f"\n{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
