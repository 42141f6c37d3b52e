"""CreateJob a second, beside one committed INSERT behind bare gRPC and beside two queues."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from itertools import product

from tests.bench.bare.enqueue import WAYS
from tests.bench.client import client
from tests.bench.load import Call, Rounds, Sample, load
from tests.bench.table import Line
from tests.bench.world import Part, World, frozen, running

CALLERS = (1, 32, 256)
COUNTED = 200
"""How many calls the statements are counted over, by a process that does nothing else."""
QUEUES = ("procrastinate", "pgqueuer")
BARE = "bare gRPC + INSERT"


@dataclass(frozen=True)
class _Subject:
    call: Call
    part: Part | None = None
    """The process that is called; none where the call is made by this one."""
    base: str = ""


async def create(world: World) -> list[Line]:
    """Return the rate and cost of accepting a job, by how many callers there are."""
    return [*await rates(world), await accept_counts(world)]


async def rates(
    world: World, *, callers: Sequence[int] = CALLERS, queues: Sequence[str] = QUEUES
) -> list[Line]:
    """Return the rates beside the bare server's, and those of some queues."""
    url = await world.database("create")
    async with AsyncExitStack() as stack:
        subjects = await _subjects(world, url, queues=queues, stack=stack)
        rounds = {number: defaultdict[str, Rounds](Rounds) for number in callers}
        for _ in range(world.rounds):
            for number, (name, subject) in product(callers, subjects.items()):
                sample = await _measured(subject, subjects.values(), world, number)
                rounds[number][name].samples.append(sample)
    return list(_lines(rounds, subjects))


async def accept_counts(world: World) -> Line:
    """Return what one CreateJob asks of the database."""
    part = world.service(await world.database("create_counted"), "--only", "rpc")
    async with running(part), client(part.address) as caller:
        await caller.create()
        async with world.counted() as counts:
            for _ in range(COUNTED):
                await caller.create()
    return Line(
        row="CreateJob, counted",
        program="Atelier",
        values=[counts.statements / COUNTED],
        unit="statements",
        statements=counts.statements / COUNTED,
        transactions=counts.transactions / COUNTED,
        detail=counts.top(per=COUNTED),
    )


async def _subjects(
    world: World, url: str, *, queues: Sequence[str], stack: AsyncExitStack
) -> dict[str, _Subject]:
    """Start the servers, and return what is called, by its name."""
    service = world.service(url, KIE_CREATE_LIMIT="1")  # the engine is there, and has little to do
    insert = world.bare("server", "insert", DATABASE_URL=url)
    await stack.enter_async_context(running(service, insert))
    bare = await stack.enter_async_context(client(insert.address))
    atelier = await stack.enter_async_context(client(service.address))
    subjects = {
        BARE: _Subject(bare.create, insert),
        "Atelier": _Subject(atelier.create, service, BARE),
        "Atelier, one owner": _Subject(partial(atelier.create, owner="bench"), service, "Atelier"),
    }
    for name in queues:
        subjects |= await _queue(world, url, name=name, stack=stack)
    return subjects


async def _queue(
    world: World, url: str, *, name: str, stack: AsyncExitStack
) -> dict[str, _Subject]:
    """Return a queue behind a bare server, and called by this process."""
    part = world.bare("server", name, DATABASE_URL=url)
    await stack.enter_async_context(running(part))
    caller = await stack.enter_async_context(client(part.address))
    enqueue = await stack.enter_async_context(WAYS[name](url))
    return {
        f"bare gRPC + {name}": _Subject(caller.create, part, BARE),
        f"{name}, direct": _Subject(partial(enqueue, "", caller.request()), None, BARE),
    }


async def _measured(
    subject: _Subject, all_subjects: Iterable[_Subject], world: World, callers: int
) -> Sample:
    """Measure one while all the others stand still."""
    others = {id(each.part): each.part for each in all_subjects if each.part is not subject.part}
    watched = {"own": subject.part.pid} if subject.part else {}
    with frozen(*filter(None, others.values())):
        return await load(
            [subject.call] * callers,
            seconds=world.seconds,
            watched={**watched, "postgres": world.postgres_pid},
        )


def _lines(
    rounds: Mapping[int, Mapping[str, Rounds]], subjects: Mapping[str, _Subject]
) -> Iterator[Line]:
    for callers, found in rounds.items():
        for name, subject in subjects.items():
            base = found[subject.base] if subject.base else None
            yield found[name].line(row=f"CreateJob, {callers}", program=name, base=base)
