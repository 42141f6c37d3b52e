"""How the engine finds work: claimed in batches, when it is due, and without polling."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import structlog

from generation_svc.domain.delivery import Webhook
from generation_svc.domain.error import FetchFailed, ProviderSilent, Unavailable
from generation_svc.domain.port.webhook import WebhookAnswer
from generation_svc.domain.timing import Timing
from generation_svc.engine import fetch_result, poll, send_webhook
from generation_svc.engine.scheduler import Scheduler
from generation_svc.engine.supervisor import Supervisor, working
from generation_svc.engine.work import Batch, Work
from generation_svc.lifecycle.dependencies import Dependencies
from runtime.clock import loop_time
from tests.e2e.program import until
from tests.lifecycle import CALLER, LINK, SUCCESS, Harness, OpenBench

TOPIC = "work:test"
PLACES = 4
NOW = timedelta(0)


@dataclass
class Pieces:
    """Work that waits in a list, which every replica of a test can claim from."""

    due: list[str] = field(default_factory=list)
    claims: list[int] = field(default_factory=list)
    """How many pieces each claim brought."""
    times: list[float] = field(default_factory=list)
    """When each claim was made."""
    under_way: set[str] = field(default_factory=set)
    done: list[str] = field(default_factory=list)
    given_back: list[str] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """Closed, it keeps every piece under way."""
    next_due: timedelta | None = None
    """What a claim says that leaves nothing."""
    blocked_for: timedelta = NOW
    """How long a claim says that another one is in vain."""
    faults: list[Exception] = field(default_factory=list)
    """What the next claims raise."""

    async def claim(self, deps: Dependencies, *, limit: int) -> Batch[str]:
        if self.faults:
            raise self.faults.pop()
        claimed, self.due = self.due[:limit], self.due[limit:]
        self.claims.append(len(claimed))
        self.times.append(loop_time())
        next_due = NOW if self.due else self.next_due
        return Batch(claimed, next_due, blocked_for=self.blocked_for)

    async def do(self, deps: Dependencies, piece: str, /) -> None:
        self.under_way.add(piece)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.given_back.append(piece)
            raise
        finally:
            self.under_way.discard(piece)
        if piece == "broken":
            raise ValueError
        self.done.append(piece)

    @property
    def work(self) -> Work[str]:
        return Work("test", TOPIC, concurrency=PLACES, claim=self.claim, do=self.do)


@asynccontextmanager
async def at_work(
    deps: Dependencies, work: Work[Any], *, grace_seconds: float = 20
) -> AsyncIterator[Scheduler[Any]]:
    """Run a scheduler while the block runs."""
    database: Any = deps.database
    # When the notifier begins to listen, everybody looks; later nobody does without a reason.
    await seen(lambda: database.notifier.is_listening)
    scheduler = Scheduler(deps, work)
    supervisor = Supervisor(deps, [scheduler])
    try:
        yield scheduler
    finally:
        await supervisor.finish(grace_seconds=grace_seconds)


async def seen(condition: Callable[[], object], *, what: str = "what is waited for") -> None:
    async def is_seen() -> bool:
        return bool(condition())

    await until(is_seen, within_s=20, what=what)


async def announce(harness: Harness) -> None:
    async with harness.transaction() as tx:
        tx.announce(TOPIC)


async def test_many_pieces_take_one_claim_and_are_done_side_by_side(harness: Harness) -> None:
    pieces = Pieces()
    async with at_work(harness.deps, pieces.work):
        await seen(lambda: pieces.claims == [0])
        pieces.due = list("abcd")
        await announce(harness)
        await seen(lambda: pieces.under_way == set("abcd"))
        assert pieces.claims == [0, 4]
        pieces.gate.set()
        await seen(lambda: sorted(pieces.done) == list("abcd"))
    assert pieces.claims == [0, 4]  # nothing looked when they ended, since there was no more


async def test_a_place_that_comes_free_is_used_at_once_while_there_is_more(
    harness: Harness,
) -> None:
    pieces = Pieces(due=list("abcdefghi"))
    async with at_work(harness.deps, pieces.work):
        await seen(lambda: len(pieces.under_way) == PLACES)
        pieces.gate.set()
        await seen(lambda: len(pieces.done) == 9)
    assert sum(pieces.claims) == 9


async def test_news_that_come_while_all_places_are_taken_are_not_forgotten(
    harness: Harness,
) -> None:
    pieces = Pieces(due=list("abcd"))
    async with at_work(harness.deps, pieces.work):
        await seen(lambda: len(pieces.under_way) == PLACES)
        pieces.due = ["late"]
        await announce(harness)
        pieces.gate.set()
        await seen(lambda: "late" in pieces.done)


async def test_it_looks_when_a_claim_said_so_and_not_before(harness: Harness) -> None:
    pieces = Pieces(next_due=timedelta(seconds=0.3))
    async with at_work(harness.deps, pieces.work):
        await seen(lambda: len(pieces.times) == 3)
    assert all(later - earlier > 0.29 for earlier, later in pairwise(pieces.times))


async def test_news_do_not_count_while_nothing_can_be_claimed(harness: Harness) -> None:
    span = timedelta(seconds=0.5)
    pieces = Pieces(blocked_for=span)
    async with at_work(harness.deps, pieces.work) as scheduler:
        await seen(lambda: pieces.claims == [0])
        pieces.due = ["new"]
        for _ in range(20):
            scheduler.wake()
            await asyncio.sleep(0)
        await seen(lambda: pieces.under_way == {"new"})
        pieces.gate.set()
    assert pieces.claims == [0, 1]
    assert pieces.times[1] - pieces.times[0] > 0.49


async def test_a_row_that_comes_due_is_read_in_time_without_polling(open_bench: OpenBench) -> None:
    replica = await open_bench(callback_base_url=None)
    await replica.run()
    await replica.query("UPDATE attempt SET read_time = now() + interval '0.7 s'")
    claims: list[int] = []

    async def claim(deps: Dependencies, *, limit: int) -> Batch[Any]:
        batch = await poll.WORK.claim(deps, limit=limit)
        claims.append(len(batch.items))
        return batch

    async with at_work(replica.deps, replace(poll.WORK, claim=claim)):
        await seen(lambda: replica.provider.reads == ["task-1"])
        assert claims[-1] == 1
        assert len(claims) <= 3  # one at the start, one in time, and one where a clock ran ahead


async def test_a_due_time_that_is_told_here_needs_no_look_at_the_database(
    harness: Harness,
) -> None:
    pieces = Pieces()
    async with at_work(harness.deps, pieces.work):
        await seen(lambda: pieces.claims == [0])
        pieces.due = ["a"]
        harness.deps.engine.due_in(TOPIC, timedelta(seconds=0.2))
        harness.deps.engine.due_in(TOPIC, timedelta(seconds=60))  # later: changes nothing
        await seen(lambda: pieces.under_way == {"a"})
        pieces.gate.set()


async def test_what_the_others_hold_is_looked_for_again_after_a_rest(harness: Harness) -> None:
    pieces = Pieces(next_due=NOW)
    async with at_work(harness.deps, pieces.work):
        await seen(lambda: len(pieces.times) == 3)
    assert all(later - earlier > 0.9 for earlier, later in pairwise(pieces.times))


async def test_a_claim_that_fails_is_counted_and_repeated(harness: Harness) -> None:
    pieces = Pieces(due=["a"], faults=[ValueError("odd"), Unavailable("away")])
    pieces.gate.set()
    async with at_work(harness.deps, pieces.work):
        await seen(lambda: pieces.done == ["a"])
    assert harness.registry.get_sample_value("atelier_engine_faults_total", {"worker": "test"}) == 2


async def test_a_fault_in_one_piece_stops_no_other(harness: Harness) -> None:
    pieces = Pieces(due=["a", "broken", "b", "c", "d", "e"])
    pieces.gate.set()
    async with at_work(harness.deps, pieces.work):
        await seen(lambda: len(pieces.done) == 5)
    assert harness.registry.get_sample_value("atelier_engine_faults_total", {"worker": "test"}) == 1


async def test_each_piece_has_a_log_context_of_its_own(harness: Harness) -> None:
    contexts: dict[str, dict[str, Any]] = {}
    both = asyncio.Barrier(2)

    async def do(deps: Dependencies, piece: str, /) -> None:
        structlog.contextvars.bind_contextvars(job_id=piece)
        await both.wait()
        contexts[piece] = structlog.contextvars.get_contextvars()

    work = replace(Pieces(due=["a", "b"]).work, do=do)
    with structlog.contextvars.bound_contextvars(call_id="of somebody else"):
        async with at_work(harness.deps, work):
            await seen(lambda: len(contexts) == 2)
    assert contexts == {piece: {"worker": "test", "job_id": piece} for piece in "ab"}


async def test_a_stop_claims_nothing_more_and_lets_work_end(harness: Harness) -> None:
    pieces = Pieces(due=list("abcdef"))
    async with at_work(harness.deps, pieces.work):
        await seen(lambda: len(pieces.under_way) == PLACES)
        asyncio.get_running_loop().call_later(0.2, pieces.gate.set)
    assert sorted(pieces.done) == list("abcd")
    assert pieces.due == ["e", "f"]


async def test_a_stop_has_what_takes_too_long_given_back(harness: Harness) -> None:
    pieces = Pieces(due=list("abcd"))
    async with at_work(harness.deps, pieces.work, grace_seconds=0.1) as scheduler:
        await seen(lambda: len(pieces.under_way) == PLACES)
    assert sorted(pieces.given_back) == list("abcd")
    assert scheduler.try_reserve() is None


async def test_a_piece_that_was_claimed_elsewhere_is_done_in_a_reserved_place(
    harness: Harness,
) -> None:
    pieces, engine = Pieces(), harness.deps.engine
    assert engine.try_reserve(TOPIC) is None  # no engine
    async with at_work(harness.deps, pieces.work):
        await seen(lambda: pieces.claims == [0])
        slots = [engine.try_reserve(TOPIC) for _ in range(PLACES)]
        assert engine.try_reserve(TOPIC) is None
        for slot in slots[1:]:
            assert slot is not None
            slot.release()
        assert slots[0] is not None
        pieces.due = list("abcde")
        await announce(harness)
        await seen(lambda: len(pieces.under_way) == PLACES - 1)
        slots[0].start("handed over")
        slots[0].release()  # as a caller does at its end, whatever happened
        await seen(lambda: "handed over" in pieces.under_way)
        assert len(pieces.under_way) == PLACES
        pieces.gate.set()
        await seen(lambda: len(pieces.done) == 6)


async def test_a_piece_that_is_handed_over_after_the_grace_is_given_back(
    harness: Harness,
) -> None:
    pieces = Pieces()
    async with at_work(harness.deps, pieces.work, grace_seconds=0.1) as scheduler:
        slot = scheduler.try_reserve()
    assert slot is not None
    slot.start("late")
    await seen(lambda: pieces.given_back == ["late"])


async def test_a_replica_without_a_place_asks_the_others(open_bench: OpenBench) -> None:
    busy, idle = await open_bench(), await open_bench()
    pieces = Pieces()
    helped = replace(pieces, gate=asyncio.Event(), claims=[], under_way=set())

    async def claim(deps: Dependencies, *, limit: int) -> Batch[str]:
        helped.due, pieces.due = pieces.due, []
        return await helped.claim(deps, limit=limit)

    async with (
        at_work(busy.deps, pieces.work),
        at_work(idle.deps, replace(helped.work, claim=claim)),
    ):
        await seen(lambda: pieces.claims == [0] and helped.claims == [0])
        pieces.due = list("abcdef")
        busy.deps.engine.due_in(TOPIC, NOW)  # nobody but this process knows of it
        await seen(lambda: len(pieces.under_way) == PLACES)
        await seen(lambda: helped.under_way == {"e", "f"})
        pieces.gate.set()
        helped.gate.set()


async def test_what_comes_while_the_others_were_just_asked_is_asked_for_soon(
    open_bench: OpenBench,
) -> None:
    busy, idle = await open_bench(), await open_bench()
    pieces = Pieces(due=list("abcde"))
    others = Pieces()
    async with at_work(busy.deps, pieces.work), at_work(idle.deps, others.work):
        await seen(lambda: len(pieces.under_way) == PLACES and len(others.claims) >= 2)
        others.due = ["late"]
        await announce(busy)
        async with asyncio.timeout(3):  # a full one is told of nothing else by any clock
            await seen(lambda: others.under_way == {"late"})
        asked = len(others.claims)
        pieces.gate.set()
        others.gate.set()
    assert asked <= 4


async def test_what_is_announced_while_a_replica_stops_is_done_by_another(
    open_bench: OpenBench,
) -> None:
    """Its own scheduler alone has heard of it, and claims nothing more."""
    leaving, staying = await open_bench(), await open_bench()
    pieces, others = Pieces(), Pieces()
    is_claiming, may_end = asyncio.Event(), asyncio.Event()

    async def claim(deps: Dependencies, *, limit: int) -> Batch[str]:
        is_claiming.set()
        await may_end.wait()
        return Batch()

    async with at_work(staying.deps, others.work):
        async with at_work(leaving.deps, replace(pieces.work, claim=claim)):
            await is_claiming.wait()
            await seen(lambda: others.claims == [0])
            others.due = ["late"]
            await announce(leaving)
            leaving.deps.stopping.set()
            may_end.set()
        await seen(lambda: others.under_way == {"late"})
        others.gate.set()


class DeafDatabase:
    """A database whose announcements nobody hears."""

    def __init__(self, harness: Harness) -> None:
        real = harness.deps.database
        self.transaction, self.read, self.now = real.transaction, real.read, real.now
        self.follow, self.call_for_help = real.follow, real.call_for_help

    @contextmanager
    def watch(self, *topics: str) -> Iterator[asyncio.Event]:
        yield asyncio.Event()


async def test_what_was_announced_and_not_heard_is_found_by_the_look(harness: Harness) -> None:
    deaf = replace(harness.deps, database=DeafDatabase(harness))
    await harness.accept()
    async with working(deaf, time_scale=0.05, grace_seconds=20):
        await seen(lambda: len(harness.provider.created) == 1, what="what was due at the start")
        await harness.accept(owner="user:2")
        await seen(lambda: len(harness.provider.created) == 2, what="what came afterwards")


async def test_sweeps_run_when_rows_make_them_due(harness: Harness) -> None:
    left, late = await harness.run(), await harness.accept(owner="user:2")
    harness.provider.refuse(ProviderSilent())
    async with working(harness.deps, time_scale=0.05, grace_seconds=20):
        await seen(lambda: len(harness.provider.created) == 2, what="the engine at work")
        # Changed under its feet: no announcement tells any of this.
        await harness.query(
            "UPDATE attempt SET state = 'submitting', read_time = NULL,"
            " submit_time = submit_time - interval '1 hour' WHERE job_id = %s",
            left.id,
        )
        await harness.query(
            "UPDATE attempt SET submit_time = submit_time - interval '1 hour' WHERE job_id = %s",
            late.id,
        )
        await harness.query("UPDATE job SET start_deadline_time = now() WHERE id = %s", late.id)

        async def are_swept() -> bool:
            (attempt,) = await harness.attempts(left)
            return attempt["state"] == "unknown" and (await harness.job(late)).state.is_final

        await until(are_swept, within_s=20, what="both sweeps")


async def test_what_comes_again_is_done_in_time_without_the_look(open_bench: OpenBench) -> None:
    """The leases last ten seconds and more, and without the look nobody else tells the time."""
    replica = await open_bench(timing=Timing().scaled(0.02))
    shop = replace(CALLER, name="shop", webhook_secrets=("whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0",))
    replica.receiver.secrets["shop"] = shop.webhook_secrets
    replica.receiver.answers = [WebhookAnswer(500)]
    await replica.made(caller=shop, destination=Webhook("https://shop.example/hook"))
    await replica.run(owner="user:2")
    await replica.run(owner="user:3")
    await replica.callback(SUCCESS)
    replica.fetcher.links[LINK] = FetchFailed()
    before = len(replica.fetcher.fetched)

    def are_repeated() -> bool:
        tries = (replica.provider.reads, replica.fetcher.fetched[before:], replica.receiver.posts)
        return all(len(each) >= 3 for each in tries)

    async with AsyncExitStack() as stack:
        for work in (poll.WORK, fetch_result.WORK, send_webhook.WORK):
            await stack.enter_async_context(at_work(replica.deps, work))
        async with asyncio.timeout(15):  # at the ends of leases the third try would come later
            await seen(are_repeated)
