"""What a cancelled call leaves in a server's memory until its connection ends.

grpc 1.85 keeps some 0.4 kB for each (github.com/grpc/grpc/issues/43360); `max_connection_age` gives
it back. The row is here to see it grow, or go.
"""

from __future__ import annotations

import asyncio

from atelier.generation.v1 import generation_service_pb2 as pb
from tests.bench.call import Replica
from tests.bench.usage import resident_kb

AT_ONCE = 100
WARM_UP = 20
ROUNDS = 100
"""Each of AT_ONCE calls: ten thousand, since memory comes in pages."""


async def left_per_cancel(replica: Replica) -> float:
    """Return how many kB more the replica holds for each call that was cancelled."""
    job_id = (await replica.create()).job.id
    for _ in range(WARM_UP):
        await _cancel_some(replica, job_id)
    before = resident_kb(replica.pid)
    for _ in range(ROUNDS):
        await _cancel_some(replica, job_id)
    return (resident_kb(replica.pid) - before) / (ROUNDS * AT_ONCE)


async def _cancel_some(replica: Replica, job_id: str) -> None:
    """Open streams, and cancel them while they wait for news."""
    request = pb.StreamJobUpdatesRequest(job_id=job_id)
    calls = [replica.stub.StreamJobUpdates(request) for _ in range(AT_ONCE)]
    await asyncio.gather(*(call.read() for call in calls))
    for call in calls:
        call.cancel()
