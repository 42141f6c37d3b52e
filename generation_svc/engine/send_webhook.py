"""Posts outcomes to webhooks, again after every failure and every doubt.

The id is the delivery's and the same at every try, so that the receiver knows a repetition; a post
of unknown fate is therefore simply posted again, and needs none of the care that a chat does.
"""

import asyncio
import random
from datetime import timedelta
from functools import partial
from urllib.parse import urlsplit

import structlog

from generation_svc.domain.delivery import (
    Delivery,
    Impossible,
    SendingOutcome,
    Sent,
    TryAgain,
    Unknown,
    Webhook,
)
from generation_svc.domain.error import StaleLease
from generation_svc.domain.port.transaction import Transaction
from generation_svc.domain.port.webhook import WebhookAnswer, WebhookPost
from generation_svc.domain.webhook import GONE
from generation_svc.engine.persist import persist
from generation_svc.engine.work import Batch, Work
from generation_svc.lifecycle import topic
from generation_svc.lifecycle.dependencies import Dependencies

LEASE = timedelta(seconds=60)
"""How long a post may take, its report included; then it is posted again."""
MOST_PER_HOST = 4
"""How many posts to one host are under way at once, over all replicas."""
LIFETIME = timedelta(days=1)
"""How long a webhook is tried for, counted from the outcome."""
FIRST_RETRY = timedelta(seconds=10)
"""How long the first failure is waited after, or half of that; it grows fourfold."""
LONGEST_RETRY = timedelta(hours=4)
LONGEST_RETRY_AFTER = timedelta(hours=6)
"""How long a receiver may ask to be left alone."""
_PATIENT = frozenset({429, 503})
"""The answers whose Retry-After counts."""
_logger = structlog.get_logger(__name__)


async def _claim(deps: Dependencies, *, limit: int) -> Batch[Delivery]:
    """Begin the posts whose turn it is, one after the other, since each changes whose is next."""
    deliveries: list[Delivery] = []
    async with deps.database.transaction() as tx:
        for _ in range(limit):
            delivery = await tx.webhooks.begin(span=LEASE, most_per_host=MOST_PER_HOST)
            if delivery is None:
                break
            if await _is_disabled(tx, delivery):
                await tx.deliveries.report(delivery.lease_token, Impossible(_in_words(GONE)))
            else:
                deliveries.append(delivery)
        return Batch(deliveries, await tx.webhooks.next_due())


async def _do(deps: Dependencies, delivery: Delivery, /) -> None:
    structlog.contextvars.bind_contextvars(
        job_id=str(delivery.job.id), correlation_id=delivery.job.correlation_id
    )
    await _send(deps, delivery)


WORK = Work("post", topic.WEBHOOK, concurrency=16, claim=_claim, do=_do)
"""Posting outcomes to webhooks."""


async def _send(deps: Dependencies, delivery: Delivery) -> None:
    try:
        answer = await _answer(deps, delivery)
    except asyncio.CancelledError:  # the service stops: another replica may go on at once
        await persist(partial(_report, deps, delivery, outcome=Unknown()))
        raise
    outcome = _outcome(deps, delivery, answer=answer)
    await persist(partial(_report, deps, delivery, outcome=outcome, answer=answer))


async def _answer(deps: Dependencies, delivery: Delivery) -> WebhookAnswer:
    secrets = deps.webhooks.secrets_of(delivery.job.caller)
    if not secrets:
        return WebhookAnswer(0, problem="the caller no longer has a key for signing")
    try:
        return await deps.webhooks.sender.post(
            WebhookPost(
                id=delivery.id,
                url=_url(delivery),
                body=deps.webhooks.body(delivery.job),
                secrets=secrets,
            )
        )
    except Exception:  # a fault of ours: this webhook, too, ends after its day
        _logger.exception("a webhook could not be posted")
        return WebhookAnswer(0, problem="internal error; the service's log has the details")


def _outcome(deps: Dependencies, delivery: Delivery, *, answer: WebhookAnswer) -> SendingOutcome:
    if 200 <= answer.status < 300:
        return Sent(message_id=0, is_edit=False)
    reason = answer.problem or _in_words(answer.status)
    _logger.warning(
        "a webhook was not accepted",
        host=urlsplit(_url(delivery)).hostname,  # its path and query may hold secrets
        reason=reason,
        try_number=delivery.try_number,
    )
    if answer.status == GONE:
        return Impossible(reason)
    return _later(deps, delivery, answer=answer, reason=reason)


def _later(
    deps: Dependencies, delivery: Delivery, *, answer: WebhookAnswer, reason: str
) -> SendingOutcome:
    """Try again on schedule, and a last time at the end of the day."""
    deadline = delivery.job.update_time + LIFETIME * deps.timing.time_scale
    time = deps.database.now()
    if time >= deadline:
        return Impossible(f"not accepted for a day; last answer: {reason}")
    bound = min(FIRST_RETRY * 4 ** min(delivery.try_number - 1, 10), LONGEST_RETRY)
    # Random, so that a receiver that comes back is not met by all that it missed at once.
    wait = bound * deps.timing.time_scale * random.uniform(0.5, 1)
    if answer.retry_after is not None and answer.status in _PATIENT:
        wait = max(wait, min(answer.retry_after, LONGEST_RETRY_AFTER))
    return TryAgain(min(time + wait, deadline), reason=reason)


async def _report(
    deps: Dependencies,
    delivery: Delivery,
    *,
    outcome: SendingOutcome,
    answer: WebhookAnswer | None = None,
) -> None:
    try:
        async with deps.database.transaction() as tx:
            # One transaction: an outcome is both reported and counted, or neither.
            await tx.deliveries.report(delivery.lease_token, outcome)
            if answer:
                await _note(tx, delivery, answer=answer)
            _tell(deps, tx, outcome)
    except StaleLease:
        _logger.warning("a webhook's lease ran out before its report; it is posted again")


def _tell(deps: Dependencies, tx: Transaction, outcome: SendingOutcome) -> None:
    """Have a webhook that is not done found: by another replica now, or by this one in time."""
    if isinstance(outcome, Unknown):
        tx.announce(topic.WEBHOOK)
    elif isinstance(outcome, TryAgain) and outcome.not_before_time:
        wait = outcome.not_before_time - tx.now()
        deps.engine.due_after(tx, topic.WEBHOOK, span=wait)


async def _note(tx: Transaction, delivery: Delivery, *, answer: WebhookAnswer) -> None:
    url, caller = _url(delivery), delivery.job.caller
    await tx.webhooks.note(url, caller=caller, answer=answer)
    if answer.status == GONE:
        await tx.webhooks.disable(url, caller=caller, reason=_in_words(GONE))


async def _is_disabled(tx: Transaction, delivery: Delivery) -> bool:
    return await tx.webhooks.is_disabled(_url(delivery), caller=delivery.job.caller)


def _url(delivery: Delivery) -> str:
    assert isinstance(delivery.destination, Webhook)  # nothing else is claimed here
    return delivery.destination.url


def _in_words(status: int) -> str:
    return f"HTTP {status}"
