"""Planted bugs: one guard taken away each, which the search has to find.

Functions of ours are patched here and nowhere else in the tests: that a guard is needed can only
be shown by taking it away. What stands in the storage's stead has the guards of the SQL.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from generation_svc.domain import transition
from generation_svc.domain.attempt import AttemptState
from generation_svc.domain.delivery import DeliveryState
from generation_svc.domain.event import JobEventKind
from generation_svc.domain.job import Job, JobState
from generation_svc.domain.observation import Observation
from generation_svc.domain.port.transaction import Transaction
from generation_svc.engine import dispatch, outgoing_attempt, submission
from generation_svc.engine.maintenance import deadlines
from generation_svc.lifecycle import callback, observe
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.record import settle
from tests.model import memory_attempt, memory_delivery
from tests.model.invariant import LIVENESS
from tests.model.memory_attempt import MemoryAttemptStore
from tests.model.memory_delivery import HELD, MemoryDeliveryStore
from tests.model.memory_dispatch import MemoryDispatchStore
from tests.model.memory_store import answered
from tests.model.money_bug import MONEY_BUGS
from tests.model.planted import Bug, always, at_finish_deadline, nothing
from tests.model.scope import CHAT, LATE, MISHAP, RACE


async def _fail_at_once(
    deps: Dependencies, tx: Transaction, *, job: Job, attempt: Any, observation: Observation
) -> None:
    await tx.attempts.end(attempt.id, AttemptState.FAILED)
    if not job.state.is_final:
        await settle(
            tx, job, deps.provider.callbacks.explain(observation), event=JobEventKind.SETTLED
        )


def _whoever_holds_it(store: Any, _: str) -> object:
    return next((row for row in store._tables.deliveries if row.state in HELD), None)


def _any_attempt(store: Any, _: bytes) -> object:
    return next((row.attempt for row in store._tables.attempts), None)


_NEVER_FINAL = (JobState, "is_final", property(always(False)))
_OPEN_TABLE = (transition, "ALLOWED", {state: frozenset(JobState) for state in JobState})
_UNBROKEN = replace(MISHAP, halted=frozenset())
_NO_LOSS = "a success that was observed in time is never lost"
_ONLY_A_READ = "only a read that succeeded ends a job that is late"
_TRUE = "a job succeeds only by what the provider made, with its bytes"
_ONE_MESSAGE = "never two new messages for one job"


async def _news(*args: object, **more: object) -> bool:
    return True


BUGS = (
    Bug(
        "use cases: is the job over (is_final)?",
        "no step fails by a fault of ours",  # the table of transitions refuses it
        (_NEVER_FINAL,),
        RACE,
    ),
    Bug(
        "use cases: the same, and the table of transitions",
        "a terminal job never changes",
        (_NEVER_FINAL, _OPEN_TABLE),
        RACE,
    ),
    Bug("observe: is it news (_is_news)?", _NO_LOSS, ((observe, "_is_news", _news),), RACE),
    Bug(
        "observe: may another attempt come home (_fail)?",
        "no job fails while an attempt of it is alive",
        ((observe, "_fail", _fail_at_once),),
        _UNBROKEN,
    ),
    Bug(
        "answer: did a callback come before it (_OPEN)?",
        _NO_LOSS,
        ((submission, "_OPEN", tuple(AttemptState)),),
        RACE,
    ),
    Bug(
        "dispatch: wait for an unknown attempt (_wait)",
        "no attempt while another one within its grace may come home",
        ((dispatch, "_wait", nothing),),
        MISHAP,
    ),
    Bug(
        "claim: only a first attempt is written with it (_has_attempt)",
        "no attempt while another one within its grace may come home",
        (
            (outgoing_attempt, "_has_attempt", always(False)),
            (MemoryDispatchStore, "_counted", always(0)),
        ),
        MISHAP,
    ),
    Bug(
        "sweep: look again before the hard stop (is_overdue)",
        _ONLY_A_READ,
        ((deadlines, "is_overdue", always(True)),),
        replace(LATE, poll=0, fetch=0),
    ),
    Bug(
        "sweep: the hard stop alone ends what can be read",
        _ONLY_A_READ,
        (
            (deadlines, "is_overdue", at_finish_deadline),
            (memory_attempt, "is_overdue", at_finish_deadline),
        ),
        RACE,
    ),
    Bug("sweep: the start deadline", LIVENESS, ((deadlines, "_end_unstarted", nothing),), RACE),
    Bug(
        "receive: the token is an attempt's",
        _TRUE,
        ((MemoryAttemptStore, "find_by_token", answered(_any_attempt)),),
        replace(RACE, forged=1),
    ),
    Bug(
        "receive: token and body speak of one task (_contradicts)",
        _TRUE,
        ((callback, "_contradicts", always(False)),),
        replace(_UNBROKEN, forged=1),
    ),
    Bug(
        "begin, report: the lease is the sender's own",
        _ONE_MESSAGE,
        ((MemoryDeliveryStore, "_held", _whoever_holds_it),),
        CHAT,
    ),
    Bug(
        "lease: one that ran out after begin may have been sent",
        _ONE_MESSAGE,
        ((memory_delivery, "_may_have_come", always(False)),),
        CHAT,
    ),
    Bug(
        "lease: one of a job, and the outcome before the progress",
        "one delivery of a job is under lease",
        ((memory_delivery, "_is_before", always(False)),),
        CHAT,
    ),
    Bug(
        "lease: one that ran out is offered again",
        LIVENESS,
        ((memory_delivery, "OPEN", (DeliveryState.PENDING,)),),
        CHAT,
    ),
    Bug(
        "report: a message that was edited into the outcome is left alone",
        "progress never overwrites the outcome",
        ((MemoryDeliveryStore, "_free_progress", always(None)),),
        replace(CHAT, busy=1),
    ),
    *MONEY_BUGS,
)
