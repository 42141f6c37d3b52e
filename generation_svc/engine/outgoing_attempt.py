"""Attempts on their way: written in the transaction that claims their jobs, and then sent."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import structlog

from generation_svc.domain.account import Account
from generation_svc.domain.attempt import Attempt
from generation_svc.domain.error import ProviderError, ProviderSilent
from generation_svc.domain.port.provider import ProviderRequest
from generation_svc.domain.port.queue import Claim
from generation_svc.domain.port.transaction import Transaction
from generation_svc.domain.provider_input import provider_input
from generation_svc.engine import rate_budget, submission
from generation_svc.engine.persist import persist
from generation_svc.engine.rate_budget import RatePermit
from generation_svc.lifecycle import input_media, model_revision, reference
from generation_svc.lifecycle.callback_address import CALLBACK_TOKEN_BYTES
from generation_svc.lifecycle.dependencies import Dependencies
from runtime.token import new_token, token_hash

_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OutgoingAttempt:
    """An attempt that is written and not sent yet."""

    attempt: Attempt
    request: ProviderRequest
    token: str
    permit: RatePermit


async def write(
    deps: Dependencies, tx: Transaction, claims: Sequence[Claim]
) -> tuple[Mapping[UUID, OutgoingAttempt], Sequence[Claim]]:
    """Write the attempts of those that can be sent at once, with a call of the budget for each.

    Those are returned apart for which none was left: somebody may have taken one that was free.
    """
    # Made before anything is written: what fails here must not look like a call in doubt.
    requests = {claim.job.id: _request(deps, claim) for claim in claims}
    ready = [claim for claim in claims if requests[claim.job.id]]
    calls = Counter(claim.account for claim in ready)
    if not calls:
        return {}, ()
    limit, window = rate_budget.limit_of(deps, "create")
    # Made before the calls are taken, so that their age includes the time that the commit takes.
    permits = {a: RatePermit("create", account=a, window=window) for a in calls}
    taken = await tx.rate_budget.take_several("create", calls=calls, limit=limit, window=window)
    sent, short = _divide(ready, counts=taken)
    if not sent:
        return {}, short
    tokens = {claim.job.id: new_token(CALLBACK_TOKEN_BYTES) for claim in sent}
    attempts = await tx.dispatch.write_attempts(
        sent, token_hashes=[token_hash(token) for token in tokens.values()], time=tx.now()
    )
    return {
        each.job_id: OutgoingAttempt(each, request, tokens[each.job_id], permits[each.account])
        for each in attempts
        if (request := requests[each.job_id])
    }, short


def _divide(
    claims: Sequence[Claim], *, counts: Mapping[Account, int]
) -> tuple[list[Claim], list[Claim]]:
    """Return so many claims of each account, those that are served first, and the others."""
    left = Counter(counts)
    first: list[Claim] = []
    others: list[Claim] = []
    for claim in claims:
        (first if left[claim.account] > 0 else others).append(claim)
        left[claim.account] -= 1
    return first, others


def _request(deps: Dependencies, claim: Claim) -> ProviderRequest | None:
    """Return what is sent of a job, unless something else has to be done before."""
    model = model_revision.known(deps, claim.job)  # one that has to be read is sent by itself
    if model is None or claim.is_trial or _has_attempt(claim):
        return None
    inputs = claim.job.inputs
    if input_media.needs_upload(claim.job, model=model) or reference.job_ids(model, inputs):
        return None
    try:
        return ProviderRequest(model.offer.model_id, provider_input(model, inputs, resolved={}))
    # One job must not keep the others of its batch from being claimed; it fails by itself later.
    except Exception:
        _logger.exception("a request cannot be made", job_id=str(claim.job.id))
        return None


def _has_attempt(claim: Claim) -> bool:
    """Return whether an attempt of it may come home, which is to be waited for."""
    return claim.attempts > 0


async def send(deps: Dependencies, claim: Claim, *, outgoing: OutgoingAttempt) -> bool:
    """Submit what is written down; return whether it was in time for that."""
    # The commit of the attempt took so long that the provider would count the call in another
    # window.
    if outgoing.permit.is_over:
        why = "not sent: too late"
        await persist(partial(submission.withdraw, deps, claim, attempt=outgoing.attempt, why=why))
        return False
    async with rate_budget.making(deps, outgoing.permit):
        await _submit(deps, claim, outgoing=outgoing)
    return True


async def _submit(deps: Dependencies, claim: Claim, *, outgoing: OutgoingAttempt) -> None:
    """Submit what is written down, and record what comes of it."""
    attempt = outgoing.attempt
    try:
        answer = await deps.provider.client.submit(
            attempt.id,
            outgoing.request,
            callback_url=deps.provider.callback_url(outgoing.token),
            account=attempt.account.name,
        )
    except asyncio.CancelledError:
        # The request may have arrived, so the attempt is of unknown fate and must not be sent
        # again.
        silence = ProviderSilent("The service stopped before the answer came.")
        await persist(partial(submission.record_error, deps, claim, attempt=attempt, error=silence))
        raise
    except ProviderError as error:
        await persist(partial(submission.record_error, deps, claim, attempt=attempt, error=error))
    else:
        await persist(
            partial(submission.record_answer, deps, claim, attempt=attempt, answer=answer)
        )
