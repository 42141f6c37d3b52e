"""The promises, held against the evidence; each broken one is a violation with its job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from tests.chaos.evidence import Chat, EventRecord, Evidence, JobRecord
from tests.chaos.money import credit_problems
from tests.chaos.rest import Rest
from tests.chaos.star import star_problems
from tests.chaos.traffic import CREATE_WINDOW_S, READ_WINDOW_S, densest

FINAL = frozenset({"succeeded", "failed", "cancelled"})
NEXT = {
    "queued": frozenset({"queued", "running"}) | FINAL,
    "running": frozenset({"running"}) | FINAL,
    "succeeded": frozenset({"succeeded"}),
    "failed": frozenset({"failed"}),
    "cancelled": frozenset({"cancelled"}),
}
"""The check's own copy of the table of transitions."""
MOST_SENDS = 2
"""How many tasks one job may become, the second only because the first was unknown."""
MORE_TASKS, MORE_FDS = 12, 24
"""What a process at rest may hold more than after its warm-up: pools that are not yet empty.

That to the database has up to 20 connections, of which a warm-up needs few.
"""
MORE_MEMORY_BYTES = 64 << 20


@dataclass(frozen=True)
class Violation:
    """A broken promise."""

    rule: str
    subject: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.subject}: {self.what}"


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What the run was told to keep to."""

    hard_deadline: timedelta
    creates_per_window: int
    reads_per_window: int
    database_connections: int


def check(evidence: Evidence, bounds: Bounds) -> list[Violation]:
    """Return everything that was not as promised."""
    return [
        *_complaints(evidence),
        *_lost(evidence),
        *_unfinished(evidence, bounds),
        *_undelivered(evidence),
        *_doubled(evidence),
        *_resubmitted(evidence),
        *_disordered(evidence),
        *_over_budget(evidence, bounds),
        *_badly_answered(evidence),
        *_misbooked(evidence),
        *leaks(evidence, bounds),
    ]


def _complaints(evidence: Evidence) -> Iterator[Violation]:
    for number, what in evidence.ledger.complaints:
        yield Violation("promise", f"order {number}", what)
    for text in evidence.fallen:
        yield Violation("fallen", text.partition(":")[0], text)


def _lost(evidence: Evidence) -> Iterator[Violation]:
    """What was accepted is there, once."""
    ledger, ids = evidence.ledger, {job.id for job in evidence.jobs}
    by_prompt = Counter(job.prompt for job in evidence.jobs)
    for number, job_id in ledger.jobs.items():
        if job_id not in ids:
            yield Violation("lost", job_id, f"order {number} was accepted and has no row")
    for number in ledger.presses.keys() - ledger.blocked:
        if not by_prompt[ledger.prompt_of(number)]:
            state = "answered" if number in evidence.answered else "never answered"
            yield Violation("lost", f"order {number}", f"a press was {state} and made no job")
    for number in ledger.orders:
        if (count := by_prompt[ledger.prompt_of(number)]) > 1:
            yield Violation("lost", f"order {number}", f"one wish became {count} jobs")


def _unfinished(evidence: Evidence, bounds: Bounds) -> Iterator[Violation]:
    for job in evidence.jobs:
        if job.state not in FINAL:
            yield Violation("unfinished", job.id, f"is {job.state} when all is quiet")
        elif job.update_time - job.create_time > bounds.hard_deadline:
            yield Violation("unfinished", job.id, f"ended after {bounds.hard_deadline}")


def _undelivered(evidence: Evidence) -> Iterator[Violation]:
    """Every outcome with a destination arrived: its row says so, and so does the other side."""
    deliveries = {each.job_id: each for each in evidence.deliveries}
    for job in _told(evidence):
        delivery = deliveries.get(job.id)
        is_blocked = evidence.ledger.number_of(job.prompt) in evidence.ledger.blocked
        if delivery is None:
            yield Violation("undelivered", job.id, f"{job.state} without a delivery")
        elif delivery.state == "impossible" and is_blocked:
            continue
        elif delivery.state != "sent":
            what = f"{job.state}, delivery is {delivery.state} {delivery.reason}"
            yield Violation("undelivered", job.id, what)
        elif not _arrived(evidence, job):
            yield Violation("undelivered", job.id, "said to be sent, and nothing is there")


def _doubled(evidence: Evidence) -> Iterator[Violation]:
    """No outcome came as two new messages; none came for a job that was cancelled."""
    for job in evidence.jobs:
        new = _news(evidence, job)
        if new > 1:
            yield Violation("doubled", job.id, f"came as {new} new messages")
        if job.state == "cancelled" and new:
            yield Violation("doubled", job.id, "came though it was cancelled")


def _resubmitted(evidence: Evidence) -> Iterator[Violation]:
    """A job is sent again only after a refusal, or when what became of the last try is unknown."""
    sends = Counter(each.token_hash for each in evidence.creations)
    attempts = {each.token_hash: each for each in evidence.attempts}
    for token_hash, count in sends.items():
        if token_hash not in attempts:
            yield Violation("resubmitted", token_hash[:12], "KIE was called without an attempt")
        elif count > 1:
            job_id = attempts[token_hash].job_id
            yield Violation("resubmitted", job_id, f"one attempt was sent {count} times")
    yield from _sent_blindly(evidence)
    yield from _drawn_twice(evidence)


def _sent_blindly(evidence: Evidence) -> Iterator[Violation]:
    for job_id, events in evidence.events.items():
        is_open = False
        for event in events:
            if event.kind == "submitting" and is_open:
                yield Violation("resubmitted", job_id, "sent again while a try was under way")
            is_open = event.kind == "submitting" or (
                is_open and event.kind not in ("postponed", "unknown")
            )


def _drawn_twice(evidence: Evidence) -> Iterator[Violation]:
    tasks = Counter(evidence.task_prompts)
    for job in evidence.jobs:
        unknown = sum(event.kind == "unknown" for event in evidence.events.get(job.id, ()))
        if tasks[job.prompt] > min(1 + unknown, MOST_SENDS):
            what = f"became {tasks[job.prompt]} tasks with {unknown} tries of unknown fate"
            yield Violation("resubmitted", job.id, what)


def _disordered(evidence: Evidence) -> Iterator[Violation]:
    for job in evidence.jobs:
        if what := _disorder(job, evidence.events.get(job.id, [])):
            yield Violation("order", job.id, what)
    for number, revisions in evidence.ledger.revisions.items():
        first = revisions[0] if revisions else 1
        if revisions != list(range(first, first + len(revisions))):
            yield Violation("order", f"order {number}", f"a stream gave the revisions {revisions}")


def _disorder(job: JobRecord, events: list[EventRecord]) -> str:
    revisions = [each.revision for each in events if each.revision is not None]
    if revisions != list(range(1, job.revision + 1)):
        return f"has the revisions {revisions} and is at {job.revision}"
    state = "queued"
    for event in events:
        if event.state not in NEXT[state]:
            return f"went from {state} to {event.state}"
        if state in FINAL and event.revision is not None:
            return f"was revised after it was {state}"
        state = event.state
    return "" if state == job.state else f"is {job.state}, its last event says {state}"


def _over_budget(evidence: Evidence, bounds: Bounds) -> Iterator[Violation]:
    budgets = (
        ("createTask", evidence.traffic.creates, CREATE_WINDOW_S, bounds.creates_per_window),
        ("recordInfo", evidence.traffic.reads, READ_WINDOW_S, bounds.reads_per_window),
    )
    for name, moments, window_s, limit in budgets:
        if (most := densest(moments, window_s=window_s)) > limit:
            what = f"{most} calls within {window_s:g} s, {limit} are allowed"
            yield Violation("budget", name, what)


def _badly_answered(evidence: Evidence) -> Iterator[Violation]:
    for status, count in evidence.callback_statuses.items():
        if status not in ("200", "none"):
            yield Violation("callback", f"status {status}", f"{count} callbacks")


def _misbooked(evidence: Evidence) -> Iterator[Violation]:
    """No credit or Star is lost or invented, and each job is charged once, for what is stored."""
    money, stars, ledger = evidence.money, evidence.stars, evidence.ledger
    for subject, what in credit_problems(money, ledger, bought=stars.kept):
        yield Violation("credits", subject, what)
    for subject, what in star_problems(stars, money, ledger):
        yield Violation("stars", subject, what)


def leaks(evidence: Evidence, bounds: Bounds) -> Iterator[Violation]:
    """Give what a process or the database holds at rest beyond its bounds."""
    before = {each.process: each for each in evidence.before.samples}
    for now in evidence.after.samples:
        then = before[now.process]
        for name, more, least in (
            ("tasks", now.tasks - then.tasks, MORE_TASKS),
            ("files", now.fds - then.fds, MORE_FDS),
            ("bytes", now.memory_bytes - then.memory_bytes, MORE_MEMORY_BYTES),
        ):
            if more > least:
                yield Violation("leak", now.process, f"holds {more:g} {name} more than before")
    yield from _database_leaks(evidence.after, bounds)


def _database_leaks(rest: Rest, bounds: Bounds) -> Iterator[Violation]:
    if rest.database_connections > bounds.database_connections:
        what = f"{rest.database_connections} connections, {bounds.database_connections} are allowed"
        yield Violation("leak", "postgres", what)
    if rest.open_transactions:
        yield Violation("leak", "postgres", f"{rest.open_transactions} transactions are left open")


def _told(evidence: Evidence) -> Iterator[JobRecord]:
    """Give the jobs whose outcome somebody was to be sent."""
    for job in evidence.jobs:
        if job.state in ("succeeded", "failed") and job.destination:
            yield job


def _arrived(evidence: Evidence, job: JobRecord) -> bool:
    if job.destination == "queue":
        return bool(_news(evidence, job) or evidence.ledger.feed_again[job.id])
    chat = _chat(evidence, job)
    return bool(chat.new_outcomes + chat.edited_outcomes)


def _news(evidence: Evidence, job: JobRecord) -> int:
    """Return how often an outcome came as a new message."""
    if job.destination == "queue":
        return evidence.ledger.feed_new[job.id]
    return _chat(evidence, job).new_outcomes


def _chat(evidence: Evidence, job: JobRecord) -> Chat:
    nothing = Chat(new_outcomes=0, edited_outcomes=0)
    return evidence.chats.get(evidence.ledger.number_of(job.prompt), nothing)
