"""Converts the JSON documents inside rows to values and back.

The release 0.1.0 reads media and observations with the fields that it knows and stops at any other:
what is told of them since then lies under keys of its own, which it does not look at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from generation_svc.domain.delivery import Destination, Queue, Telegram, Webhook
from generation_svc.domain.failure import Failure, FailureReason
from generation_svc.domain.job import Job, JobState, Result
from generation_svc.domain.media import Media
from generation_svc.domain.observation import Observation, ProviderState, ResultItem
from generation_svc.storage.delay import delay_from_columns, delay_to_columns

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
    return {
        "media": [_media_to_document(item) for item in result.media],
        "media_details": [_details_to_document(item) for item in result.media],
        "text": result.text,
        "missing_count": result.missing_count,
    }


def result_from_document(document: Document | None) -> Result | None:
    """Read what `result_to_document` wrote."""
    if document is None:
        return None
    details = document.get("media_details") or [{}] * len(document["media"])
    pairs = zip(document["media"], details, strict=True)
    media = tuple(_media_from_document(*pair) for pair in pairs)
    missing_count = document.get("missing_count", 0)  # what the release 0.1.0 wrote has none
    return Result(media=media, text=document["text"], missing_count=missing_count)


def _media_to_document(media: Media) -> dict[str, Any]:
    return {
        "id": str(media.id),
        "mime_type": media.mime_type,
        "size_bytes": media.size_bytes,
        "width": media.width,
        "height": media.height,
        "sha256": media.sha256,
    }


def _details_to_document(media: Media) -> dict[str, Any]:
    """Write what is known of media beyond what every file has."""
    return {
        "duration_s": media.duration.total_seconds() if media.duration is not None else None,
        "title": media.title,
        "cover_id": str(media.cover_id) if media.cover_id else None,
        "number": media.number,
    }


def _media_from_document(document: Document, details: Document) -> Media:
    duration_s, cover_id = details.get("duration_s"), details.get("cover_id")
    return Media(
        **{**document, "id": UUID(document["id"])},
        duration=timedelta(seconds=duration_s) if duration_s is not None else None,
        title=details.get("title", ""),
        cover_id=UUID(cover_id) if cover_id else None,
        number=details.get("number", 0),
    )


def failure_to_document(failure: Failure | None) -> dict[str, Any] | None:
    """Write a failure."""
    return asdict(failure) if failure else None


def failure_from_document(document: Document | None) -> Failure | None:
    """Read what `failure_to_document` wrote."""
    if document is None:
        return None
    return Failure(reason=FailureReason(document["reason"]), message=document["message"])


def observation_to_document(observation: Observation) -> dict[str, Any]:
    """Write an observation as the release 0.1.0 reads it: its fields, and no others.

    That release knows no empty success, and reads it as unknown. What is known of its files beyond
    their links, `items_to_document` writes apart.
    """
    is_empty = observation.state is ProviderState.EMPTY
    return {
        "state": ProviderState.UNKNOWN if is_empty else observation.state,
        "task_id": observation.task_id,
        "word": observation.word,
        "result_urls": list(observation.result_urls),
        "result_text": observation.result_text,
        "fail_code": observation.fail_code,
        "fail_message": observation.fail_message,
    }


def items_to_document(observation: Observation) -> list[dict[str, Any]] | None:
    """Write what is known of the files beyond their links; None where that is nothing."""
    if all(item == ResultItem(item.url) for item in observation.results):
        return None
    return [_item_to_document(item) for item in observation.results]


def observation_from_document(
    document: Document | None,
    items: Sequence[Document] | None = None,
    *,
    item_ids: Sequence[str] = (),
    cost: Decimal | None = None,
) -> Observation | None:
    """Read what `observation_to_document` and `items_to_document` wrote."""
    if document is None:
        return None
    fields = {name: value for name, value in document.items() if name != "result_urls"}
    changed = {
        "state": ProviderState(document["state"]),
        "results": _results(document["result_urls"], [_item_from_document(e) for e in items or ()]),
        "item_ids": tuple(item_ids),
        "cost": cost,
    }
    return Observation(**{**fields, **changed})


def _results(urls: Sequence[str], items: Sequence[ResultItem]) -> tuple[ResultItem, ...]:
    """Return the files of a result; the release 0.1.0 may have written other links since."""
    if [item.url for item in items if item.url] == list(urls):
        return tuple(items)
    described = {item.url: item for item in items}
    return tuple(described.get(url, ResultItem(url)) for url in urls)


def _item_to_document(item: ResultItem) -> dict[str, Any]:
    seconds = item.duration.total_seconds() if item.duration is not None else None
    content = {"content": item.content} if item.content else {}
    return content | {
        "url": item.url,
        "title": item.title,
        "duration_s": seconds,
        "cover_url": item.cover_url,
    }


def _item_from_document(document: Document) -> ResultItem:
    seconds = document["duration_s"]
    return ResultItem(
        document["url"],
        title=document["title"],
        duration=timedelta(seconds=seconds) if seconds is not None else None,
        cover_url=document["cover_url"],
        content=document.get("content", ""),
    )


def snapshot_of(job: Job) -> dict[str, Any]:
    """Write the part of a job that revisions change."""
    deadline, until = job.finish_deadline_time, job.delay_until_time
    return {
        **delay_to_columns(job.delay_reason),
        "delay_until_time": until.isoformat() if until else None,
        "state": job.state,
        "revision": job.revision,
        "update_time": job.update_time.isoformat(),
        "finish_deadline_time": deadline.isoformat() if deadline else None,
        "result": result_to_document(job.result),
        "failure": failure_to_document(job.failure),
        "charged_credits": job.charged_credits,
    }


def changes_from_snapshot(snapshot: Document) -> dict[str, Any]:
    """Read what `snapshot_of` wrote, as changes to apply to the job."""
    deadline, until = snapshot["finish_deadline_time"], snapshot.get("delay_until_time")
    return {
        "state": JobState(snapshot["state"]),
        "revision": snapshot["revision"],
        "update_time": datetime.fromisoformat(snapshot["update_time"]),
        "finish_deadline_time": datetime.fromisoformat(deadline) if deadline else None,
        "delay_reason": delay_from_columns(snapshot),
        "delay_until_time": datetime.fromisoformat(until) if until else None,
        "result": result_from_document(snapshot["result"]),
        "failure": failure_from_document(snapshot["failure"]),
        "charged_credits": snapshot.get("charged_credits"),
    }
