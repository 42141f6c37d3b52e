"""Whole lives: from CreateJob through createTask, callback and stored picture to the update."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import LiteralString

import psycopg

from tests.bench.bare.chain import FEWEST_COMMITS
from tests.bench.client import Client, client
from tests.bench.load import Call, Rounds, Sample, batch, steadily
from tests.bench.statement import Counts
from tests.bench.table import Line
from tests.bench.world import Part, World, frozen, running
from tests.e2e.person import SandboxTelegram
from tests.e2e.program import until
from tests.e2e.stack import BOT_TOKEN
from tests.port import free_address

JOBS = 100
"""How many jobs a round has."""
CALLERS = 32
COUNTED = 50
STEADY_S = 0.3
"""How long a task takes where jobs come one by one: createTask is answered before it ends."""
PER_SECOND = 5
"""At which rate jobs come whose statements are counted."""
ROW = "whole life"
RAISED = {"KIE_CREATE_LIMIT": "1000", "KIE_MAX_CONCURRENT": "10000"}
"""A budget that no row here uses up."""
_COMMITS = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
_FSYNCS = "SELECT sum(fsyncs)::bigint FROM pg_stat_io WHERE object = 'wal'"


@dataclass(frozen=True)
class System:
    """A service with a gateway and a KIE, or the bare chain with the same."""

    service: Part
    gateway: Part
    kie: Part
    client: Client
    database_url: str

    @property
    def parts(self) -> tuple[Part, ...]:
        return self.kie, self.service, self.gateway


async def _leave(database_url: str) -> None:
    """Leave a database as it is."""


@asynccontextmanager
async def atelier(
    world: World,
    name: str,
    *,
    duration_s: float = 0,
    model_id: str = "z-image",
    prepare: Callable[[str], Awaitable[None]] = _leave,
    **settings: str,
) -> AsyncIterator[System]:
    """Run the service and its gateway on a database of their own, and warm them up."""
    url, kie = await world.database(name), world.bare("kie", DURATION_S=str(duration_s))
    listen = free_address()
    service = world.service(
        url,
        kie=kie.address,
        **{**RAISED, **settings},
        CALLBACK_BASE_URL=f"http://{listen}",
    )
    gateway = world.gateway(service.address, listen=listen)
    way = client(service.address, model_id=model_id)
    await prepare(url)
    async with running(kie, service, gateway), way as caller:
        await caller.live()
        yield System(service, gateway, kie, caller, url)


@asynccontextmanager
async def bare_chain(
    world: World, url: str, *, commits: int, duration_s: float = 0, telegram: str = ""
) -> AsyncIterator[System]:
    """Run the chain that does the same work without any logic, and warm it up."""
    listen, kie = free_address(), world.bare("kie", DURATION_S=str(duration_s))
    folder = world.folder / f"chain-{listen}"
    folder.mkdir()
    chain = world.bare(
        "chain",
        str(commits),
        DATABASE_URL=url,
        KIE_ADDRESS=kie.address,
        GATEWAY_ADDRESS=listen,
        MEDIA_FOLDER=str(folder),
        TELEGRAM_ADDRESS=telegram,
        TELEGRAM_TOKEN=BOT_TOKEN,
    )
    gateway = world.bare("gateway", LISTEN=listen, GENERATION_ADDRESS=chain.address)
    async with running(kie, chain, gateway), client(chain.address) as caller:
        await caller.live()
        yield System(chain, gateway, kie, caller, url)


async def life(world: World) -> list[Line]:
    """Return the rate and cost of whole lives, beside chains of as many and of fewest commits."""
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(atelier(world, "life"))
        commits = await _commits(world, ours)
        systems, found = {"Atelier": ours}, {"Atelier": Rounds()}
        for number in (round(commits), FEWEST_COMMITS):
            chain = bare_chain(world, ours.database_url, commits=number)
            name = f"bare chain, {number} commits"
            systems[name], found[name] = await stack.enter_async_context(chain), Rounds()
        for _ in range(world.rounds):
            for name, system in systems.items():
                others = [each for each in systems.values() if each is not system]
                found[name].samples.append(await _lived(world, system, others=others))
    async with atelier(world, "life_counted", duration_s=STEADY_S) as ours:
        counts = [await life_counts(world, ours, has_chat=is_so) for is_so in (False, True)]
    return [*_lines(found), *counts]


def _lines(found: dict[str, Rounds]) -> Iterator[Line]:
    mine, *chains = found
    for chain in chains:
        yield found[chain].line(row=ROW, program=chain)
        yield found[mine].line(row=ROW, program=f"{mine} / {chain}", base=found[chain])


async def _lived(world: World, system: System, *, others: Sequence[System] = ()) -> Sample:
    watched = {
        "own": system.service.pid,
        "gateway": system.gateway.pid,
        "postgres": world.postgres_pid,
    }
    calls = [system.client.live] * JOBS
    with frozen(*(part for other in others for part in other.parts)):
        return await batch(calls, callers=CALLERS, watched=watched)


async def _commits(world: World, system: System) -> float:
    """Return how many transactions a job writes, so many at once as in a round."""
    before = await _asked(system.database_url, _COMMITS)
    await _lived(world, system)
    return (await _asked(system.database_url, _COMMITS) - before) / JOBS


async def life_counts(
    world: World,
    system: System,
    *,
    has_chat: bool = False,
    jobs: int = COUNTED,
    row: str = "whole life, counted",
) -> Line:
    """Return what a whole life asks of the database, the replica's own work included."""
    async with AsyncExitStack() as stack:
        calls: list[Call] = [system.client.live] * jobs
        if has_chat:
            first, *calls = await stack.enter_async_context(_chats(world, system, count=jobs + 1))
            await first()
        fsyncs = await _asked(system.database_url, _FSYNCS)
        async with world.counted() as counts:
            await steadily(calls, per_second=PER_SECOND)
        fsyncs = await _asked(system.database_url, _FSYNCS) - fsyncs
    row = "whole life, to a chat, counted" if has_chat else row
    return _count_line(counts, fsyncs=fsyncs, jobs=jobs, row=row)


def _count_line(counts: Counts, *, fsyncs: float, jobs: int, row: str) -> Line:
    return Line(
        row=row,
        program="Atelier",
        values=[counts.statements / jobs],
        unit="statements",
        statements=counts.statements / jobs,
        transactions=counts.transactions / jobs,
        fsyncs=fsyncs / jobs,
        detail=counts.top(per=jobs),
    )


@asynccontextmanager
async def _chats(world: World, system: System, *, count: int) -> AsyncIterator[list[Call]]:
    """Give whole lives until the picture is in a chat on Telegram, each in a chat of its own."""
    part = world.telegram()
    edge = world.edge(system.service.address, telegram=part.address)
    async with running(part, edge):
        telegram = SandboxTelegram(part.address)
        yield [await _chat(telegram, system.client) for _ in range(count)]


async def _chat(telegram: SandboxTelegram, caller: Client) -> Call:
    chat = await new_chat(telegram, caller)

    async def live() -> None:
        await chat.live()
        await until(partial(_is_sent, telegram, chat.chat_id), within_s=30, what="a picture")

    return live


async def new_chat(telegram: SandboxTelegram, caller: Client) -> Client:
    """Return a caller whose results go to somebody new, with a message that shows the progress."""
    person = await telegram.person()
    await person.says("/start")
    said = partial(telegram.calls, "sendMessage", chat_id=person.number)
    await until(said, within_s=30, what="the bot's welcome")
    order = {"chat_id": person.number, "text": "Your picture is on its way."}
    shown = await telegram.send("POST", f"/bot{BOT_TOKEN}/sendMessage", json=order)
    return Client(caller.stub, person.number, shown["result"]["message_id"])


async def _is_sent(telegram: SandboxTelegram, chat_id: int) -> bool:
    found = [await telegram.calls(name, chat_id=chat_id) for name in ("sendPhoto", "sendDocument")]
    return any(found)


async def _asked(database_url: str, question: LiteralString) -> int:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        row = await (await connection.execute(question)).fetchone()
    assert row
    return int(row[0])
