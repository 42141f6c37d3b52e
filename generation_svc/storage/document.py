"""The JSON documents inside rows, and the values they stand for."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from generation_svc.domain.delivery import Destination, Queue, Telegram, Webhook
from generation_svc.domain.job import (
    DelayReason,
    Failure,
    FailureReason,
    Job,
    JobState,
    Media,
    Result,
)
from generation_svc.domain.observation import Observation, ProviderState

Document = Mapping[str, Any]
_DESTINATIONS: Mapping[str, type[Destination]] = {
    "telegram": Telegram,
    "queue": Queue,
    "webhook": Webhook,
}


def destination_to_document(destination: Destination) -> dict[str, Any]:
    """Write a destination with its kind."""
    return {"kind": type(destination).__name__.lower(), **asdict(destination)}


def destination_from_document(document: Document) -> Destination:
    """Read what `destination_to_document` wrote."""
    fields = {name: value for name, value in document.items() if name != "kind"}
    return _DESTINATIONS[document["kind"]](**fields)


def result_to_document(result: Result | None) -> dict[str, Any] | None:
    """Write a result."""
    if result is None:
        return None
    media = [{**asdict(item), "id": str(item.id)} for item in result.media]
    return {"media": media, "text": result.text}


def result_from_document(document: Document | None) -> Result | None:
    """Read what `result_to_document` wrote."""
    if document is None:
        return None
    media = tuple(Media(**{**item, "id": UUID(item["id"])}) for item in document["media"])
    return Result(media=media, text=document["text"])


def failure_to_document(failure: Failure | None) -> dict[str, Any] | None:
    """Write a failure."""
    return asdict(failure) if failure else None


def failure_from_document(document: Document | None) -> Failure | None:
    """Read what `failure_to_document` wrote."""
    if document is None:
        return None
    return Failure(reason=FailureReason(document["reason"]), message=document["message"])


def observation_to_document(observation: Observation) -> dict[str, Any]:
    """Write an observation."""
    return asdict(observation)


def observation_from_document(document: Document | None) -> Observation | None:
    """Read what `observation_to_document` wrote."""
    if document is None:
        return None
    changed = {
        "state": ProviderState(document["state"]),
        "result_urls": tuple(document["result_urls"]),
    }
    return Observation(**{**document, **changed})


def snapshot_of(job: Job) -> dict[str, Any]:
    """Write the part of a job that revisions change."""
    deadline = job.finish_deadline_time
    return {
        "state": job.state,
        "revision": job.revision,
        "update_time": job.update_time.isoformat(),
        "finish_deadline_time": deadline.isoformat() if deadline else None,
        "delay_reason": job.delay_reason,
        "result": result_to_document(job.result),
        "failure": failure_to_document(job.failure),
    }


def changes_from_snapshot(snapshot: Document) -> dict[str, Any]:
    """Read what `snapshot_of` wrote, as changes to apply to the job."""
    deadline, reason = snapshot["finish_deadline_time"], snapshot["delay_reason"]
    return {
        "state": JobState(snapshot["state"]),
        "revision": snapshot["revision"],
        "update_time": datetime.fromisoformat(snapshot["update_time"]),
        "finish_deadline_time": datetime.fromisoformat(deadline) if deadline else None,
        "delay_reason": DelayReason(reason) if reason else None,
        "result": result_from_document(snapshot["result"]),
        "failure": failure_from_document(snapshot["failure"]),
    }
