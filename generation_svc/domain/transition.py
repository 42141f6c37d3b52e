"""The state transitions of a job.

```
  QUEUED ──▶ RUNNING ──▶ SUCCEEDED | FAILED | CANCELLED
     └─────────────────▶ SUCCEEDED | FAILED | CANCELLED
```

A final state has no way out. A change that keeps the state (a delay reason, a deadline) is a
revision, too, and is allowed while the state is not final.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from generation_svc.domain.job import Job, JobState

ALLOWED: Mapping[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset(JobState),
    JobState.RUNNING: frozenset(JobState) - {JobState.QUEUED},
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}
"""Where a job may go from each state."""


def sources(target: JobState) -> frozenset[JobState]:
    """Return the states from which a job may go to `target`: the guard of its UPDATE."""
    return frozenset(state for state, targets in ALLOWED.items() if target in targets)


def is_allowed(source: JobState, target: JobState) -> bool:
    """Return whether a job may go from `source` to `target`."""
    return target in ALLOWED[source]


def advance(job: Job, *, now: datetime, **changes: Any) -> Job:
    """Return the next revision of a job with these changes.

    Raises ValueError for a transition that the table does not allow: a caller looks first.
    """
    target = changes.get("state", job.state)
    if not is_allowed(job.state, target):
        raise ValueError(f"a job cannot go from {job.state} to {target}")
    return replace(job, revision=job.revision + 1, update_time=now, **changes)
