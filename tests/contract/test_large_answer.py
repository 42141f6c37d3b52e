"""Results that are long texts: no list of them is more than a client takes."""

from atelier.generation.v1 import delivery_service_pb2 as delivery_pb
from atelier.generation.v1 import generation_service_pb2 as pb
from tests.contract.service import Service

TEXT = "x" * 2**20
JOBS = 6


async def finished(service: Service) -> list[str]:
    """Jobs whose results are together more than gRPC takes of one message."""
    jobs = [(await service.create(queue={"queue": "long"})).id for _ in range(JOBS)]
    for job in jobs:
        await service.succeed(job, text=TEXT)
    return jobs


async def test_jobs_with_long_texts_come_in_pages_that_a_client_takes(service: Service) -> None:
    jobs, seen, token = await finished(service), [], ""
    for _ in range(JOBS):
        page = await service.generation.ListJobs(pb.ListJobsRequest(page_token=token))
        assert all(len(job.result.text) == len(TEXT) for job in page.jobs)
        seen += [job.id for job in page.jobs]
        token = page.next_page_token
        if not token:
            break
    assert (seen, token) == (jobs[::-1], "")


async def test_deliveries_with_long_texts_are_leased_a_few_at_a_time(service: Service) -> None:
    jobs, seen = await finished(service), []
    request = delivery_pb.LeaseDeliveriesRequest(queue="long", max_deliveries=100)
    for _ in range(JOBS):
        leased = await service.delivery.LeaseDeliveries(request)
        seen += [each.job.id for each in leased.deliveries]
    assert sorted(seen) == sorted(jobs)
