"""Planted bugs: one guard taken away each, which the search has to find.

Functions of ours are patched here and nowhere else in the tests: that a guard is needed can only
be shown by taking it away. What stands in the storage's stead has the guards of the SQL.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from generation_svc.domain import transition
from generation_svc.domain.attempt import AttemptState
from generation_svc.domain.delivery import DeliveryState
from generation_svc.domain.job import Job, JobState
from generation_svc.domain.observation import Observation
from generation_svc.domain.port import Transaction
from generation_svc.lifecycle import answer, dispatch, observe, receive, sweep
from generation_svc.lifecycle.context import Context
from generation_svc.lifecycle.record import settle
from tests.model import memory_attempt, memory_delivery
from tests.model.memory_attempt import MemoryAttemptStore
from tests.model.memory_delivery import HELD, MemoryDeliveryStore
from tests.model.memory_store import answered
from tests.model.scope import Scope
from tests.model.search import Report, search

RACE = Scope(edge=0, stall=1, faults=0)
MISHAP = Scope(edge=0, stall=1, busy=1, cancels=0)
SENDING = Scope(
    has_chat=True,
    is_taken=True,
    halted=frozenset({"edge"}),
    edge=2,
    dispatch=0,
    poll=0,
    sweep=0,
    stall=1,
)
Patch = tuple[Any, str, Any]
"""Where a guard is, what it is called there, and what is there instead."""


@dataclass(frozen=True, slots=True)
class Bug:
    """A guard that is taken away."""

    guard: str
    patches: tuple[Patch, ...]
    scope: Scope

    def hunted(self) -> Report:
        """Take the guard away and search for what breaks."""
        with ExitStack() as stack:
            for target, name, instead in self.patches:
                stack.enter_context(patch.object(target, name, instead))
            return search(self.scope)


def _always(answer: object) -> Callable[..., object]:
    return lambda *_, **__: answer


async def _nothing(*_: object, **__: object) -> None:
    return None


async def _fail_at_once(
    context: Context, tx: Transaction, *, job: Job, attempt: Any, observation: Observation
) -> None:
    await tx.attempts.end(attempt.id, AttemptState.FAILED)
    if not job.state.is_final:
        await settle(tx, job, context.callbacks.explain(observation), event="settled")


def _whoever_holds_it(store: Any, _: str) -> object:
    return next((row for row in store._tables.deliveries if row.state in HELD), None)


def _any_attempt(store: Any, _: bytes) -> object:
    return next((row.attempt for row in store._tables.attempts), None)


def _at_finish_deadline(_: object, job: Job, *, now: Any, hard_deadline: object) -> bool:
    return job.finish_deadline_time is not None and job.finish_deadline_time <= now


_NEVER_FINAL = (JobState, "is_final", property(_always(False)))
_OPEN_TABLE = (transition, "ALLOWED", {state: frozenset(JobState) for state in JobState})

BUGS = (
    Bug("use cases: is the job over (is_final)?", (_NEVER_FINAL,), RACE),
    Bug("use cases and the table of transitions", (_NEVER_FINAL, _OPEN_TABLE), RACE),
    Bug("observe: is it news (_is_news)?", ((observe, "_is_news", _always(True)),), RACE),
    Bug(
        "observe: may another attempt come home (_fail)?",
        ((observe, "_fail", _fail_at_once),),
        MISHAP,
    ),
    Bug(
        "answer: did a callback come before it (_OPEN)?",
        ((answer, "_OPEN", tuple(AttemptState)),),
        RACE,
    ),
    Bug("dispatch: wait for an unknown attempt (_wait)", ((dispatch, "_wait", _nothing),), MISHAP),
    Bug(
        "sweep: look again before the hard stop (is_overdue)",
        ((sweep, "is_overdue", _always(True)),),
        replace(MISHAP, busy=2, halted=frozenset({"dispatch", "end_overdue"})),
    ),
    Bug(
        "only the hard stop ends what can be read",
        (
            (sweep, "is_overdue", _at_finish_deadline),
            (memory_attempt, "is_overdue", _at_finish_deadline),
        ),
        RACE,
    ),
    Bug("sweep: the start deadline", ((sweep, "_end_unstarted", _nothing),), RACE),
    Bug(
        "receive: the token is an attempt's",
        ((MemoryAttemptStore, "find_by_token", answered(_any_attempt)),),
        replace(RACE, forged=1),
    ),
    Bug(
        "receive: token and body speak of one task (_contradicts)",
        ((receive, "_contradicts", _always(False)),),
        replace(MISHAP, forged=1),
    ),
    Bug(
        "begin and report: the lease is the sender's own",
        ((MemoryDeliveryStore, "_held", _whoever_holds_it),),
        SENDING,
    ),
    Bug(
        "a lease that ran out after begin may have been sent",
        ((memory_delivery, "_may_have_come", _always(False)),),
        SENDING,
    ),
    Bug(
        "one lease of a job, and the outcome before the progress",
        ((memory_delivery, "_is_before", _always(False)),),
        SENDING,
    ),
    Bug(
        "a message that was edited into the outcome is left alone",
        ((MemoryDeliveryStore, "_free_progress", _always(None)),),
        SENDING,
    ),
    Bug(
        "a lease that ran out is offered again",
        ((memory_delivery, "OPEN", (DeliveryState.PENDING,)),),
        SENDING,
    ),
)
