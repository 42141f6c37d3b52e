"""What happened to the jobs that a promise was broken for, in full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.chaos.check import Violation
from tests.chaos.evidence import Evidence


def traces(evidence: Evidence, violations: Sequence[Violation]) -> Iterator[str]:
    """Give each violation with everything that is known of its job, a line for each thing."""
    by_number = {f"order {evidence.ledger.number_of(job.prompt)}": job.id for job in evidence.jobs}
    for violation in violations:
        yield str(violation)
        yield from _trace(evidence, by_number.get(violation.subject, violation.subject))


def _trace(evidence: Evidence, job_id: str) -> Iterator[str]:
    known = [*evidence.jobs, *evidence.attempts, *evidence.deliveries]
    for record in known:
        if job_id in (getattr(record, "id", ""), getattr(record, "job_id", "")):
            yield f"    {record}"
    for event in evidence.events.get(job_id, ()):
        yield f"    {event.time} {event.kind} {event.state} {event.revision or ''} {event.detail}"
