"""The guards of the SQL are those of the model: the same random steps are taken on both."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any, TypeVar, cast

import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from generation_svc.domain.job import Job
from generation_svc.domain.ledger import TransferKind
from generation_svc.domain.model import Catalog
from generation_svc.domain.money import MoneyMode
from tests.lifecycle import CHAT, GENEROUS, Harness, OpenBench
from tests.model.actor import DEPENDENCIES, quiet
from tests.model.barrier import ExternalSystems, GatedActor
from tests.model.clock import NOW, TICK, TIMING
from tests.model.invariant import check
from tests.model.move import PAUSE, Explorer, Move
from tests.model.scope import Scope
from tests.model.table import GIVEN, MODEL_ID, PRICE, Tables
from tests.model.world import CHOICES, TOP_UP_ID
from tests.money import IMAGEN, grant

SCOPE = Scope(
    busy=3,
    dispatch=2,
    receive=2,
    poll=2,
    fetch=2,
    edge=2,
    sweep=2,
    faults=3,
    posts=2,
    forged=1,
    stall=3,
    has_chat=True,
)
WEIGHTS = {PAUSE: 1, "cancel": 1, "refund": 1, "mishap": 2, "edge": 2}
"""How often a kind of move is taken; 5 for all others."""
EXAMPLES = int(os.environ.get("ATELIER_MODEL_EXAMPLES", "15"))
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Ground:
    """A PostgreSQL to play on, and the loop it lives in."""

    harness: Harness
    loop: asyncio.AbstractEventLoop

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return self.loop.run_until_complete(coroutine)


@pytest.fixture
async def ground(open_bench: OpenBench) -> Ground:
    hour = timedelta(hours=1)  # a call that was taken is never too late to be made
    limits = replace(GENEROUS, create_window=hour, read_window=hour)
    harness = await open_bench(timing=TIMING, limits=limits, money=MoneyMode.TEST)
    like = DEPENDENCIES.models.catalog.models[MODEL_ID]
    sold = replace(
        harness.deps.models.catalog.models[IMAGEN["model_id"]],
        usual_duration=like.usual_duration,
        longest_duration=like.longest_duration,
    )
    catalog = Catalog(version="1", models={MODEL_ID: like, sold.id: sold})
    models = replace(DEPENDENCIES.models, catalog=catalog)
    harness.deps = replace(harness.deps, models=models)
    return Ground(harness, asyncio.get_running_loop())


Rows = dict[str, list[dict[str, Any]]]
_NEXT = f"now() + interval '{TICK.total_seconds()} s'"
# Let what is due within a tick be due at its end, since an example takes less than a tick; a retry
# of an edge or a fetch that was put off often is never due later. Of what is due, it is the turn of
# the first attempt: in the model it does not matter since when.
_ROUND = f"""
UPDATE job SET dispatch_time = greatest(dispatch_time, {_NEXT}) WHERE dispatch_time > now();
UPDATE attempt SET read_time = greatest(read_time, {_NEXT}) WHERE read_time > now();
UPDATE attempt SET fetch_time = {_NEXT} WHERE fetch_time > now();
UPDATE delivery SET due_time = {_NEXT} WHERE due_time > now();
UPDATE attempt SET read_time = now() - interval '1 s' / number WHERE read_time <= now();
UPDATE attempt SET fetch_time = now() - interval '1 s' / number WHERE fetch_time <= now();
"""
_JOB = """
SELECT state, revision, delay_reason, dispatch_time <= now() AS is_due,
       claim_token IS NOT NULL AS is_claimed,
       failure ->> 'reason' AS failure, jsonb_array_length(result -> 'media') AS pictures
FROM job
"""
_ATTEMPTS = """
SELECT state, task_id, read_time <= now() AS is_read_due, fetch_time <= now() AS is_fetch_due
FROM attempt ORDER BY number
"""
_DELIVERIES = """
SELECT kind, state, due_time <= now() AS is_due, lease_hash IS NOT NULL AS is_leased,
       maybe_sent, is_stale
FROM delivery ORDER BY kind
"""
_HOLDS = "SELECT state, captured, granted, paid FROM hold"
_WALLETS = "SELECT granted, paid, held, debt FROM wallet"
_HOUSE = """
SELECT account, sum(amount)::bigint AS amount FROM (
    SELECT target AS account, amount FROM transfer WHERE currency = 'credit' UNION ALL
    SELECT source, -amount FROM transfer WHERE currency = 'credit') AS entry
WHERE account IN ('income', 'grants', 'exchange') GROUP BY account ORDER BY account
"""
_TABLES = "job, callback_receipt, breaker, hold, transfer, wallet, top_up"
_TOP_UPS = "SELECT state FROM top_up"
_TOP_UP = """
INSERT INTO top_up (id, provider, external_id, owner, pack_id, credits, amount, currency, state,
    caller, create_time)
VALUES (%s, 'card', 'payment', 'user:1', '', %s, 100, 'EUR', 'credited', 'edge', now())
"""
_REST = """
SELECT (SELECT count(*) FROM callback_receipt WHERE apply_time IS NULL) AS callbacks,
       (SELECT count(*) FROM media) AS media
"""


def rows_of(tables: Tables) -> Rows:
    """Write rows of the model as the queries above give them."""
    return {
        "job": [_job_of(tables)],
        "attempts": [
            {
                "state": row.attempt.state,
                "task_id": row.attempt.task_id,
                "is_read_due": _is_due(row.read_time),
                "is_fetch_due": _is_due(row.fetch_time),
            }
            for row in tables.attempts
        ],
        "deliveries": [
            {
                "kind": row.kind,
                "state": row.state,
                "is_due": _is_due(row.due_time),
                "is_leased": row.lease != 0,
                "maybe_sent": row.maybe_sent,
                "is_stale": row.is_stale,
            }
            for row in tables.deliveries
        ],
        **_money_of(tables),
        "rest": [{"callbacks": len(tables.callbacks), "media": len(tables.media)}],
    }


def _job_of(tables: Tables) -> dict[str, Any]:
    row, job = tables.row, tables.row.job
    return {
        "state": job.state,
        "revision": job.revision,
        "delay_reason": job.delay_reason,
        "is_due": _is_due(row.dispatch_time),
        "is_claimed": row.claim != 0,
        "failure": job.failure.reason if job.failure else None,
        "pictures": len(job.result.media) if job.result else None,
    }


def _money_of(tables: Tables) -> Rows:
    """Write what is held, what the owner and the house have, and what was bought."""
    hold, has, top_up = tables.hold, tables.accounts, tables.top_up
    if hold is None or top_up is None:
        return {"holds": [], "wallets": [], "house": [], "top_ups": []}
    kept = {"granted": hold.granted, "paid": hold.paid}
    house = {"exchange": has.exchange, "grants": has.grants, "income": has.income}
    moved = {name for name, amount in house.items() if amount or name != "income"}
    return {
        "holds": [{"state": hold.state, "captured": hold.captured, **kept}],
        "wallets": [
            {"granted": has.granted, "paid": has.paid, "held": has.held, "debt": -has.debt}
        ],
        "house": [{"account": name, "amount": house[name]} for name in sorted(moved)],
        "top_ups": [{"state": top_up.state}],
    }


def _is_due(time: datetime | None) -> bool | None:
    return None if time is None else time <= NOW


class Conformance(RuleBasedStateMachine):
    """Plays one job in the model and on PostgreSQL at once."""

    def __init__(self, ground: Ground, *, is_paid: bool) -> None:
        super().__init__()
        self._ground, self._is_paid = ground, is_paid
        self._actors: list[tuple[int, GatedActor]] = []

    @initialize(seed=st.integers(0, 2**32))
    def accept(self, seed: int) -> None:
        self._random = Random(seed)
        cancels = self._random.choice((0, 0, 1))
        refunds = self._random.choice((0, 1, 2)) if self._is_paid else 0
        scope = replace(SCOPE, cancels=cancels, refunds=refunds, is_paid=self._is_paid)
        self._game = Explorer(scope, check=check)
        self._state = self._game.first()
        world = self._game.space.worlds[self._state[1]]
        self._outdoors = ExternalSystems(world, self._ground.run(self._begin()).id)
        self._moves = self._possible()

    @rule()
    def move(self) -> None:
        if not self._moves:
            return  # all is over
        move = self._pick()
        note(self._game.name(move))
        self._ground.run(self._follow(move))
        assert self._ground.run(self._look()) == self._expected()
        self._moves = self._possible()

    def teardown(self) -> None:
        self._ground.run(self._end())

    def _possible(self) -> list[Move]:
        """Return the moves that do something, and in which no time that was read before counts."""
        with quiet():
            moves = list(self._game.moves(self._state))
        assert not any(move.broken for move in moves)
        is_free = not self._is_timing()
        return [
            each for each in moves if each.state != self._state and (is_free or each.what != PAUSE)
        ]

    def _pick(self) -> Move:
        """Return a move: of what kind first, or most would be edges' and mishaps."""
        kinds = sorted(set(map(self._kind, self._moves)))
        weights = [WEIGHTS.get(kind, 5) for kind in kinds]
        (kind,) = self._random.choices(kinds, weights)
        return self._random.choice([each for each in self._moves if self._kind(each) == kind])

    def _kind(self, move: Move) -> str:
        if move.actor is None:
            return move.what
        actor = self._game.space.actors[move.actor]
        return actor.name if move.what == CHOICES[actor.at][0] else "mishap"

    def _is_timing(self) -> bool:
        """Whether somebody counts from a time read before: only rows can be made older here."""
        names = {self._game.space.actors[number].name for number, _ in self._actors}
        attempts = self._game.space.tables[self._state[0]].attempts
        return "poll" in names or ("dispatch" in names and len(attempts) > 1)

    async def _begin(self) -> Job:
        harness = self._ground.harness
        await harness.empty(_TABLES)
        if self._is_paid:
            await harness.query(_TOP_UP, TOP_UP_ID, PRICE - GIVEN)
            await grant(harness, GIVEN)
            await grant(harness, PRICE - GIVEN, kind=TransferKind.TOP_UP, cause=str(TOP_UP_ID))
        job = await harness.accept(destination=CHAT, **(IMAGEN if self._is_paid else {}))
        await harness.query(_ROUND)
        return job

    async def _follow(self, move: Move) -> None:
        """Take on PostgreSQL what the model took."""
        world = self._game.space.worlds[move.state[1]]
        if move.actor is None:
            self._outdoors.world = world
            if move.what == PAUSE:
                await self._pass_time()
        elif move.what == "dies":
            self._outdoors.world = world
            await self._remove(move.actor).die()
        else:
            await self._step(move, move.actor)
        await self._ground.harness.query(_ROUND)
        assert self._outdoors.world == world
        self._state = move.state

    async def _step(self, move: Move, number: int) -> None:
        value = self._game.space.actors[number]
        if value.at == "transaction":
            self._outdoors.world = self._game.space.worlds[move.state[1]]
        self._outdoors.choice = move.what
        actor = self._remove(number) if value.log else self._beginner(number)
        is_done = await actor.step()
        assert is_done == (move.later is None), f"{value.name} is elsewhere"
        if move.later is not None:
            self._actors.append((move.later, actor))

    def _beginner(self, number: int) -> GatedActor:
        value = self._game.space.actors[number]
        return GatedActor(value, deps=self._ground.harness.deps, external=self._outdoors)

    def _remove(self, number: int) -> GatedActor:
        index = [known for known, _ in self._actors].index(number)
        return self._actors.pop(index)[1]

    async def _pass_time(self) -> None:
        """Let a tick pass, and a little more: what was written just now is a tick old, too."""
        await self._ground.harness.later(seconds=TICK.total_seconds() + 1)
        self._outdoors.ticks += 1
        older = self._game.space.remembering
        self._actors = [(older(number), actor) for number, actor in self._actors]

    async def _end(self) -> None:
        for _, actor in self._actors:
            await actor.die()

    def _expected(self) -> Rows:
        return rows_of(self._game.space.tables[self._state[0]])

    async def _look(self) -> Rows:
        """Read what the model's rows are made of, now."""
        query = self._ground.harness.query
        return {
            "job": await query(_JOB),
            "attempts": await query(_ATTEMPTS),
            "deliveries": await query(_DELIVERIES),
            "holds": await query(_HOLDS),
            "wallets": await query(_WALLETS),
            "house": await query(_HOUSE),
            "top_ups": await query(_TOP_UPS),
            "rest": await query(_REST),
        }


@pytest.mark.parametrize("is_paid", [False, True], ids=["free", "paid"])
def test_postgresql_takes_every_step_as_the_model_does(ground: Ground, is_paid: bool) -> None:
    run_state_machine_as_test(
        cast(Any, partial(Conformance, ground, is_paid=is_paid)),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=60,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # to shrink a trace takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
