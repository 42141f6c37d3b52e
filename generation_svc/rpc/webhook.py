"""Converts webhooks, and the events posted to them, to the contract's messages."""

import json

from google.protobuf import json_format

from atelier.generation.v1 import webhook_pb2
from generation_svc.domain.job import Job
from generation_svc.domain.media import MediaLinks
from generation_svc.domain.retention import Retention
from generation_svc.domain.webhook import WebhookAttempt, WebhookEndpoint
from generation_svc.rpc.convert import job_to_proto, time_to_proto


def webhook_body(
    job: Job, *, links: MediaLinks | None = None, retention: Retention | None = None
) -> bytes:
    """Write the outcome of a job as `WebhookDestination` promises it.

    It is the same at every try, but for its links to media, which are fresh.
    """
    data = json_format.MessageToDict(job_to_proto(job, links=links, retention=retention))
    body = {"type": f"job.{job.state}", "timestamp": data["updateTime"], "data": data}
    # Sorted, so that a repeated post has the bytes of the first one.
    return json.dumps(body, ensure_ascii=False, sort_keys=True).encode()


def webhook_to_proto(endpoint: WebhookEndpoint) -> webhook_pb2.Webhook:
    """Write an address that webhooks are posted to."""
    is_enabled = endpoint.disable_time is None
    state = webhook_pb2.WEBHOOK_STATE_ENABLED if is_enabled else webhook_pb2.WEBHOOK_STATE_DISABLED
    message = webhook_pb2.Webhook(
        url=endpoint.url,
        state=state,
        create_time=time_to_proto(endpoint.create_time),
        disable_time=time_to_proto(endpoint.disable_time),
        disable_reason=endpoint.disable_reason,
        taken_count=endpoint.taken_count,
        failure_count=endpoint.failure_count,
        consecutive_failure_count=endpoint.consecutive_failure_count,
    )
    if endpoint.last_attempt:
        message.last_attempt.CopyFrom(webhook_attempt_to_proto(endpoint.last_attempt))
    return message


def webhook_attempt_to_proto(attempt: WebhookAttempt) -> webhook_pb2.WebhookAttempt:
    """Write a post to an address."""
    return webhook_pb2.WebhookAttempt(
        time=time_to_proto(attempt.time),
        outcome=webhook_pb2.WebhookOutcome.Value(f"WEBHOOK_OUTCOME_{attempt.outcome.name}"),
        http_status=attempt.status,
        problem=attempt.problem,
    )
