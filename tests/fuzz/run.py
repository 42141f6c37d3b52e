"""One run: the stack, the storms at its doors, and what is left standing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from atelier.generation.v1 import generation_service_pb2 as pb
from tests.e2e.person import Person, SandboxTelegram
from tests.e2e.program import client, until
from tests.e2e.secret import leaks_of
from tests.e2e.stack import BOT_ID, Shape, Stack, stack
from tests.fuzz import connection, gateway, rpc, telegram
from tests.fuzz.access import HOOKED_ID, write_access
from tests.fuzz.door import Tally
from tests.fuzz.invariant import broken
from tests.fuzz.known import Known, gather
from tests.fuzz.money import PACKS, TOLD, ledger_differences
from tests.fuzz.odd import Odd
from tests.port import free_address

MORE_MEMORY_BYTES = 192 << 20
"""What a process may hold more after the storms than before."""
END_S = 180.0
"""How long the jobs that the storms made may take."""


@dataclass(frozen=True)
class Outcome:
    """What came of a run."""

    tallies: list[Tally]
    jobs: int
    """How many jobs the inputs became."""
    findings: list[str]


def shape(folder: Path) -> Shape:
    """Return a stack that is quick, so that the doors are what is tried."""
    gateway_listen = free_address()
    return Shape(
        gateway_listen=gateway_listen,
        service={
            "KIE_CREATE_LIMIT": "1000",
            "KIE_READ_LIMIT": "1000",
            "OWNER_MAX_ACTIVE_JOBS": "100000",
            "MONEY": "test",
            "STAR_PACKS": PACKS,
            "GENERATION_CALLERS_FILE": str(write_access(folder / "access.toml")),
            "MEDIA_BASE_URL": f"http://{gateway_listen}",
            "MEDIA_LINK_KEY": "a key that signs links in tests alone",
        },
        edge={"EDGE_SUPPORT": "@support"},  # else each question about a payment is an error
        sandbox={
            "SANDBOX_KIE_CREATE_LIMIT": "1000",
            "SANDBOX_KIE_READ_LIMIT": "1000",
            "SANDBOX_KIE_DURATION_S": "0.1",
        },
    )


@asynccontextmanager
async def token_health(folder: Path, *, database_url: str) -> AsyncIterator[Stack]:
    """Start the stack with an edge in each mode."""
    async with stack(folder, database_url=database_url, shape=shape(folder)) as running:
        hooked = telegram.hooked_edge(running.edge, folder)
        hooked.start()
        try:
            await hooked.ready()
            running.edges.append(hooked)
            yield running
        finally:
            await hooked.stop()


async def run(running: Stack, *, seed: int, inputs: int) -> Outcome:
    """Attack every door with so many inputs and tell what must not be."""
    known = await gather(running)
    before = await _memory(running)
    tallies = [
        await gateway.storm(running, known, Odd(f"{seed} gateway"), inputs=inputs),
        await rpc.storm(running, known, seed=seed, inputs=inputs),
        await rpc.storm(
            running, known, seed=seed, inputs=inputs, door="wallet", methods=rpc.ABOUT_MONEY
        ),
        await telegram.storm(running, known, str(seed), inputs=inputs),
        await connection.storm(running, Odd(f"{seed} connection"), inputs=inputs),
    ]
    findings = [each for tally in tallies for each in tally.findings]
    findings += await _after(running, known, before=before)
    jobs = int(await running.history.value("SELECT count(*) FROM job"))
    return Outcome(tallies, jobs, findings)


async def _after(running: Stack, known: Known, *, before: dict[str, float]) -> list[str]:
    """Return what is not as it should be when all is quiet again."""
    findings = [f"{each.name} has ended" for each in running.programs if not each.is_alive]
    if findings:
        return [*findings, *_complaints(running)]
    try:
        for bot_id in (BOT_ID, HOOKED_ID):
            await _is_served(running, bot_id=bot_id)
        await _links_hold(running, known)
        await _end_all(running, known)
    except AssertionError as error:
        findings.append(str(error)[:3000])
    after = await _memory(running)
    grown = {name: after[name] - before[name] for name in after}
    return [
        *findings,
        *_complaints(running),
        *await broken(running.history),
        *await ledger_differences(running),
        *await leaks_of(running),
        *(
            f"{name} grew by {more / 2**20:.0f} MiB"
            for name, more in grown.items()
            if more > MORE_MEMORY_BYTES
        ),
    ]


async def _links_hold(running: Stack, known: Known) -> None:
    """See that links to media still give what they gave."""
    for token, digest in zip(known.links, known.sha256, strict=True):
        async with client(running.gateway_url) as http:
            answer = await http.get(f"/media/{token}")
        assert sha256(answer.content).hexdigest() == digest, f"a link gave {answer.status_code}"


async def _is_served(running: Stack, *, bot_id: int) -> None:
    """See that a person still gets a picture from this bot."""
    number = (await running.telegram.person(language_code="en")).number
    guest = _Guest(running.telegram, number, bot_id=bot_id)
    await guest.asks_for("a picture after the storm")
    await guest.gets_picture(within_s=60)


class _Guest(Person):
    """A person who talks to one of several bots."""

    def __init__(self, sandbox: SandboxTelegram, number: int, *, bot_id: int) -> None:
        super().__init__(sandbox, number)
        self._bot_id = bot_id

    async def _send(self, method: str, action: str, **request: Any) -> Any:
        return await super()._send(method, f"{action}?bot={self._bot_id}", **request)


async def _end_all(running: Stack, known: Known) -> None:
    """End what runs for ever, and wait until nothing is under way."""
    await running.kie.heal("waiting_forever")
    for job_id in known.victims:
        await running.client.generation.CancelJob(pb.CancelJobRequest(job_id=job_id))
    query = "SELECT count(*) = 0 FROM job WHERE state IN ('queued', 'running')"

    async def is_quiet() -> bool:
        return bool(await running.history.value(query))

    await until(is_quiet, within_s=END_S, what="the end of every job")


def _complaints(running: Stack) -> list[str]:
    records = [(each.name, record) for each in running.programs for record in each.records]
    bad = [
        pair
        for pair in records
        if pair[1]["level"] in ("error", "critical", "raw") and pair[1]["event"] not in TOLD
    ]
    return [f"{name} says {record}"[:3000] for name, record in bad[:10]]


async def _memory(running: Stack) -> dict[str, float]:
    name = "process_resident_memory_bytes"
    return {each.name: await each.metric(name) for each in running.programs}
