"""Does what the plan says: kills processes, harms roads, has the sandboxes misbehave."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.plan import Blow, Harm, Kill, Part, Plan, Spell
from tests.chaos.proxy import Link, Net
from tests.chaos.spell import ALWAYS, Rule
from tests.e2e.program import Program
from tests.e2e.stack import Stack


@dataclass
class Storm:
    """Everything that goes wrong in one run, and what became of it."""

    plan: Plan
    stack: Stack
    net: Net
    kill_postmaster: Callable[[], None]
    done: Counter[str] = field(default_factory=Counter)
    """How often what was done."""
    fallen: list[str] = field(default_factory=list)
    """Processes that ended though nobody killed them, with the end of their logs."""
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)

    async def rage(self) -> None:
        """Do all of it, each at its time; returns when everything is well again."""
        async with asyncio.TaskGroup() as group:
            for kill in self.plan.kills:
                group.create_task(self._at(kill.at_s, self._kill, kill))
            for blow in self.plan.blows:
                group.create_task(self._at(blow.at_s, self._strike, blow))
            for spell in self.plan.spells:
                group.create_task(self._at(spell.at_s, self._cast, spell))

    async def set_in(self) -> None:
        """Let KIE's callbacks be as bad as they are from the first job to the last."""
        for fault in ALWAYS:
            await self.stack.kie.fault(**_named(fault))

    async def revive(self) -> None:
        """See that every process runs and is ready."""
        for program in self.stack.programs:
            async with self._lock(program):
                await self._watch(program)
        await asyncio.gather(*(each.ready() for each in self.stack.programs))

    async def _at(self, at_s: float, do: Callable[[Any], Awaitable[None]], what: Any) -> None:
        await asyncio.sleep(at_s)
        await do(what)

    async def _kill(self, kill: Kill) -> None:
        self.done[f"kills of {kill.part}"] += 1
        if kill.part is Part.POSTMASTER:
            with suppress(OSError, IndexError):  # it is down already
                self.kill_postmaster()
            return
        program = self._program(kill)
        async with self._lock(program):
            await self._watch(program)
            program.kill()
            await asyncio.sleep(kill.down_s)
            program.start()
            if not kill.is_hasty:
                with suppress(AssertionError):  # one that ended by itself is found by `_watch`
                    await program.ready()

    async def _watch(self, program: Program) -> None:
        """Note a process that ended by itself, and start it as a supervisor would."""
        if not program.is_alive:
            self.fallen.append(f"{program.name}: {program.log[-1500:]}")
            program.start()

    async def _strike(self, blow: Blow) -> None:
        link = self._link(blow)
        self.done[f"{blow.harm} roads"] += 1
        if blow.harm is Harm.CUT:
            link.cut(blow.share)
        elif blow.harm is Harm.STALL:
            await link.stall(blow.seconds, share=blow.share)
        else:
            async with self._lock(link):
                link.cut(blow.share)
                await link.refuse(blow.seconds)

    async def _cast(self, spell: Spell) -> None:
        self.done[f"spells of {spell.party}"] += 1
        if spell.party == "kie":
            await self.stack.kie.fault(**_named(spell.fault))
            await asyncio.sleep(spell.seconds)
            await self.stack.kie.heal(str(spell.fault["name"]))
            return
        rule = {**spell.fault, "seed": self.plan.seed}
        fault = await self.stack.telegram.send("PUT", "/sandbox/faults", json=rule)
        await asyncio.sleep(spell.seconds)
        await self.stack.telegram.send("DELETE", f"/sandbox/faults/{fault['id']}")

    def _program(self, kill: Kill) -> Program:
        replicas = {
            Part.SERVICE: self.stack.services,
            Part.GATEWAY: self.stack.gateways,
            Part.EDGE: self.stack.edges,
        }[kill.part]
        return replicas[kill.number % len(replicas)]

    def _link(self, blow: Blow) -> Link:
        links = list(self.net.links.values())
        return links[blow.road % len(links)]

    def _lock(self, thing: Program | Link) -> asyncio.Lock:
        return self._locks.setdefault(thing.name, asyncio.Lock())


def _named(fault: Rule) -> dict[str, Any]:
    return dict(fault)
