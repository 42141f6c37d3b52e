"""gRPC callers: they ask, ask again, cancel, follow their job, or read a feed."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import grpc

from atelier.generation.v1 import delivery_service_pb2 as delivery_pb
from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.delivery_pb2 import Delivery
from atelier.generation.v1.destination_pb2 import QueueDestination
from atelier.generation.v1.job_pb2 import (
    JOB_STATE_CANCELLED,
    JOB_STATE_FAILED,
    JOB_STATE_SUCCEEDED,
    Job,
)
from generation_client import GenerationClient, GenerationError
from tests.chaos.ledger import Ledger
from tests.chaos.patience import patiently
from tests.chaos.plan import Kind, Order
from tests.chaos.sale import FACTORS, FREE, SHOP, owner_of
from tests.e2e.stack import SMALL, Stack

QUEUE = "chaos"
FINAL = frozenset({JOB_STATE_SUCCEEDED, JOB_STATE_FAILED, JOB_STATE_CANCELLED})
LEASE = timedelta(seconds=12)
STREAM_S = 20
"""How long a caller reads one stream: one that is stalled says nothing."""
THINK_S = 0.7
"""How long a caller looks at another price until it agrees to it."""
DEATHS = 0.05
"""The share of its deliveries that a reader takes and dies on."""


async def ask(stack: Stack, ledger: Ledger, order: Order) -> None:
    """Be a caller with one order, from its first call to the end of its job."""
    try:
        job = await _agreed(stack, ledger, order)
    except GenerationError as error:
        if error.reason != "INSUFFICIENT_CREDITS" or not ledger.agreed[order.number]:
            raise
        ledger.refused[order.number] = error.metadata["missing"]
        return
    ledger.jobs[order.number] = job.id
    if order.is_repeated:
        again = await _create(stack, ledger, order)
        if again.id != job.id:
            ledger.complain(order.number, f"the same request made {job.id} and {again.id}")
    async with asyncio.TaskGroup() as group:
        if order.cancel_after_s is not None:
            group.create_task(_cancel(stack, ledger, order, job_id=job.id))
        if order.kind is Kind.STREAM:
            group.create_task(_follow(stack, ledger, order, job_id=job.id))
        if order.kind is Kind.WAIT:
            group.create_task(_wait(_client(stack, order), job.id))


async def _agreed(stack: Stack, ledger: Ledger, order: Order) -> Job:
    """Ask at the price of the start, and agree to whatever it is by now."""
    ledger.agreed[order.number] = order.sale.price(FACTORS[0])
    while True:
        try:
            return await _create(stack, ledger, order)
        except GenerationError as error:
            if error.reason != "PRICE_CHANGED" or order.sale is FREE:
                raise
            ledger.repriced += 1
            ledger.agreed[order.number] = int(error.metadata["price"])
        await asyncio.sleep(THINK_S)  # replicas know of a change at different moments


async def _create(stack: Stack, ledger: Ledger, order: Order) -> Job:
    """Ask until there is an answer: a request id makes that safe."""
    prompt = ledger.prompt_of(order.number)
    request: dict[str, Any] = {
        "request_id": prompt,
        "owner": f"{SHOP}:{order.number}" if order.is_of_shop else owner_of(order.number),
        "model_id": order.sale.model_id,
        "options": SMALL if order.sale is FREE else order.sale.options,
        "agreed_credits": ledger.agreed[order.number],
        "client": _client(stack, order),
    }
    if order.kind is Kind.QUEUE:
        request["queue"] = QueueDestination(queue=QUEUE)
    return await patiently(partial(stack.create, prompt, **request))


def _client(stack: Stack, order: Order) -> GenerationClient:
    return stack.shop if order.is_of_shop else stack.client


async def _cancel(stack: Stack, ledger: Ledger, order: Order, *, job_id: str) -> None:
    await asyncio.sleep(order.cancel_after_s or 0)
    request = pb.CancelJobRequest(job_id=job_id)
    client = _client(stack, order)
    job = (await patiently(lambda: client.generation.CancelJob(request))).job
    if job.state not in FINAL:
        ledger.complain(order.number, "CancelJob answered with a job that goes on")


async def _wait(client: GenerationClient, job_id: str) -> None:
    request = pb.WaitJobRequest(job_id=job_id)
    request.timeout.FromTimedelta(timedelta(seconds=10))
    while True:
        answer = await patiently(lambda: client.generation.WaitJob(request))
        if answer.job.state in FINAL:
            return


async def _follow(stack: Stack, ledger: Ledger, order: Order, *, job_id: str) -> None:
    """Read the stream to the final update, resuming after the last revision seen."""
    seen = ledger.revisions.setdefault(order.number, [])
    client = _client(stack, order)
    while not (end := await patiently(partial(_read, client, job_id, seen=seen))).is_final:
        if not end.is_cut:
            ledger.complain(order.number, f"a stream ended with OK before its job did: {seen}")
            return


class _End(NamedTuple):
    """How a stream ended."""

    is_final: bool
    is_cut: bool = False


async def _read(client: GenerationClient, job_id: str, *, seen: list[int]) -> _End:
    """Read one stream for as long as it lasts; its deadline is no fault."""
    request = pb.StreamJobUpdatesRequest(job_id=job_id, after_revision=seen[-1] if seen else 0)
    is_final = False
    try:
        async for update in client.generation.StreamJobUpdates(request, timeout=STREAM_S):
            if update.HasField("job"):
                seen.append(update.job.revision)
                is_final = update.job.state in FINAL
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
            raise
        return _End(is_final, is_cut=True)
    return _End(is_final)


async def read_feed(stack: Stack, ledger: Ledger, *, rng: random.Random) -> None:
    """Be a reader of the feed until cancelled; one that dies now and then between two calls."""
    request = delivery_pb.LeaseDeliveriesRequest(queue=QUEUE, max_deliveries=10)
    request.wait.FromTimedelta(timedelta(seconds=5))
    request.lease_duration.FromTimedelta(LEASE)
    while True:
        answer = await patiently(lambda: stack.client.delivery.LeaseDeliveries(request))
        for delivery in answer.deliveries:
            await _take(stack, ledger, delivery, is_deadly=rng.random() < DEATHS)


async def _take(stack: Stack, ledger: Ledger, delivery: Delivery, *, is_deadly: bool) -> None:
    begin = delivery_pb.BeginDeliveryRequest(lease_token=delivery.lease_token)
    report = delivery_pb.ReportDeliveryRequest(lease_token=delivery.lease_token)
    report.sent.is_edit = delivery.maybe_sent
    try:
        await patiently(lambda: stack.client.delivery.BeginDelivery(begin))
        counter = ledger.feed_again if delivery.maybe_sent else ledger.feed_new
        counter[delivery.job.id] += 1
        if not is_deadly:
            await patiently(lambda: stack.client.delivery.ReportDelivery(report))
    except GenerationError as error:
        if error.reason != "STALE_LEASE":
            raise
