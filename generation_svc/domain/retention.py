"""How long stored data is kept."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

VIDEO_TYPE = "video/"
"""What the types of videos begin with: they are large, so they are kept for less long."""


@dataclass(frozen=True, slots=True)
class Retention:
    """The lifetime of everything that expires; what is not named here is kept for ever."""

    jobs: timedelta = timedelta(days=90)
    """From a job's end: with its events, attempts and deliveries, and never before its media."""
    callbacks: timedelta = timedelta(days=14)
    """From a callback's arrival."""
    videos: timedelta = timedelta(days=14)
    """From the end of the job that made them."""
    media: timedelta = timedelta(days=35)
    """The same for all other media."""
    uploads: timedelta = timedelta(days=35)
    """From the last job that used it: "again" works under a result that is a month old."""
    unused_uploads: timedelta = timedelta(hours=24)
    """From an upload that no job used."""
    requests: timedelta = timedelta(days=400)
    """From CreateJob: how long a request_id is remembered, whatever became of its job."""

    def of_media(self, mime_type: str) -> timedelta:
        """Return for how long media of a type is kept."""
        return self.videos if mime_type.startswith(VIDEO_TYPE) else self.media

    def expire_time(self, mime_type: str, *, end_time: datetime) -> datetime:
        """Return until when media of a job that ended then is kept."""
        return end_time + self.of_media(mime_type)


@dataclass(frozen=True, slots=True)
class Expired:
    """Something that is to be removed, and its place among all that has expired."""

    id: UUID
    time: datetime
