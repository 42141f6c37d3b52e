"""Keeps the updates written last: one revision goes to all the streams that follow its job."""

from collections import OrderedDict
from collections.abc import Callable, Hashable

from atelier.generation.v1 import generation_service_pb2 as pb
from generation_svc.domain.job import Job
from runtime.clock import loop_time

MOST_UPDATES = 256
"""How many are kept: as many as revisions come at one time."""
GOOD_SECONDS = 1.0
"""How long one is good for: the links to its media last for some time only."""


class RecentUpdates:
    """Writes the update of a revision once for all who want it at that time."""

    def __init__(
        self,
        write: Callable[[Job], pb.StreamJobUpdatesResponse],
        *,
        clock: Callable[[], float] = loop_time,
    ) -> None:
        self._write = write
        self._clock = clock
        self._updates: OrderedDict[Hashable, tuple[float, pb.StreamJobUpdatesResponse]] = (
            OrderedDict()
        )

    def of(self, job: Job) -> pb.StreamJobUpdatesResponse:
        """Return the update with a job as it is at its revision; it must not be changed."""
        # A job does not change while its revision stays, but the forecast for it does.
        key, now = (job.id, job.revision, job.forecast), self._clock()
        written_at, update = self._updates.get(key, (float("-inf"), None))
        if update is None or now - written_at > GOOD_SECONDS:
            update = self._write(job)
            self._keep(key, (now, update))
        return update

    def _keep(self, key: Hashable, entry: tuple[float, pb.StreamJobUpdatesResponse]) -> None:
        self._updates[key] = entry
        self._updates.move_to_end(key)
        if len(self._updates) > MOST_UPDATES:
            self._updates.popitem(last=False)
