"""What is posted to a webhook, in the words of the contract."""

import json

from google.protobuf import json_format

from generation_svc.domain.job import Job
from generation_svc.domain.link import MediaLinks
from generation_svc.rpc.convert import job_to_proto


def webhook_body(job: Job, *, links: MediaLinks | None = None) -> bytes:
    """Write the outcome of a job as `WebhookDestination` promises it.

    It is the same at every try, but for its links to media, which are fresh.
    """
    data = json_format.MessageToDict(job_to_proto(job, links=links))
    body = {"type": f"job.{job.state}", "timestamp": data["updateTime"], "data": data}
    return json.dumps(body, ensure_ascii=False, sort_keys=True).encode()
