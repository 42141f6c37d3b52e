"""The plans of all statements on a database that is filled: nothing reads a table or sorts a queue.

Statements are found by running the use cases. So a new one is seen by itself, and a method of a
store that nothing here calls is named.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from itertools import product
from pkgutil import walk_packages
from uuid import uuid4

import pytest

from generation_svc import storage
from generation_svc.domain.caller import Scope
from generation_svc.domain.clock import day_of
from generation_svc.domain.cost_excess import CostExcess
from generation_svc.domain.delivery import Destination, Queue, Sent, Webhook
from generation_svc.domain.error import FetchFailed, ProviderBusy, ProviderSilent
from generation_svc.domain.imported_balance import ImportedBalance
from generation_svc.domain.job import Job
from generation_svc.domain.job_filter import Condition, JobField, JobFilter, Operator
from generation_svc.domain.ledger import Delivered
from generation_svc.domain.model import Consent
from generation_svc.domain.money import MoneyMode
from generation_svc.domain.observation import Observation, ProviderState
from generation_svc.domain.port.due import DueKind
from generation_svc.domain.port.queue import Claim
from generation_svc.domain.port.request import RequestKey
from generation_svc.domain.port.webhook import WebhookAnswer
from generation_svc.engine import read_cost
from generation_svc.engine.due import looking
from generation_svc.engine.maintenance.accounts import watch_accounts
from generation_svc.engine.recovery import read_tasks
from generation_svc.engine.work import do_one
from generation_svc.lifecycle.callback import CallbackOutcome
from generation_svc.lifecycle.forecast import forecast
from generation_svc.lifecycle.model_health import health_of
from generation_svc.usecase import (
    cancel_job,
    download_media,
    lease_delivery,
    read_job,
    stream_job,
    upload_input,
    webhook,
)
from generation_svc.usecase.money import block_owner, read_daily_report, read_wallet
from generation_svc.usecase.money.grant_credits import GrantRequest, grant_credits
from generation_svc.usecase.money.import_balances import ImportBatch, import_balances, undo_import
from tests.fill import Filling, fill, fill_stars, fill_wallets
from tests.integration.star_plan import bought
from tests.lifecycle import (
    CALLER,
    CHAT,
    FAILURE,
    GENEROUS,
    LINK,
    SUCCESS,
    FakeProvider,
    Harness,
    OpenBench,
    one_piece,
)
from tests.money import IMAGEN, wallet
from tests.plan import Recorder
from tests.step import send_webhook

FILLING = Filling(finished=50_000, days=120, queued=2_000, queued_owners=20, caller="edge")
LIMITS = replace(GENEROUS, creates_per_window=200, reads_per_window=200, active_tasks=40)
"""So many jobs may run at once: the first round of the queue, and what is accepted here."""
SMALL = {
    "breaker_store",
    "catalog_store",
    "edge_store",
    "epoch_store",
    "model_store",
    "money_store",
    "rate_budget_store",
}
"""The stores of what does not grow with every job: few rows, or one that is found by its key."""
HOOK = Webhook("https://hooks.example/atelier")
OTHER_HOOK = Webhook("https://gone.example/atelier")
SIGNED = replace(CALLER, webhook_secrets=("a secret",))
NARROW = replace(CALLER, scopes=frozenset({Scope.OWN_JOBS}))
"""One who sees only its own jobs."""
NOW = datetime.now(UTC)


def by(field: JobField, operator: Operator, value: str | datetime) -> JobFilter:
    return ((Condition(field, operator, value),),)


FILTERS: tuple[JobFilter, ...] = (
    (),
    by(JobField.STATE, Operator.EQUAL, "succeeded"),
    by(JobField.STATE, Operator.UNEQUAL, "queued"),
    by(JobField.MODEL_ID, Operator.EQUAL, "z-image"),
    by(JobField.CREATE_TIME, Operator.AT_LEAST, NOW - timedelta(hours=1)),
    by(JobField.UPDATE_TIME, Operator.AT_LEAST, NOW - timedelta(hours=1)),
    by(JobField.UPDATE_TIME, Operator.BELOW, NOW - timedelta(days=30)),
)


@pytest.fixture
async def harness(
    database_url: str, open_bench: OpenBench, request: pytest.FixtureRequest
) -> Harness:
    """The harness of a service whose database is filled."""
    await fill(database_url, getattr(request, "param", FILLING))
    await fill_wallets(database_url, owners=50_000)
    await fill_stars(database_url)
    return await open_bench(limits=LIMITS, money=MoneyMode.TEST)


async def test_no_statement_reads_a_large_table_or_sorts_the_queue(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(harness.connection)
    recorder.install(monkeypatch)
    jobs = await accepted(harness)
    await taken(harness, jobs)
    await ended(harness)
    await delivered(harness)
    await paid(harness)
    await bought(harness)
    await imported(harness)
    await read(harness, jobs[0])
    await grown_old(harness)
    await met_by_chance(harness, jobs[0])
    await limited(harness)
    monkeypatch.undo()
    await harness.query("ANALYZE")

    problems = await recorder.problems()
    assert not problems, "\n".join(problems)
    missing = sorted(set(public_methods()) - recorder.callers)
    assert not missing, ", ".join(missing)


async def test_what_limits_the_operator_reads_a_day_of_jobs_at_most(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await watch_accounts(harness.deps)
    await accepted(harness)
    recorder = Recorder(harness.connection)
    recorder.install(monkeypatch)
    await limited(harness)
    monkeypatch.undo()
    await harness.query("ANALYZE")
    assert await recorder.problems() == []


@pytest.mark.parametrize("harness", [replace(FILLING, finished=5_000)], indirect=True)
async def test_a_statement_that_reads_or_sorts_too_much_is_found(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(harness.connection)
    recorder.install(monkeypatch)
    await harness.query("ALTER TABLE attempt DROP CONSTRAINT attempt_token_hash_key")
    async with harness.transaction() as tx:
        await tx.attempts.find_by_token(b"a hash")
    assert "PostgresAttemptStore.find_by_token" in recorder.callers
    recorder.statements |= {
        b"SELECT FROM job WHERE state = 'queued' ORDER BY inputs->>'prompt' LIMIT 1": [None],
        b"SELECT caller FROM job ORDER BY id": [None],
        b"SELECT caller FROM job ORDER BY id LIMIT 1": [None],
    }
    await harness.query("SET enable_sort = off")
    table, index, sort = await recorder.problems()
    assert table.startswith("reads all of attempt: SELECT * FROM attempt WHERE token_hash")
    assert index == "reads all of job_pkey: SELECT caller FROM job ORDER BY id"
    assert sort.startswith("sorts 2000 rows: SELECT FROM job WHERE state = 'queued'")


async def accepted(harness: Harness) -> list[Job]:
    """Accept jobs of every kind, one of them twice."""
    for _ in range(2):
        await harness.accept(request_id="request-of-the-plan", owner="user:key")
    picture = await upload_input.upload(
        harness.deps, CALLER, owner="user:picture", pieces=one_piece(b"a picture")
    )
    inputs = {"prompt": "a hat", "image": f"upload:{picture.id}"}
    await harness.accept(model_id="qwen/image-edit", inputs=inputs, owner="user:picture")
    places: tuple[Destination, ...] = (CHAT, Queue("feed"), HOOK, OTHER_HOOK)
    harness.receiver.secrets = {"edge": ("a secret",)}
    jobs = [
        await harness.accept(owner=f"user:{n}", destination=each, caller=SIGNED)
        for n, each in enumerate(places)
    ]
    cancelled = await harness.accept(owner="user:cancelled")
    await cancel_job.cancel_job(harness.deps, CALLER, job_id=cancelled.id)
    await forecast(harness.deps, jobs[0])
    await accepted_within_allowance(harness)
    return jobs


async def accepted_within_allowance(harness: Harness) -> None:
    """Accept a job where the free jobs of a day are counted, and say how many are left."""
    limits = replace(harness.deps.limits, daily_free_jobs_per_owner=9)
    deps = replace(harness.deps, limits=limits)
    job = await replace(harness, deps=deps).accept(owner="user:allowance")
    await read_wallet.read_allowance(deps, CALLER, owner=job.owner)
    await cancel_job.cancel_job(deps, CALLER, job_id=job.id)


async def taken(harness: Harness, jobs: list[Job]) -> None:
    """Send the jobs: of the first calls one finds the provider busy, and one has no answer."""
    troubles = [ProviderBusy("later"), ProviderSilent("no answer")]

    async def answer(_: FakeProvider, task_id: str) -> str:
        if troubles:
            raise troubles.pop()
        return task_id

    harness.provider.answer = answer
    await harness.dispatch_all()
    async with harness.transaction() as tx:
        await tx.queue.hasten_postponed()
        account = harness.deps.provider.accounts[0]
        lost = Claim(await harness.job(jobs[0]), uuid4(), attempts=0, account=account)
        assert not await tx.queue.extend(lost, lease=timedelta(minutes=1))
    states = [(await harness.job(each)).state for each in jobs]
    assert set(states) == {"running"}, states


async def ended(harness: Harness) -> None:
    """Let the provider tell of the tasks: by itself, when asked, and twice."""
    harness.provider.tasks["task-5"] = Observation(ProviderState.EMPTY, word="success")
    await harness.callback(SUCCESS, call=6, token="of nobody")
    assert await read_tasks(harness.deps) > 0
    await harness.callback(FAILURE, call=7)
    harness.fetcher.links[LINK] = FetchFailed("it was cut off")
    for call in range(2, len(harness.provider.created) + 1):
        await harness.callback(SUCCESS, call=call)
    await harness.fetch_all()
    harness.fetcher.links.clear()
    await harness.query("UPDATE attempt SET fetch_time = now() WHERE state = 'succeeded'")
    await harness.fetch_all()
    assert await do_one(harness.deps, read_cost.WORK)
    await harness.callback(SUCCESS, call=8)


async def delivered(harness: Harness) -> None:
    """Send what is due to a chat and to a feed, and post it; one address is gone for good."""
    for bot_id, queue in ((CHAT.bot_id, None), (None, "feed")):
        wanted = lease_delivery.Wanted(
            CALLER, bot_id=bot_id, queue=queue, limit=5, span=timedelta(minutes=1)
        )
        given_back = await lease_delivery.lease(harness.deps, wanted, wait=timedelta(0))
        await lease_delivery.give_back(harness.deps, wanted, deliveries=given_back)
        for delivery in await lease_delivery.lease(harness.deps, wanted, wait=timedelta(0)):
            await lease_delivery.begin(harness.deps, delivery.lease_token)
            sent = Sent(1001, is_edit=False)
            await lease_delivery.report(harness.deps, delivery.lease_token, outcome=sent)
            await lease_delivery.report(harness.deps, delivery.lease_token, outcome=sent)
    harness.receiver.answers = [WebhookAnswer(410), WebhookAnswer(200)]
    while await send_webhook(harness.deps):
        pass
    (gone,) = await webhook.page(harness.deps, CALLER, is_disabled=True, after="", limit=9)
    await webhook.enable(harness.deps, CALLER, url=gone.url)


async def paid(harness: Harness) -> None:
    """Have jobs that are paid for: captured, released, cancelled before and after they ran."""
    owner = "bench:wallet:7"
    await harness.query("UPDATE job SET dispatch_time = dispatch_time + interval '1 day'")
    await harness.made(owner=owner, destination=None, **IMAGEN)
    await harness.run(owner=owner, destination=None, **IMAGEN)
    await harness.callback(FAILURE)
    queued = await harness.accept(owner=owner, destination=None, **IMAGEN)
    await cancel_job.cancel_job(harness.deps, CALLER, job_id=queued.id)
    running = await harness.run(owner=owner, destination=None, **IMAGEN)
    await cancel_job.cancel_job(harness.deps, CALLER, job_id=running.id)
    await harness.callback(replace(SUCCESS, cost=Decimal(8)))
    await harness.fetch_all()
    gift = GrantRequest(CALLER, "plan", owner, 5, "a gift")
    for _ in range(2):
        assert (await grant_credits(harness.deps, gift)).changed == 5
    assert (await wallet(harness, owner)).held == 0
    async with harness.transaction() as tx:
        transfers = await tx.ledger.transfers(owner, limit=20)
        await tx.ledger.transfers(owner, before=transfers[3].id, limit=20)
        assert await tx.ledger.find(str(queued.id))
        await tx.ledger.over(limit=20)
        await tx.ledger.lower(queued.id, Delivered(1, measured_cost=Decimal(1)))
    for is_blocked in (True, False):
        block = block_owner.Block(owner, is_blocked, "a reason")
        await block_owner.block_owner(harness.deps, CALLER, block=block)
    today = day_of(harness.deps.database.now()).date()
    await read_daily_report.read_daily_report(
        harness.deps, first_day=today - timedelta(days=2), last_day=today
    )
    await harness.query("UPDATE job SET dispatch_time = dispatch_time - interval '1 day'")


async def imported(harness: Harness) -> None:
    """Import balances of an earlier bot, twice, and undo that."""
    told = tuple(ImportedBalance("old", str(n), "7", "RUB") for n in (1, 2, 3))
    batch = ImportBatch(uuid4(), told, Decimal(1), "moved")
    for _ in range(2):
        await import_balances(harness.deps, CALLER, batch=batch, apply=True)
    undone = await undo_import(harness.deps, CALLER, batch_id=batch.id, reason="moved back")
    assert undone.undone == 3


async def read(harness: Harness, job: Job) -> None:
    """Read a job, its stream and its picture, and pages of all jobs with every kind of filter."""
    updates = stream_job.follow(
        harness.deps, CALLER, job_id=job.id, after=1, silence=lambda: timedelta(seconds=1)
    )
    await health_of(harness.deps)
    result = [each async for each in updates][-1]
    assert isinstance(result, Job)
    assert result.result is not None
    await download_media.download(harness.deps, CALLER, media_id=result.result.media[0].id)
    for owner, job_filter, before in product((None, job.owner), FILTERS, (None, job.id)):
        query = read_job.JobQuery(owner, job_filter)
        for caller in (CALLER, NARROW):
            await read_job.page(harness.deps, caller, query, before=before, limit=21)


async def grown_old(harness: Harness) -> None:
    """Look after what time makes due, some of it expired long ago."""
    await harness.query(
        "UPDATE media SET remove_time = NULL WHERE id IN (SELECT id FROM media"
        " WHERE remove_time IS NOT NULL ORDER BY id DESC OFFSET 2000 LIMIT 5)"
    )
    await harness.query(
        "UPDATE upload SET remove_time = NULL WHERE id IN (SELECT id FROM upload"
        " WHERE remove_time IS NOT NULL ORDER BY id DESC OFFSET 2000 LIMIT 5)"
    )
    await harness.sweep()
    await watch_accounts(harness.deps)
    told: list[timedelta] = []
    look = looking(dict.fromkeys(DueKind, told.append), interval=timedelta(seconds=5))
    await do_one(harness.deps, look)


async def met_by_chance(harness: Harness, job: Job) -> None:
    """Ask what only a killed process, a long fetch or a rare input makes the service ask."""
    async with harness.transaction() as tx:
        attempt = await tx.attempts.settled(job.id)
        assert attempt is not None
        await tx.attempts.count_unrefused(job.id)
        await tx.attempts.put_off_cost(attempt.id, due=timedelta(0))
        await tx.attempts.give_up_cost(attempt.id)
        await tx.attempts.keep_cost(attempt.id, Decimal(1))
        await tx.attempts.renew_fetch(attempt, lease=timedelta(minutes=1))
        await tx.jobs.revisions_of([job.id])
        await tx.media.positions_of(attempt.id)
        await tx.media.known_results([attempt.id])
        await tx.media.known_uploads([attempt.id])
        await tx.media.media_of(attempt.id)
        await tx.jobs.destination(job.id)
        await tx.consents.record("user:1", consent=Consent.FACE, wording_version="1", caller="a")
        await tx.consents.find("user:1", consent=Consent.FACE)
        await tx.consents.page("user:1", after="", limit=9)
        await tx.consents.withdraw("user:1", consent=Consent.FACE)
        await tx.callbacks.finish(attempt.id, outcome=CallbackOutcome.APPLIED)
        key = RequestKey(CALLER.name, "a new request", content_hash=b"0" * 32)
        await tx.requests.remember(key, job_id=job.id)
        await tx.requests.find(key.request_id, caller=key.caller)


async def limited(harness: Harness) -> None:
    """Ask what a job may cost the operator, and have it cost more than was quoted."""
    excess = CostExcess(uuid4(), "z-image", quoted=Decimal(8), taken=Decimal(12))
    async with harness.transaction() as tx:
        await tx.ledger.note_excess(excess)
        assert await tx.ledger.dear_models() == ["z-image"]
        assert await tx.ledger.take_excess("z-image") == excess
        await tx.money.daily_cost(day_of(harness.deps.database.now()))
        await tx.money.open_cost(within=harness.deps.timing.balance_age)
        await tx.top_ups.take_turn("telegram")
        await tx.money.claim_day("daily cap free", day=harness.deps.database.now().date())
        await tx.breaker.balances(harness.deps.provider.accounts, within=timedelta(minutes=10))


def public_methods() -> Iterator[str]:
    """Return the methods of stores that ask the database for something."""
    found = walk_packages(storage.__path__, prefix=f"{storage.__name__}.")
    names = (each.name for each in found if each.name.endswith("_store"))
    for name in names:
        if name.rpartition(".")[2] in SMALL:
            continue
        module = import_module(name)
        for _, store in inspect.getmembers(module, inspect.isclass):
            if store.__module__ == module.__name__:
                yield from _public_methods(store)


def _public_methods(store: type) -> Iterator[str]:
    for name, method in inspect.getmembers(store, inspect.iscoroutinefunction):
        if not name.startswith("_"):
            yield method.__qualname__
