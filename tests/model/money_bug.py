"""Planted bugs about money, of the kinds that are known from systems like this one."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from generation_svc.domain.attempt import Attempt, AttemptState
from generation_svc.domain.job import Job, Result
from generation_svc.domain.ledger import Delivered, HoldState
from generation_svc.domain.port.transaction import Transaction
from generation_svc.domain.top_up import TopUp, TopUpState
from generation_svc.engine import fetch_result
from generation_svc.engine.maintenance import deadlines
from generation_svc.lifecycle import charge, observe
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.usecase.money import record_top_up, refund_top_up
from tests.ledger_rule import Hold, captured_amount
from tests.model import memory_attempt, memory_ledger
from tests.model.memory_attempt import MemoryAttemptStore
from tests.model.memory_ledger import MemoryLedgerStore
from tests.model.memory_store import answered
from tests.model.memory_top_up import MemoryTopUpStore
from tests.model.planted import Bug, always, at_finish_deadline, nothing
from tests.model.scope import CEILING, CHARGEBACK, PAID, PAID_MISHAP, REFUND, TWO_TASKS
from tests.model.table import PRICE

HELD = "credits are held for open jobs, and cancelled ones that may bring a result"
TAKEN = "what is charged is the price, or what it took under a ceiling"
_succeed = observe._succeed


def _end_again(self: MemoryLedgerStore, delivered: Delivered, *, is_over: bool) -> int | None:
    hold = self._tables.hold
    if hold is None or (not is_over and self._tables.is_live):
        return None
    return self.finish(hold, captured=captured_amount(hold, delivered))


def _give_back(self: MemoryLedgerStore, job_id: object, *, is_over: bool = True) -> bool:
    """Give back what was charged; to give back twice would go below zero, and sooner."""
    hold = self._tables.hold
    if hold is None or hold.state is HoldState.RELEASED or (not is_over and self._tables.is_live):
        return False
    if hold.state is HoldState.OPEN:
        self.finish(hold, captured=0)
    else:
        self.empty(hold, captured=0)
    return True


async def _charge_at_once(deps: Dependencies, tx: Transaction, *, job: Job, **more: Any) -> None:
    await charge.capture(tx, job, Result(text="seen"), cost=None)
    await _succeed(deps, tx, job=job, **more)


def _at_the_price_of_today(hold: Hold, delivered: Delivered) -> int:
    return PRICE + 3 if delivered.count else 0


async def _release_by_clock(deps: Dependencies, attempt: Attempt) -> None:
    async with deps.database.transaction() as tx:
        await charge.release(tx, await tx.jobs.lock(attempt.job_id))


def _still_credited(self: MemoryTopUpStore, top_up_id: object) -> TopUp | None:
    top_up = self._tables.top_up
    return replace(top_up, state=TopUpState.CREDITED) if top_up else None


def _all_of_it(amount: int, *, paid: int) -> tuple[int, int]:
    return amount, 0


def _gains_twice(amount: int, *, debt: int) -> tuple[int, int]:
    return min(amount, debt), amount


def _measured(hold: Hold, delivered: Delivered) -> int:
    cost = delivered.measured_cost
    return captured_amount(hold, delivered) if cost is None else int(cost)


def _keep_again(self: MemoryAttemptStore, attempt_id: UUID, cost: Decimal) -> bool:
    self.note_cost(attempt_id, cost)
    return True


def _lower_again(self: MemoryLedgerStore, job_id: object, delivered: Delivered) -> int | None:
    hold = self._tables.hold
    if hold is None or hold.state is not HoldState.CAPTURED:
        return None
    unused = hold.total - captured_amount(hold, delivered)
    self._give_back("income", granted=0, paid=unused)
    self._write(hold=replace(hold, captured=hold.captured - unused))
    self.tell(hold.captured - unused)
    return unused


async def _keep_any(
    tx: Transaction, job: Job, attempt: Attempt, *, result: Result, cost: Decimal | None
) -> None:
    await tx.attempts.end(attempt.id, AttemptState.SETTLED)
    await charge.capture_late(tx, job, result, cost=cost)


MONEY_BUGS = (
    Bug(
        "cancel: a hold stays while an attempt may bring a result",
        HELD,
        ((charge, "release_cancelled", charge.release),),
        PAID,
    ),
    Bug(
        "observe: a cancelled job's hold ends with its last attempt (release_unused)",
        HELD,
        ((charge, "release_unused", nothing),),
        PAID,
    ),
    Bug(
        "fetch: a cancelled job is charged for what is stored after all (capture_late)",
        HELD,
        ((charge, "capture_late", nothing),),
        PAID,
    ),
    Bug(
        "capture: a hold is ended once",
        "a hold is ended once",
        ((MemoryLedgerStore, "_end", _end_again),),
        PAID_MISHAP,
    ),
    Bug(
        "release: the hold is still open",
        "nothing is given back after a charge",
        ((MemoryLedgerStore, "release", answered(_give_back)),),
        PAID_MISHAP,
    ),
    Bug(
        "observe: a success is charged when it is stored, not when it is seen",
        "nothing is charged that is not stored",
        ((observe, "_succeed", _charge_at_once),),
        PAID,
    ),
    Bug(
        "capture: the price is that of the hold, not today's",
        "a job is charged once, and no more than was agreed",
        ((memory_ledger, "captured_amount", _at_the_price_of_today),),
        PAID,
    ),
    Bug(
        "sweep: a hold has no clock of its own",
        HELD,
        (
            (deadlines, "_end_overdue", _release_by_clock),
            (deadlines, "is_overdue", at_finish_deadline),
            (memory_attempt, "is_overdue", at_finish_deadline),
        ),
        PAID,
    ),
    Bug(
        "refund: a top-up goes back once",
        "a top-up goes back once",
        ((MemoryTopUpStore, "lock", answered(_still_credited)),),
        REFUND,
    ),
    Bug(
        "refund: what is held or spent becomes a debt (taken_back)",
        "no account of an owner is below zero",
        ((refund_top_up, "taken_back", _all_of_it),),
        REFUND,
    ),
    Bug(
        "chargeback: what went back is not taken again",
        "a top-up goes back once",
        ((MemoryTopUpStore, "lock", answered(_still_credited)),),
        CHARGEBACK,
    ),
    Bug(
        "top-up: a payment is known by its id",
        "an owner has what came in without what was charged",
        ((MemoryTopUpStore, "_known", always(None)),),
        CHARGEBACK,
    ),
    Bug(
        "top-up: what pays a debt is not bought as well (set_off)",
        "an owner has what came in without what was charged",
        ((record_top_up, "set_off", _gains_twice),),
        CHARGEBACK,
    ),
    Bug(
        "top-up: it pays the debt first (set_off)",
        "who has bought credits owes nothing",
        ((record_top_up, "set_off", lambda amount, *, debt: (0, amount)),),
        CHARGEBACK,
    ),
    Bug(
        "capture: a ceiling is not exceeded",
        "a job is charged once, and no more than was agreed",
        ((memory_ledger, "captured_amount", _measured),),
        CEILING,
    ),
    Bug(
        "cost: what is told late gives the rest back (lower)",
        TAKEN,
        ((charge, "lower", nothing),),
        CEILING,
    ),
    Bug(
        "cost: each poll that tells it changes nothing more (keep_cost, lower)",
        "a hold is ended once",
        (
            (MemoryAttemptStore, "keep_cost", answered(_keep_again)),
            (MemoryLedgerStore, "lower", answered(_lower_again)),
        ),
        CEILING,
    ),
    Bug(
        "cost: that of another task decides nothing (keep_late)",
        TAKEN,
        ((fetch_result, "keep_late", _keep_any),),
        TWO_TASKS,
    ),
)
