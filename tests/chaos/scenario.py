"""Does what the plan says: kills processes, impacts proxies, has the sandboxes misbehave."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.fault_rule import ALWAYS, Rule
from tests.chaos.plan import Fault, FaultWindow, Impact, Kill, Part, Plan
from tests.chaos.proxy import Link, Net
from tests.e2e.program import Program
from tests.e2e.stack import Stack


@dataclass
class Scenario:
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
            for fault in self.plan.faults:
                group.create_task(self._at(fault.at_s, self._strike, fault))
            for window in self.plan.windows:
                group.create_task(self._at(window.at_s, self._cast, window))

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

    async def _strike(self, fault: Fault) -> None:
        link = self._link(fault)
        self.done[f"{fault.impact} proxies"] += 1
        if fault.impact is Impact.CUT:
            link.cut(fault.share)
        elif fault.impact is Impact.STALL:
            await link.stall(fault.seconds, share=fault.share)
        else:
            async with self._lock(link):
                link.cut(fault.share)
                await link.refuse(fault.seconds)

    async def _cast(self, window: FaultWindow) -> None:
        self.done[f"windows of {window.party}"] += 1
        if window.party == "kie":
            await self.stack.kie.fault(**_named(window.fault))
            await asyncio.sleep(window.seconds)
            await self.stack.kie.heal(str(window.fault["name"]))
            return
        rule = {**window.fault, "seed": self.plan.seed}
        fault = await self.stack.telegram.send("PUT", "/sandbox/faults", json=rule)
        await asyncio.sleep(window.seconds)
        await self.stack.telegram.send("DELETE", f"/sandbox/faults/{fault['id']}")

    def _program(self, kill: Kill) -> Program:
        replicas = {
            Part.SERVICE: self.stack.services,
            Part.GATEWAY: self.stack.gateways,
            Part.EDGE: self.stack.edges,
        }[kill.part]
        return replicas[kill.number % len(replicas)]

    def _link(self, fault: Fault) -> Link:
        links = list(self.net.links.values())
        return links[fault.proxy % len(links)]

    def _lock(self, thing: Program | Link) -> asyncio.Lock:
        return self._locks.setdefault(thing.name, asyncio.Lock())


def _named(fault: Rule) -> dict[str, Any]:
    return dict(fault)
