"""Conversions between the domain and the messages of the contract."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from atelier.generation.v1 import delivery_pb2, job_pb2, media_pb2, session_pb2, upload_link_pb2
from generation_svc.domain.delivery import Delivery, Queue, Telegram
from generation_svc.domain.job import Job, JobState, Price, Result
from generation_svc.domain.media import Media, MediaLink, MediaLinks, Upload
from generation_svc.domain.model import Model
from generation_svc.domain.port.session import SessionRecord
from generation_svc.domain.retention import Retention
from generation_svc.domain.upload_link import UploadLink

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_SECONDS = 86_400
_STATES = {state: job_pb2.JobState.Value(f"JOB_STATE_{state.name}") for state in JobState}


def time_to_proto(time: datetime | None) -> Timestamp | None:
    """Write a time; None stays absent."""
    if time is None:
        return None
    # By hand: FromDatetime takes three times as long, and a job has four times.
    since = time - _EPOCH
    return Timestamp(
        seconds=since.days * _DAY_SECONDS + since.seconds, nanos=since.microseconds * 1000
    )


def struct_to_proto(values: Mapping[str, Any]) -> Struct:
    """Write a document."""
    message = Struct()
    message.update(dict(values))
    return message


def struct_from_proto(message: Struct) -> dict[str, Any]:
    """Read a document; numbers are floats, as JSON has them on the wire, and may be infinite."""
    return {name: value_from_proto(value) for name, value in message.fields.items()}


def value_from_proto(message: Value) -> Any:
    """Read a value of a document; one that is not set is null."""
    match message.WhichOneof("kind"):
        case None | "null_value":
            return None
        case "struct_value":
            return struct_from_proto(message.struct_value)
        case "list_value":
            return [value_from_proto(value) for value in message.list_value.values]
        case kind:
            return getattr(message, kind)


def job_to_proto(
    job: Job, *, links: MediaLinks | None = None, retention: Retention | None = None
) -> job_pb2.Job:
    """Write a job, its media with links where there are any, and until when it is kept."""
    message = job_pb2.Job(
        id=str(job.id),
        create_time=time_to_proto(job.create_time),
        update_time=time_to_proto(job.update_time),
        state=_STATES[job.state],
        model_id=job.model_id,
        inputs=struct_to_proto(job.inputs),
        owner=job.owner,
        revision=job.revision,
        price=price_to_proto(job.price),
        correlation_id=job.correlation_id,
        start_deadline_time=time_to_proto(job.start_deadline_time),
        finish_deadline_time=time_to_proto(job.finish_deadline_time),
        delay_until_time=time_to_proto(job.delay_until_time),
    )
    if job.delay_reason:
        message.delay_reason = job_pb2.DelayReason.Value(f"DELAY_REASON_{job.delay_reason.name}")
    if job.charged_credits is not None:
        message.charged_credits = job.charged_credits
    if job.forecast:
        message.queue_position = job.forecast.queue_position
        if job.forecast.estimated_remaining is not None:
            message.estimated_remaining.FromTimedelta(job.forecast.estimated_remaining)
    _add_outcome(message, job, links=links, retention=retention)
    return message


def price_to_proto(price: Price) -> job_pb2.Price:
    """Write a price; what the provider charges is the operator's alone."""
    return job_pb2.Price(is_free=price.is_free, credits=price.credits, is_ceiling=price.is_ceiling)


def _add_outcome(
    message: job_pb2.Job, job: Job, *, links: MediaLinks | None, retention: Retention | None
) -> None:
    end_time = job.update_time
    if job.result is not None:
        made = result_to_proto(job.result, links=links, retention=retention, end_time=end_time)
        message.result.CopyFrom(made)
    if job.kept_result is not None:
        # Its media are kept as if the job had ended when they came.
        since = max(end_time, job.kept_time or end_time)
        kept = result_to_proto(job.kept_result, links=links, retention=retention, end_time=since)
        message.kept_result.CopyFrom(kept)
    if job.failure is not None:
        reason = job_pb2.FailureReason.Value(f"FAILURE_REASON_{job.failure.reason.name}")
        message.failure.CopyFrom(job_pb2.JobFailure(reason=reason, message=job.failure.message))


def result_to_proto(
    result: Result, *, links: MediaLinks | None, retention: Retention | None, end_time: datetime
) -> job_pb2.JobResult:
    """Write a result that came at a time, from which its media are kept."""
    media = [
        media_to_proto(
            item,
            link=links.make(item.id) if links else None,
            expire_time=retention.expire_time(item.mime_type, end_time=end_time)
            if retention
            else None,
        )
        for item in result.media
    ]
    return job_pb2.JobResult(media=media, text=result.text, missing_count=result.missing_count)


def media_to_proto(
    media: Media, *, link: MediaLink | None = None, expire_time: datetime | None = None
) -> media_pb2.Media:
    """Write media, the link to it if there is one, and until when it is kept."""
    message = media_pb2.Media(
        **_file(media),
        title=media.title,
        cover_media_id=str(media.cover_id) if media.cover_id else "",
        expire_time=time_to_proto(expire_time),
        item_number=media.number,
    )
    if link:
        message.download_uri = link.uri
        message.download_expire_time.FromDatetime(link.expire_time)
    return message


def upload_to_proto(upload: Upload) -> media_pb2.Upload:
    """Write an upload."""
    return media_pb2.Upload(**_file(upload))


def upload_link_to_proto(link: UploadLink) -> upload_link_pb2.UploadLink:
    """Write a link for an upload."""
    ticket = link.ticket
    return upload_link_pb2.UploadLink(
        upload_id=str(ticket.upload_id),
        uri=link.uri,
        expire_time=time_to_proto(ticket.expire_time),
        kinds=[media_pb2.MediaKind.Value(f"MEDIA_KIND_{kind.name}") for kind in ticket.kinds],
        max_bytes=link.max_bytes,
        language_code=ticket.language,
        return_uri=ticket.return_uri,
        upload=upload_to_proto(link.upload) if link.upload else None,
    )


def _file(value: Media) -> dict[str, Any]:
    return {
        "kind": f"MEDIA_KIND_{value.kind.name}",
        "duration": value.duration,
        "id": str(value.id),
        "mime_type": value.mime_type,
        "size_bytes": value.size_bytes,
        "width": value.width,
        "height": value.height,
        "sha256": value.sha256,
    }


def delivery_to_proto(
    delivery: Delivery,
    *,
    model: Model | None,
    links: MediaLinks | None = None,
    retention: Retention | None = None,
) -> delivery_pb2.Delivery:
    """Write a delivery under lease; what an edge cannot send itself has a link."""
    message = delivery_pb2.Delivery(
        id=str(delivery.id),
        kind=delivery_pb2.DeliveryKind.Value(f"DELIVERY_KIND_{delivery.kind.name}"),
        job=job_to_proto(delivery.job, links=links, retention=retention),
        lease_token=delivery.lease_token,
        lease_expire_time=time_to_proto(delivery.lease_expire_time),
        maybe_sent=delivery.maybe_sent,
        try_number=delivery.try_number,
        queue_position=delivery.queue_position,
    )
    if model and model.usual_duration:
        message.usual_duration.FromTimedelta(model.usual_duration)
    _add_destination(message, delivery)
    return message


def _add_destination(message: delivery_pb2.Delivery, delivery: Delivery) -> None:
    destination = delivery.destination
    if isinstance(destination, Telegram):
        message.telegram.bot_id = destination.bot_id
        message.telegram.chat_id = destination.chat_id
        message.telegram.message_id = destination.message_id
        message.telegram.language_code = destination.language_code
    elif isinstance(destination, Queue):
        message.queue.queue = destination.queue


def session_to_proto(session: SessionRecord) -> session_pb2.Session:
    """Write a session."""
    return session_pb2.Session(
        bot_id=session.bot_id,
        key=session.key,
        data=session.data,
        version=session.version,
        update_time=time_to_proto(session.update_time),
    )
