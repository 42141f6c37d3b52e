"""The actors: the use cases of the product, and an edge that sends as the bot does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields, replace
from datetime import timedelta
from typing import Any, cast

import structlog
from prometheus_client import CollectorRegistry

from generation_svc.catalog import load_catalog
from generation_svc.domain.attempt import Attempt
from generation_svc.domain.caller import Caller
from generation_svc.domain.delivery import Delivery, Destination, Queue, Telegram
from generation_svc.domain.error import StaleLease
from generation_svc.domain.job import Job
from generation_svc.domain.model import Catalog
from generation_svc.domain.money import MoneyMode
from generation_svc.domain.observation import ProviderState
from generation_svc.domain.port.transaction import Database
from generation_svc.domain.top_up import Payment
from generation_svc.engine import read_cost
from generation_svc.engine.callback_replay import replay_callbacks
from generation_svc.engine.fetch_result import fetch
from generation_svc.engine.maintenance import deadlines, orphans
from generation_svc.engine.work import do_one
from generation_svc.lifecycle import topic
from generation_svc.lifecycle.dependencies import (
    Dependencies,
    Limits,
    MediaDependencies,
    ModelDependencies,
    MoneyDependencies,
    ProviderDependencies,
    ViewDependencies,
)
from generation_svc.lifecycle.local_engine import LocalEngine
from generation_svc.lifecycle.meter import ServiceMeter
from generation_svc.lifecycle.queue_view import QueueView as JobQueue
from generation_svc.provider.kie.callback import KieCallbackReader
from generation_svc.usecase import lease_delivery
from generation_svc.usecase.cancel_job import cancel_job
from generation_svc.usecase.money import record_top_up, refund_top_up
from generation_svc.usecase.report_callback import Callback, report_callback
from tests.lifecycle import CALLER, body_of
from tests.model.clock import LONGEST, TICK, TIMING
from tests.model.loop import StillLoop
from tests.model.memory import MemoryDatabase
from tests.model.run import Actor, Cut, Past, Run
from tests.model.table import MODEL_ID, Tables
from tests.model.world import ModelState, Outside, statement
from tests.step import dispatch, fetch_result, poll

CHAT = Telegram(bot_id=7, chat_id=42, message_id=1000)
FEED = Queue("race")
OPERATOR = Caller.trusted("operator")
LATER = Payment("card", "later", "user:1", 100, "EUR", credits=7)
"""A payment that pays a debt of all that was bought before, and brings something beside."""
FORGED = 0
"""The attempt of a token that is nobody's."""
_REQUIRED = tuple(
    each.name
    for each in fields(Dependencies)
    if each.default is MISSING and each.default_factory is MISSING
)
"""What dependencies are made of; the race uses some of it."""


class NoQueue(JobQueue):
    """What a chat is told of the queue is no part of the race."""

    async def place(self, job: Job, *, database: Database) -> int:
        return 0

    async def typical(self, model_id: str, *, database: Database) -> timedelta | None:
        return None

    def known_typical(self, model_id: str) -> timedelta | None:
        return None


class OwnSlot:
    """The slot of one who fetches by itself what it hears of, unless it is killed before."""

    def __init__(self) -> None:
        self.claimed: Attempt | None = None

    def try_reserve(self) -> OwnSlot:
        return self

    def start(self, attempt: Attempt, /) -> None:
        self.claimed = attempt

    def release(self) -> None:
        """There is nobody else who waits for it."""

    def due_in(self, span: timedelta, /) -> None:
        """Whoever looks finds it."""


def _dependencies() -> Dependencies:
    model = replace(
        load_catalog().models[MODEL_ID],
        usual_duration=timedelta(seconds=1),
        longest_duration=LONGEST,
    )
    used: dict[str, Any] = {
        "models": ModelDependencies(
            Catalog(version="1", models={MODEL_ID: model}), lambda _, inputs: dict(inputs)
        ),
        "media": MediaDependencies(*[cast(Any, None)] * 3),
        "provider": ProviderDependencies(
            client=cast(Any, None),
            callbacks=KieCallbackReader(),
            callback_base_url="https://callbacks.example",
        ),
        "timing": TIMING,
        "limits": Limits(),
        "money": MoneyDependencies(MoneyMode.TEST),
        "meter": ServiceMeter(CollectorRegistry()),
        "views": ViewDependencies(queue=NoQueue()),
    }
    return Dependencies(**{**dict.fromkeys(_REQUIRED), **used})


DEPENDENCIES = _dependencies()
_LOOP = StillLoop()  # type: ignore[abstract] # it has what tasks use, no more


async def _edge(deps: Dependencies, chat: Outside, destination: Destination) -> None:
    wanted = lease_delivery.Wanted(
        caller=CALLER,
        bot_id=CHAT.bot_id if destination == CHAT else None,
        queue=FEED.queue if destination == FEED else None,
        limit=1,
        span=TICK,
    )
    for delivery in await lease_delivery.lease(deps, wanted, wait=timedelta(0)):
        try:
            await _deliver(deps, chat, delivery)
        except StaleLease:
            return


async def _deliver(deps: Dependencies, chat: Outside, delivery: Delivery) -> None:
    token = delivery.lease_token
    until = await lease_delivery.begin(deps, token, sender=CALLER, span=TICK)
    outcome = await chat.send(delivery, until=until)
    await lease_delivery.report(deps, token, outcome=outcome, sender=CALLER)


async def _receive(
    deps: Dependencies,
    provider: Outside,
    attempt: int,
    task: int,
    state: ProviderState,
    cost: int,
    has_slot: bool,
) -> None:
    slot, body = OwnSlot(), body_of(statement(task, state, cost=cost))
    own = replace(deps, engine=LocalEngine())
    if has_slot:
        own.engine.add(topic.FETCH, slot)
    await report_callback(own, Callback(body=body, headers={}, token=provider.token(attempt)))
    if slot.claimed:
        await fetch(own, slot.claimed)


async def _cancel(deps: Dependencies, outside: Outside) -> None:
    await cancel_job(deps, CALLER, job_id=outside.job_id)


async def _refund(deps: Dependencies, outside: Outside) -> None:
    wish = refund_top_up.Refund(OPERATOR, str(outside.top_up_id), "a mistake", is_forced=True)
    await refund_top_up.refund_top_up(deps, wish)


async def _charge_back(deps: Dependencies, outside: Outside) -> None:
    word = refund_top_up.Refund(OPERATOR, str(outside.top_up_id), "taken", is_charged_back=True)
    await refund_top_up.refund_top_up(deps, word)


async def _top_up(deps: Dependencies, _: Outside) -> None:
    await record_top_up.record_top_up(deps, OPERATOR, payment=LATER, telegram_host="")


async def _read_cost(deps: Dependencies) -> None:
    await do_one(deps, read_cost.WORK)


def _alone(
    use_case: Callable[[Dependencies], Awaitable[object]],
) -> Callable[..., Awaitable[object]]:
    return lambda deps, _: use_case(deps)


USE_CASES: Mapping[str, Callable[..., Awaitable[object]]] = {
    "dispatch": _alone(dispatch),
    "receive": _receive,
    "poll": _alone(poll),
    "fetch": _alone(fetch_result),
    "cancel": _cancel,
    "refund": _refund,
    "charge_back": _charge_back,
    "top_up": _top_up,
    "cost": _alone(_read_cost),
    "edge": _edge,
    "mark_orphans": _alone(orphans.mark_orphans),
    "end_unstarted": _alone(deadlines.end_unstarted),
    "end_overdue": _alone(deadlines.end_overdue),
    "apply_pending": _alone(replay_callbacks),
}


@dataclass(frozen=True, slots=True)
class Turn:
    """What an actor's step made of the state."""

    actor: Actor | None
    """None if it came to its end."""
    tables: Tables
    world: ModelState
    faults: tuple[str, ...] = ()


def step(
    actor: Actor, *, tables: Tables, world: ModelState, choice: str, taken: frozenset[int]
) -> Turn:
    """Let an actor take its next step, which ends as `choice` says."""
    run = Run(actor, tables=tables, world=world, choice=choice, taken=taken)
    later: Actor | None = None
    try:
        _LOOP.run(_play(run, actor))
    except Cut:
        log = (*actor.log, Past(tuple(run.answers)))
        later = replace(actor, log=log, at=run.at, names=frozenset(run.names))
    except asyncio.CancelledError:
        later = None  # the process stopped, and has given back what it held
    except Exception as error:  # noqa: BLE001 - it is a finding
        run.faults.append(error)
    return Turn(later, run.tables, run.world, tuple(map(repr, run.faults)))


async def _play(run: Run, actor: Actor) -> None:
    outside = Outside(run)
    deps = replace(
        DEPENDENCIES,
        database=cast(Any, MemoryDatabase(run)),
        provider=replace(DEPENDENCIES.provider, client=cast(Any, outside)),
        media=replace(DEPENDENCIES.media, fetcher=outside, store=cast(Any, outside)),
    )
    await USE_CASES[actor.name](deps, outside, *actor.args)


@contextmanager
def quiet() -> Iterator[None]:
    """Let nothing be logged."""
    earlier = structlog.get_config()
    silent = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=silent, cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**earlier)
