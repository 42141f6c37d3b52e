"""What can happen to jobs: to be quoted, accepted, sent, answered, fetched, cancelled."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any

from generation_svc.domain.error import FetchFailed, ProviderRefused, ProviderSilent
from generation_svc.domain.failure import FailureReason
from generation_svc.domain.job import Job
from generation_svc.domain.observation import Observation
from generation_svc.engine.read_cost import WORK
from generation_svc.engine.work import do_one
from generation_svc.usecase import cancel_job
from generation_svc.usecase.quote_job import QuoteRequest, quote_job
from tests.ledger.world import HOUSE, LIMIT, OWNERS, Events
from tests.lifecycle import CALLER, FAILURE, LINK, SUCCESS, Harness, items_of
from tests.step import dispatch

PAYING = replace(CALLER, name="shop", wallet=HOUSE)
"""A caller that pays for all its owners from one wallet, which is filled beforehand."""
OWING = replace(PAYING, name="agency", monthly_credits=LIMIT)
"""A caller that pays from the same one, and may owe."""
CALLERS = (CALLER, CALLER, PAYING, OWING)
MODELS: tuple[dict[str, Any], ...] = (
    {"model_id": "z-image"},
    {"model_id": "google/imagen4"},
    {"model_id": "wan/2-7-image", "inputs": {"prompt": "cats", "n": 4}},
    {
        "model_id": "bytedance/seedream-v4-text-to-image",
        "inputs": {"prompt": "cats", "max_images": 3},
    },
)
"""One is free, two have an exact price, and one has a ceiling."""
OFTEN = (1, 2, 3, 4)
"""How often each is asked for: most can happen where there are several pictures, or a ceiling."""
LINKS = tuple(f"{LINK}?{n}" for n in range(4))
FRESH = "https://file.aiquickdraw.com/fresh.png"
COSTS = (*(None,) * 3, *map(Decimal, ("0.5", "7.25", "7.25", "900")))
"""What callbacks and polls tell of a cost; the last one takes the model off sale."""
REFUSED = ProviderRefused("no", code="422", reason=FailureReason.REQUEST_REFUSED)
LOST = ProviderSilent("no answer")


class JobEvents(Events):
    """Everything that can happen to a job."""

    async def quote(self, random: Random, _: bool) -> None:
        """Have somebody told a price, to which the next job of that model agrees."""
        model = random.choice(MODELS)
        inputs = model.get("inputs", {"prompt": "a cat"})
        request = QuoteRequest(CALLER, model["model_id"], inputs, OWNERS[0], "en")
        told = await self.do(lambda bench: quote_job(bench.deps, request))
        if told:
            self.quotes[model["model_id"]] = int(told.price.credits)

    async def create(self, random: Random, is_twice: bool) -> None:
        (model,) = random.choices(MODELS, OFTEN)
        request = {
            **model,
            "owner": random.choice(OWNERS),
            "request_id": self.name("request"),
            "caller": random.choice(CALLERS),
            "agreed_credits": self.quotes.pop(model["model_id"], None),
        }
        create = partial(self._create, request)
        if is_twice and random.random() < 0.5:
            await self.at_once(self.do(create), self.do(create))
        else:
            for _ in range(1 + is_twice):
                await self.do(create)

    async def _create(self, request: dict[str, Any], bench: Harness) -> None:
        job = await bench.accept(**request)
        agreed = request["agreed_credits"]
        assert agreed is None or int(job.price.credits) == agreed
        known = [each for wish, each in self.jobs if wish is request]
        assert all(each.id == job.id for each in known)
        if not known:
            self.jobs.append((request, job))

    async def create_again(self, random: Random, _: bool) -> None:
        """Repeat a request, whatever the price, the wallet and the model are by now."""
        if self.jobs:
            request, job = random.choice(self.jobs)
            again = await self.do(lambda bench: bench.accept(**request))
            assert again is not None
            assert (again.id, again.price) == (job.id, job.price)

    async def send(self, random: Random, is_answered: bool) -> None:
        error = None if is_answered else random.choice((None, None, REFUSED, LOST))
        self.ground.harness.provider.refuse(error)
        if is_answered:
            await self.do(lambda bench: bench.dispatch_all())
        else:
            await self.do(lambda bench: dispatch(bench.deps))
        self.ground.harness.provider.refuse(None)

    async def call_back(self, random: Random, is_success: bool) -> None:
        call = self._call(random)
        if call:
            await self._say(call, _told(random, is_success))

    async def _say(self, call: int, told: Observation) -> None:
        await self.do(lambda bench: bench.callback(told, call=call))

    async def answer_polls(self, random: Random, is_success: bool) -> None:
        call = self._call(random)
        if call:
            self.ground.harness.provider.tasks[f"task-{call}"] = _told(random, is_success)
            await self.later(0.1)
            await self.do(lambda bench: bench.poll_all())

    async def read_cost(self, random: Random, is_told: bool) -> None:
        """Have the costs asked for that nobody told when their tasks ended."""
        cost = random.choice((Decimal("0.5"), Decimal("7.25"), Decimal(900))) if is_told else None
        provider = self.ground.harness.provider
        for call in range(1, len(provider.created) + 1):
            provider.tasks[f"task-{call}"] = replace(SUCCESS, cost=cost)
        await self.later(0.1)
        for _ in range(3):
            await self.do(lambda bench: do_one(bench.deps, WORK))

    def _call(self, random: Random) -> int:
        """Return the number of a task, rather one that is not told of."""
        calls = len(self.ground.harness.provider.created)
        news = sorted(set(range(1, calls + 1)) - self.told)
        call = random.choice(news if news and random.random() < 0.8 else range(calls + 1))
        self.told.add(call)
        return call

    async def fetch(self, random: Random, is_whole: bool) -> None:
        gone = (
            []
            if is_whole or random.random() < 0.5
            else [FRESH, *random.sample(LINKS, random.randint(1, 4))]
        )
        self.ground.harness.fetcher.links = dict.fromkeys(gone, FetchFailed("gone"))
        await self.do(lambda bench: bench.fetch_all())

    async def finish(self, random: Random, is_whole: bool) -> None:
        """Have what waits sent, answered and fetched, as it mostly goes."""
        await self.send(random, is_answered=True)
        await self.call_back(random, is_success=True)
        if random.random() < 0.25:
            await self.kill_soon(random, is_committed=random.random() < 0.5)
        await self.fetch(random, is_whole)
        if random.random() < 0.3:
            await self.read_cost(random, is_told=True)

    async def kill_soon(self, random: Random, is_committed: bool) -> None:
        """Kill the process in what it does next; after that it is done again by another one."""
        self.ground.fuse.left = random.randint(1, 5)
        self.ground.fuse.is_committed = is_committed

    async def cancel(self, random: Random, _: bool) -> None:
        if self.jobs:
            request, job = random.choice(self.jobs[-3:])
            is_running = random.random() < 0.5
            if is_running:
                await self.send(random, is_answered=True)
            await self.do(partial(_cancel, request, job))
            if is_running:
                await self.call_back(random, is_success=random.random() < 0.7)
                await self.fetch(random, is_whole=random.random() < 0.7)

    async def send_twice(self, random: Random, is_other_first: bool) -> None:
        """Have what waits sent, answered by nobody, sent again, and both tasks tell of a result."""
        provider = self.ground.harness.provider
        before = len(provider.created)
        provider.refuse(LOST)
        await self.do(lambda bench: dispatch(bench.deps))
        provider.refuse(None)
        await self.later(1)
        await self.do(lambda bench: bench.dispatch_all())
        calls = list(range(before + 1, len(provider.created) + 1))
        for call in reversed(calls) if is_other_first else calls:
            self.told.add(call)
            await self._say(call, _told(random, random.random() < 0.9))
            if random.random() < 0.7:
                await self.fetch(random, is_whole=random.random() < 0.7)

    async def wait(self, random: Random, is_swept: bool) -> None:
        await self.later(random.choice((0.05, 0.5, 3, 30)))
        if is_swept:
            await self.do(lambda bench: bench.sweep())

    async def sell_again(self, _: Random, __: bool) -> None:
        """Put models back on sale that cost too much."""
        await self.ground.sell_all()


async def _cancel(request: dict[str, Any], job: Job, bench: Harness) -> None:
    await cancel_job.cancel_job(bench.deps, request["caller"], job_id=job.id)


def _told(random: Random, is_success: bool) -> Observation:
    if not is_success:
        return FAILURE
    results = items_of(*LINKS[: random.randint(1, 4)])
    return replace(SUCCESS, results=results, cost=random.choice(COSTS))
