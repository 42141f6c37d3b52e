"""Resolves references to earlier jobs: `job:<id>`, and which of its results is meant.

A provider goes on from its own task, so what is looked for is the attempt that made the result:
its task id, or the provider's id of one thing that it made. Only the account that made the task
knows them, which is why `check` gives the attempts and not the ids alone.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from generation_svc.domain.attempt import Attempt
from generation_svc.domain.error import InvalidInputs, UploadRejected
from generation_svc.domain.job import Job, JobState
from generation_svc.domain.media_input import (
    InputValue,
    JobReference,
    ReferenceInput,
    ReferencePart,
    given_in,
    parse_reference,
)
from generation_svc.domain.model import Model
from generation_svc.domain.port.transaction import Transaction
from generation_svc.domain.schema import Steps
from generation_svc.lifecycle.input_media import violation_at

_GONE = "What the job refers to is no longer there."


async def check(
    tx: Transaction, caller: str, *, model: Model, inputs: Mapping[str, Any]
) -> tuple[Attempt, ...]:
    """Return the attempts that made what the inputs refer to.

    Raises InvalidInputs, with a violation for each reference to what is not there.
    """
    found, violations = [], []
    for given, one, reference in _references(model, inputs):
        job = await tx.jobs.get(reference.job_id, caller=caller)
        attempt = await tx.attempts.settled(reference.job_id) if job else None
        flaw = _flaw(one, reference, job=job, attempt=attempt)
        if flaw is not None:
            violations.append(violation_at(given, flaw))
        elif attempt is not None:
            found.append(attempt)
    if violations:
        raise InvalidInputs(tuple(violations))
    return tuple(found)


async def resolve(tx: Transaction, job: Job, *, model: Model) -> dict[Steps, str]:
    """Return the provider's id for each reference of a job.

    Raises UploadRejected if one is gone: the job that it means may have been forgotten since.
    """
    resolved = {}
    for given, one, reference in _references(model, job.inputs):
        attempt = await tx.attempts.settled(reference.job_id)
        provider_id = _provider_id(attempt, one, reference) if attempt else None
        if provider_id is None:
            raise UploadRejected(_GONE)
        resolved[given.steps] = provider_id
    return resolved


def job_ids(model: Model, inputs: Mapping[str, Any]) -> tuple[UUID, ...]:
    """Return the earlier jobs that inputs refer to: the account that made them is asked again."""
    references = (reference for *_, reference in _references(model, inputs))
    return tuple(dict.fromkeys(reference.job_id for reference in references))


def _references(
    model: Model, inputs: Mapping[str, Any]
) -> list[tuple[InputValue, ReferenceInput, JobReference]]:
    return [
        (given, one, reference)
        for one in model.reference_inputs
        for given in given_in(dict(inputs), one)
        if (reference := parse_reference(given.text)) is not None
    ]


def _flaw(
    one: ReferenceInput, reference: JobReference, *, job: Job | None, attempt: Attempt | None
) -> str | None:
    """Say why a reference leads nowhere, or None."""
    if job is None:
        return f"Job {str(reference.job_id)!r} not found."
    if one.model_ids and job.model_id not in one.model_ids:
        return f"Must be a job of {' or '.join(one.model_ids)}, not of {job.model_id}."
    if job.state is not JobState.SUCCEEDED:
        return f"Must be a job that succeeded; this one is {job.state}."
    if attempt is None or _provider_id(attempt, one, reference) is None:
        if one.part is ReferencePart.TASK:
            return "This job has no task at the provider."
        return f"This job has no {one.part} {reference.number}."
    return None


def _provider_id(attempt: Attempt, one: ReferenceInput, reference: JobReference) -> str | None:
    """Return what the provider calls the thing that is meant."""
    if one.part is ReferencePart.TASK:
        return attempt.task_id
    ids = attempt.observation.item_ids if attempt.observation else ()
    # One that the provider gave no id keeps its number, and is none that can be meant.
    return ids[reference.number - 1] or None if reference.number <= len(ids) else None
