"""A client of the release 0.1.0: a program that knows that release's contract and no other.

It is started with the address of a service and a picture, and prints what it got as one document.
"""

import json
import sys
from pathlib import Path
from typing import Any

import grpc

from atelier.generation.v1 import delivery_service_pb2 as delivery_pb
from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.delivery_service_pb2_grpc import DeliveryServiceStub
from atelier.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from atelier.generation.v1.job_pb2 import JobState
from atelier.generation.v1.model_pb2 import Model

QUEUE = "client-0-1"


def run(channel: Any, picture: bytes) -> dict[str, Any]:
    """Take each way that an edge of that release goes."""
    generation: Any = GenerationServiceStub(channel)
    models = generation.ListModels(pb.ListModelsRequest()).models
    editor = next(each for each in models if each.id == "qwen/image-edit")
    upload = generation.UploadInput(iter([pb.UploadInputRequest(data=picture)])).upload
    request = pb.CreateJobRequest(request_id="first", model_id=editor.id)
    request.inputs.update({"prompt": "a hat", editor.picture_field: f"upload:{upload.id}"})
    request.queue.queue = QUEUE
    job = generation.CreateJob(request).job
    again = generation.CreateJob(request).job
    updates = list(generation.StreamJobUpdates(pb.StreamJobUpdatesRequest(job_id=job.id)))
    done = generation.WaitJob(pb.WaitJobRequest(job_id=job.id)).job
    media = done.result.media[0]
    first, *pieces = generation.DownloadMedia(pb.DownloadMediaRequest(media_id=media.id))
    return {
        "knows_media_inputs": "media_inputs" in Model.DESCRIPTOR.fields_by_name,
        "picture_fields": {each.id: each.picture_field for each in models},
        "titles": [dict(each.titles)["en"] for each in models],
        "is_same_job": again.id == job.id,
        "revisions": [each.job.revision for each in updates if each.HasField("job")],
        "state": JobState.Name(done.state),
        "sizes": [upload.width, media.width > 0, first.media.size_bytes],
        "bytes": sum(len(piece.data) for piece in pieces),
        "is_listed": [each.id for each in listed(generation)] == [job.id],
        "is_read": generation.GetJob(pb.GetJobRequest(job_id=job.id)).job == done,
        "delivered": delivered(channel),
    }


def listed(generation: Any) -> list[Any]:
    """List the jobs page by page."""
    jobs, token = [], ""
    while True:
        page = generation.ListJobs(pb.ListJobsRequest(page_size=1, page_token=token))
        jobs += page.jobs
        token = page.next_page_token
        if not token:
            return jobs


def delivered(channel: Any) -> list[str]:
    """Take the outcome of the job as a feed's reader does, and return what comes after it."""
    delivery: Any = DeliveryServiceStub(channel)
    request = delivery_pb.LeaseDeliveriesRequest(queue=QUEUE)
    request.wait.FromSeconds(20)
    (leased,) = delivery.LeaseDeliveries(request).deliveries
    delivery.BeginDelivery(delivery_pb.BeginDeliveryRequest(lease_token=leased.lease_token))
    report = delivery_pb.ReportDeliveryRequest(lease_token=leased.lease_token)
    report.sent.SetInParent()
    delivery.ReportDelivery(report)
    request.wait.FromSeconds(0)
    rest = delivery.LeaseDeliveries(request).deliveries
    return [JobState.Name(leased.job.state), *(each.id for each in rest)]


if __name__ == "__main__":
    with grpc.insecure_channel(sys.argv[1]) as opened:
        sys.stdout.write(json.dumps(run(opened, Path(sys.argv[2]).read_bytes())))
