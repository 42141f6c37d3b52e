"""What a million finished jobs and ten thousand queued ones cost those who come after them."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from functools import partial

from tests.bench.client import Client, client
from tests.bench.load import Call, Rounds, Sample, load
from tests.bench.queue import Queue
from tests.bench.table import Line
from tests.bench.world import Part, World, frozen, running
from tests.fill import Filling, fill

FINISHED = 1_000_000
QUEUED = 10_000
SENT = 200
"""How many jobs of the queue are sent and ended in a round."""
CALLERS = 32
PAGE = 20
EMPTY, FULL = "empty database", "Atelier"
Found = dict[str, dict[str, Rounds]]


async def growth(world: World) -> list[Line]:
    """Return the rates on a full database beside those on an empty one."""
    found: Found = defaultdict(lambda: defaultdict(Rounds))
    urls = await _databases(world)
    await _calls(world, urls, found=found)
    await _queues(world, urls, found=found)
    return list(_lines(found, finished=world.jobs or FINISHED))


async def _databases(world: World) -> dict[str, str]:
    """Fill both: the empty one has what is sent in the rounds, and nothing else."""
    urls = {
        name: await world.database(f"growth_{name.replace(' ', '_')}") for name in (EMPTY, FULL)
    }
    few = (world.rounds + 1) * SENT
    await fill(urls[EMPTY], Filling(queued=few, queued_owners=few))
    began = time.monotonic()
    finished = world.jobs or FINISHED
    await fill(urls[FULL], Filling(finished=finished, queued=QUEUED, queued_owners=QUEUED // 10))
    sys.stderr.write(f"filled with {finished:,} jobs in {time.monotonic() - began:.0f} s\n")
    return urls


async def _calls(world: World, urls: Mapping[str, str], *, found: Found) -> None:
    """Measure the calls on processes that send nothing, in turns."""
    parts = {name: world.service(url, "--only", "rpc") for name, url in urls.items()}
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(*parts.values()))
        calls = {
            name: await _called(await stack.enter_async_context(client(part.address)))
            for name, part in parts.items()
        }
        for _ in range(world.rounds):
            for what in calls[EMPTY]:
                for name in (EMPTY, FULL):
                    sample = await _loaded(world, calls[name][what], name=name, parts=parts)
                    found[what][name].samples.append(sample)


async def _called(caller: Client) -> dict[str, Call]:
    last = (await caller.create()).job.id
    return {
        "CreateJob": caller.create,
        "ListJobs": partial(caller.page, size=PAGE),
        "GetJob with its place": partial(caller.get, last),
    }


async def _loaded(world: World, call: Call, *, name: str, parts: Mapping[str, Part]) -> Sample:
    others = [part for other, part in parts.items() if other != name]
    watched = {"own": parts[name].pid, "postgres": world.postgres_pid}
    with frozen(*others):
        return await load([call] * CALLERS, seconds=world.seconds, watched=watched)


async def _queues(world: World, urls: Mapping[str, str], *, found: Found) -> None:
    """Measure what the engine does by itself, in turns."""
    queues = {name: Queue.on(world, url) for name, url in urls.items()}
    async with running(*(queue.kie for queue in queues.values())):
        for _ in range(world.rounds):
            for name, queue in queues.items():
                sent, _ = await queue.send(SENT)
                found["sent"][name].samples.append(sent)
                found["ended"][name].samples.append(await queue.end(SENT))


def _lines(found: Found, *, finished: int) -> Iterator[Line]:
    for what, rounds in found.items():
        row = f"{what}, {finished:,} jobs"
        yield rounds[EMPTY].line(row=row, program=EMPTY)
        yield rounds[FULL].line(row=row, program=FULL, base=rounds[EMPTY])
