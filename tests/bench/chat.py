"""From KIE's POST of a callback until the Bot API has the picture, eight jobs a second."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import httpx2

from tests.bench.bare.chain import FEWEST_COMMITS
from tests.bench.client import Client
from tests.bench.life import STEADY_S, System, atelier, bare_chain, new_chat
from tests.bench.load import Sample, steadily
from tests.bench.table import Line
from tests.bench.world import Part, World, frozen, running
from tests.e2e.person import SandboxTelegram
from tests.e2e.program import until

PER_SECOND = 8
CHATS, JOBS_EACH = 80, 2
"""Telegram takes one message a second in a chat, so that the jobs are spread over some."""
ROW = "callback to the chat, ms"
WITHIN_S = 120.0
METHODS = ("sendPhoto", "sendDocument")


async def chat(world: World) -> list[Line]:
    """Return the waits behind the service and its edge, and behind a chain that posts itself."""
    telegram = world.telegram()
    async with atelier(world, "chat", duration_s=STEADY_S) as ours:
        edge = world.edge(ours.service.address, telegram=telegram.address)
        chain = bare_chain(
            world,
            ours.database_url,
            commits=FEWEST_COMMITS,
            duration_s=STEADY_S,
            telegram=telegram.address,
        )
        async with running(telegram, edge), chain as bare:
            floor, found = await _both(ours, bare, telegram=telegram, edge=edge)
    return [
        _line("bare chain + multipart POST", floor),
        _line("Atelier", found, base=floor),
    ]


async def _both(ours: System, bare: System, *, telegram: Part, edge: Part) -> tuple[Sample, Sample]:
    """Measure the bare chain, and then the service, each while the other stands still."""
    door = SandboxTelegram(telegram.address)
    chats = [await new_chat(door, ours.client) for _ in range(CHATS)]
    with frozen(*ours.parts, edge):
        bare_chats = [Client(bare.client.stub, each.chat_id) for each in chats]
        floor = await _waits(bare, bare_chats, door=door)
    with frozen(*bare.parts):
        # What the edge does for the first time takes longer.
        await _waits(ours, chats[:PER_SECOND], door=door)
        return floor, await _waits(ours, chats, door=door)


async def _waits(system: System, chats: list[Client], *, door: SandboxTelegram) -> Sample:
    """Let jobs live, and return the waits from each POST to the end of its sending.

    In a chat one picture follows the other, in the order of their jobs.
    """
    before = await _sent(door)
    prompts: dict[int, list[str]] = {each.chat_id: [] for each in chats}

    async def live(client: Client) -> None:
        prompts[client.chat_id].append(await client.live(within_s=WITHIN_S))

    turns = [partial(live, each) for each in chats * JOBS_EACH]
    await steadily(turns, per_second=PER_SECOND)

    async def all_sent() -> dict[int, list[float]] | None:
        now = await _sent(door)
        fresh = {number: times[len(before.get(number, ())) :] for number, times in now.items()}
        return fresh if sum(map(len, fresh.values())) >= len(turns) else None

    sent = await until(all_sent, within_s=WITHIN_S, what=f"{len(turns)} pictures in chats")
    return Sample(list(_lengths(prompts, sent, await _posted(system))), 0)


def _lengths(
    prompts: Mapping[int, list[str]],
    sent: Mapping[int, list[float]],
    posted: Mapping[str, float],
) -> list[float]:
    return [
        arrival - post
        for number, some in prompts.items()
        for arrival, post in zip(sent[number], sorted(posted[each] for each in some), strict=True)
    ]


async def _sent(door: SandboxTelegram) -> dict[int, list[float]]:
    """Return when each picture was there, by its chat."""
    found: dict[int, list[float]] = {}
    for method in METHODS:
        for call in await door.calls(method):
            if call["status"] == 200:
                number = int(call["params"]["chat_id"])
                found.setdefault(number, []).append(call["time"] + call["seconds"])
    return {number: sorted(times) for number, times in found.items()}


async def _posted(system: System) -> dict[str, float]:
    async with httpx2.AsyncClient(trust_env=False) as http:
        answer: Any = (await http.get(f"http://{system.kie.address}/posted")).json()
    return dict(answer)


def _line(program: str, sample: Sample, *, base: Sample | None = None) -> Line:
    p50, p99 = sample.p50_ms, sample.p99_ms
    ratios = f", p99 {p99 / base.p99_ms:.2f} times" if base else ""
    return Line(
        row=ROW,
        program=f"{program}{ratios}",
        values=[p50],
        unit="ms p50",
        p99_ms=p99,
        ratio=p50 / base.p50_ms if base else None,
    )
