"""One run: the stack, the load, the scenario, the quiet after it, and the check."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from generation_svc.domain.timing import Timing
from tests.chaos.check import Bounds, Violation, check, leaks
from tests.chaos.evidence import Evidence, gather
from tests.chaos.figure import figures_of
from tests.chaos.ledger import Ledger
from tests.chaos.load import load, reading, trade
from tests.chaos.plan import Plan
from tests.chaos.proxy import Net, net
from tests.chaos.rest import becomes_quiet, rest_of
from tests.chaos.sale import PACK, SERIES
from tests.chaos.scenario import Scenario
from tests.chaos.table import Figures, table
from tests.chaos.trace import traces
from tests.chaos.traffic import Traffic
from tests.e2e.history import history
from tests.e2e.stack import Shape, Stack, stack

CREATE_LIMIT, READ_LIMIT = 40, 10
"""What the service is told that KIE allows, per 10 s and per second."""
POOL = 12
REPLICAS = 2
HUB_CONNECTIONS = 2
LEAK_MAX_WAIT_S = 100.0
"""How long gRPC may take to see that a peer is gone without a word (60 s and 20 s)."""


@dataclass(frozen=True)
class Server:
    """The PostgreSQL of a run, which comes back by itself when it is killed."""

    url: str
    kill: Callable[[], None]


@dataclass(frozen=True)
class Outcome:
    """What came of a run."""

    violations: list[Violation]
    figures: Figures


async def run(plan: Plan, folder: Path, *, server: Server) -> Outcome:
    """Do what the plan says and hold the system to its promises."""
    _keep(plan, folder)
    start = time.monotonic()
    async with net(plan.seed) as proxies:
        shape = shape_of(plan, proxies)
        async with stack(folder, database_url=server.url, shape=shape) as running:
            scenario = Scenario(plan, running, proxies, server.kill)
            evidence = await _attacked(scenario, server=server)
    evidence.laps["s in all"] = time.monotonic() - start
    violations = check(evidence, bounds_of(plan))
    outcome = Outcome(violations, figures_of(evidence, violations))
    (folder / "trace.txt").write_text("\n".join(traces(evidence, violations)))
    (folder / "table.txt").write_text(table([(f"seed {plan.seed}", outcome.figures)]))
    return outcome


def shape_of(plan: Plan, proxies: Net) -> Shape:
    """Return the stack of a run: two of everything, with a proxy on every proxy."""
    return Shape(
        replicas=REPLICAS,
        gateways=REPLICAS,
        edges=REPLICAS,
        time_scale=plan.size.time_scale,
        proxy=proxies.proxy,
        edge={"DELIVERY_LEASE_S": "15", "STAR_READ_S": "4"},
        service={
            "DATABASE_POOL_SIZE": str(POOL),
            "KIE_CREATE_LIMIT": str(CREATE_LIMIT),
            "KIE_READ_LIMIT": str(READ_LIMIT),
            "MONEY": "test",
            "STAR_PACKS": f"chaos={PACK}:{PACK}",
            "OWNER_MAX_ACTIVE_JOBS": "10000",
            "START_DEADLINE_S": str(plan.size.start_deadline_s),
        },
        sandbox={
            "SANDBOX_KIE_SEED": str(plan.seed),
            "SANDBOX_KIE_CREDITS": "1000000",
            "SANDBOX_KIE_CREATE_LIMIT": str(CREATE_LIMIT + CREATE_LIMIT // 10),
            "SANDBOX_KIE_READ_LIMIT": str(READ_LIMIT),
            "SANDBOX_KIE_DURATION_S": "0.4",
            "SANDBOX_KIE_MODEL_DURATION_S": json.dumps({SERIES: 2}),
            "SANDBOX_KIE_VISIBLE_AFTER_S": "0.1",
            "SANDBOX_KIE_CALLBACK_RETRY_DELAY_S": "0.5",
        },
    )


def bounds_of(plan: Plan) -> Bounds:
    """Return what the run has to keep to."""
    return Bounds(
        hard_deadline=Timing().scaled(plan.size.time_scale).hard_deadline,
        creates_per_window=CREATE_LIMIT,
        reads_per_window=READ_LIMIT,
        database_connections=REPLICAS * (POOL + HUB_CONNECTIONS),
    )


def _keep(plan: Plan, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_text(json.dumps(asdict(plan), indent=1))


async def _attacked(scenario: Scenario, *, server: Server) -> Evidence:
    """Warm up, attack, wait for the quiet, and gather the evidence."""
    running, plan = scenario.stack, scenario.plan
    ledger, traffic, watch = Ledger(plan.seed), Traffic(), _Watch()
    scenario.net.links["service-kie"].tap = traffic.tap
    await scenario.set_in()
    async with reading(running, ledger):
        await load(running, ledger, plan.warm_up)
        await becomes_quiet(running, within_s=plan.size.drain_s)
        before = await rest_of(running)
        watch.lap("s of warm-up")
        await _weather(scenario, ledger, watch=watch)
        async with history(server.url) as view:
            running.history = view
            await becomes_quiet(running, within_s=plan.size.drain_s)
            watch.lap("s from the last fault to quiet")
            evidence = await gather(running, ledger, traffic=traffic)
            evidence.before, evidence.fallen = before, scenario.fallen
            evidence.done, evidence.laps = scenario.done, watch.laps
            await _calm_down(running, evidence, bounds=bounds_of(plan))
    return evidence


async def _weather(scenario: Scenario, ledger: Ledger, *, watch: _Watch) -> None:
    """Let everybody ask while everything goes wrong; returns when all of them are done."""
    running, plan = scenario.stack, scenario.plan
    busy = {
        asyncio.create_task(load(running, ledger, plan.orders)),
        asyncio.create_task(trade(running, ledger, plan)),
    }
    await scenario.rage()
    watch.lap("s of scenario")
    await scenario.revive()
    await asyncio.wait(busy, timeout=plan.size.drain_s)
    for each in busy:
        each.cancel()
    await asyncio.gather(*busy, return_exceptions=True)


class _Watch:
    """How long each part of a run took."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._start = time.monotonic()

    def lap(self, name: str) -> None:
        """Note the time since the last lap."""
        now = time.monotonic()
        self.laps[name], self._start = now - self._start, now


async def _calm_down(running: Stack, evidence: Evidence, *, bounds: Bounds) -> None:
    """Take the last sample once nothing is held too much, or when waiting does not help."""
    deadline = asyncio.get_running_loop().time() + LEAK_MAX_WAIT_S
    while True:
        evidence.after = await rest_of(running)
        is_late = asyncio.get_running_loop().time() > deadline
        if is_late or not list(leaks(evidence, bounds)):
            return
        await asyncio.sleep(1)
