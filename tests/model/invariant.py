"""What has to hold after every step, and what has to come in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from generation_svc.domain.attempt import Attempt, AttemptState
from generation_svc.domain.delivery import DeliveryKind, DeliveryState
from generation_svc.domain.failure import FailureReason
from generation_svc.domain.job import FINAL_STATES, JobState
from generation_svc.domain.ledger import HoldState
from generation_svc.domain.observation import Observation, ProviderState
from generation_svc.domain.top_up import TopUpState
from generation_svc.engine.submission import MAX_ATTEMPTS
from tests.model.clock import NOW, TIMING
from tests.model.run import Actor
from tests.model.space import Step
from tests.model.table import DeliveryRow, Tables

HOME = (AttemptState.SUCCEEDED, AttemptState.SETTLED)
_ASKED = (AttemptState.SUBMITTING, AttemptState.UNKNOWN, AttemptState.ACCEPTED)
"""Where a success goes back to nothing."""
HELD = (DeliveryState.LEASED, DeliveryState.BEGUN)


def check(step: Step) -> str | None:
    """Return the name of the invariant that a step broke."""
    return next((name for name, holds in INVARIANTS.items() if not holds(step)), None)


def _nothing_went_wrong(step: Step) -> bool:
    return not step.faults


def _terminal_is_final(step: Step) -> bool:
    """What it was charged is known later, and may become less; another rule is for that."""
    before, after = (replace(each.row.job, charged_credits=None) for each in _both(step))
    return before.state not in FINAL_STATES or after == before


def _revisions_have_no_gap(step: Step) -> bool:
    return step.after.row.job.revision == step.after.row.snapshots


def _one_outcome_row(step: Step) -> bool:
    state = step.after.row.job.state
    rows = len(_rows(step.after, DeliveryKind.OUTCOME))
    return rows == (state in (JobState.SUCCEEDED, JobState.FAILED))


def _one_new_message(step: Step) -> bool:
    return step.world.messages <= 1


def _cancelled_is_not_delivered(step: Step) -> bool:
    is_told = step.world.messages or step.world.is_shown
    return step.after.row.job.state is not JobState.CANCELLED or not is_told


def _outcome_is_not_overwritten(step: Step) -> bool:
    return not step.world.is_overwritten


def _one_lease_of_a_job(step: Step) -> bool:
    rows = step.after.deliveries
    return sum(row.state in HELD and row.due_time > NOW for row in rows) <= 1


def _no_attempt_while_one_may_come_home(step: Step) -> bool:
    is_new = len(step.after.attempts) > len(step.before.attempts)
    live = [each for each in _attempts(step.before) if each.is_live]
    return not is_new or all(each.submit_time + TIMING.unknown_grace <= NOW for each in live)


def _few_attempts(step: Step) -> bool:
    is_new = len(step.after.attempts) > len(step.before.attempts)
    counted = [e for e in _attempts(step.after) if e.state is not AttemptState.REFUSED]
    return not is_new or len(counted) <= MAX_ATTEMPTS


def _success_is_not_lost(step: Step) -> bool:
    """What is observed of an open job is stored and stays so; and what is stored fails no job.

    Beside a failure only what was given up is kept, never what the provider said had failed.
    """
    observed = _believed(step)
    if observed and step.before.row.job.state not in FINAL_STATES:
        return step.after.attempts[observed - 1].attempt.state in HOME
    if any(was.state in HOME and now.state in _ASKED for was, now in _changes(step)):
        return False
    settled = AttemptState.SETTLED
    if any(was.state is settled and now.state is not settled for was, now in _changes(step)):
        return False
    if _fails(step):
        return not any(each.state in HOME for each in _attempts(step.after))
    return not _is_over(step) or all(was.is_written_off for was, _ in _come_home(step))


def _no_failure_while_one_may_come_home(step: Step) -> bool:
    return not _fails(step) or not any(each.is_live for each in _attempts(step.after))


def _is_over(step: Step) -> bool:
    """Whether nothing that comes now is charged: the job has failed, or its hold went back."""
    tables = step.before
    is_returned = tables.hold is not None and tables.hold.state is HoldState.RELEASED
    return step.after.row.job.state is JobState.FAILED or (
        tables.row.job.state is JobState.CANCELLED and is_returned
    )


def _come_home(step: Step) -> list[tuple[Attempt, Attempt]]:
    return [each for each in _changes(step) if each[0].state not in HOME and each[1].state in HOME]


def _fails(step: Step) -> bool:
    """Whether the job fails with this step; a success that comes later is kept beside that."""
    failed = JobState.FAILED
    return step.after.row.job.state is failed and step.before.row.job.state is not failed


def _success_is_true(step: Step) -> bool:
    """A success has its bytes here, and the provider did make it."""
    if step.after.row.job.state is not JobState.SUCCEEDED:
        return True
    made = {t.attempt for t in step.world.tasks if t.state is ProviderState.SUCCEEDED}
    result = step.after.row.job.result
    kept = {media.id.int for media in result.media} if result else set()
    return bool(kept) and kept <= made


def _deadline_fails_nothing_unread(step: Step) -> bool:
    """The finish deadline ends a task that was taken only after a read that succeeded."""
    job, was = step.after.row.job, step.before.row.job
    is_late = job.failure is not None and job.failure.reason is FailureReason.FINISH_DEADLINE
    if was.state in FINAL_STATES or not is_late or step.actor.name == "poll":
        return True
    taken = [each for each in _attempts(step.before) if each.state is AttemptState.ACCEPTED]
    return all((each.accept_time or NOW) + TIMING.hard_deadline <= NOW for each in taken)


def _held_while_it_may_cost(step: Step) -> bool:
    """Credits are kept for an open job, and for a cancelled one that may bring its first result.

    What was given back stays so: what had been given up and comes home after that is free.
    """
    tables, job = step.after, step.after.row.job
    is_open = job.state not in FINAL_STATES
    is_stored = any(each.state is AttemptState.SETTLED for each in _attempts(tables))
    is_late = job.state is JobState.CANCELLED and tables.is_live and not is_stored
    may_cost = is_open or (is_late and step.before.is_held)
    return tables.hold is None or tables.is_held is may_cost


def _charged_once(step: Step) -> bool:
    """A hold ends once, and what it ends with stays so, or becomes less under a ceiling."""
    was, now = step.before.hold, step.after.hold
    if step.before.is_held or was is None or now is None or was == now:
        return True
    is_lower = step.after.row.job.price.is_ceiling and 0 < now.captured < was.captured
    return is_lower and now == replace(was, captured=now.captured)


def _charged_for_what_is_stored(step: Step) -> bool:
    hold = step.after.hold
    is_stored = any(each.state is AttemptState.SETTLED for each in _attempts(step.after))
    is_failed = step.after.row.job.state is JobState.FAILED
    return hold is None or not hold.captured or (is_stored and not is_failed)


def _success_is_charged(step: Step) -> bool:
    hold, is_success = step.after.hold, step.after.row.job.state is JobState.SUCCEEDED
    return hold is None or not is_success or hold.state is HoldState.CAPTURED


def _charged_what_it_took(step: Step) -> bool:
    """An exact price is charged as it is; a ceiling is, until somebody tells what it took."""
    hold = step.after.hold
    if hold is None or not hold.captured:
        return True
    is_ceiling = step.after.row.job.price.is_ceiling
    costs = [int(row.cost) for row in step.after.makers if is_ceiling and row.cost]
    return hold.captured in [min(hold.total, cost) for cost in costs or [hold.total]]


def _says_what_it_was_charged(step: Step) -> bool:
    job, hold = step.after.row.job, step.after.hold
    is_over = job.state in FINAL_STATES and not step.after.is_held
    charged = hold.captured if hold and is_over else None
    return hold is None or job.charged_credits == charged


def _nothing_is_lost(step: Step) -> bool:
    return step.after.accounts.total == 0


def _nothing_below_zero(step: Step) -> bool:
    return step.after.accounts.is_sound


def _held_is_what_holds_keep(step: Step) -> bool:
    hold = step.after.hold
    return step.after.accounts.held == (hold.total if hold and step.after.is_held else 0)


def _charged_what_was_agreed(step: Step) -> bool:
    """What was earned is what one capture took, and never more than was held."""
    hold, earned = step.after.hold, step.after.accounts.income
    return earned == 0 if hold is None else earned == hold.captured <= hold.total


def _nothing_after_a_charge(step: Step) -> bool:
    """What was charged stays so, whoever ends whatever afterwards."""
    was, now, hold = step.before.accounts, step.after.accounts, step.before.hold
    if hold is None or hold.state is not HoldState.CAPTURED:
        return True
    is_lower = step.after.hold != hold  # then another rule says by how much
    return was.held == now.held and (
        is_lower or (was.income, was.granted) == (now.income, now.granted)
    )


def _has_what_came(step: Step) -> bool:
    """What owners have, less what they owe, is what came in without what was charged."""
    has, top_ups = step.after.accounts, (step.after.top_up, step.after.later)
    bought = sum(each.credits for each in top_ups if each and each.state is TopUpState.CREDITED)
    return has.granted + has.paid + has.held + has.debt == bought - has.grants - has.income


def _debt_is_set_off(step: Step) -> bool:
    return not (step.after.accounts.paid and step.after.accounts.debt)


def _returned_once(step: Step) -> bool:
    """A top-up that went back was worth what it was sold for, and not twice that."""
    return step.after.accounts.exchange <= 0


INVARIANTS: Mapping[str, Callable[[Step], bool]] = {
    "no step fails by a fault of ours": _nothing_went_wrong,
    "a terminal job never changes": _terminal_is_final,
    "revisions have no gap": _revisions_have_no_gap,
    "one outcome row for a job that succeeded or failed, none for any other": _one_outcome_row,
    "never two new messages for one job": _one_new_message,
    "a cancelled job is never delivered": _cancelled_is_not_delivered,
    "progress never overwrites the outcome": _outcome_is_not_overwritten,
    "one delivery of a job is under lease": _one_lease_of_a_job,
    "no attempt while another one within its grace may come home": (
        _no_attempt_while_one_may_come_home
    ),
    "at most two attempts that were not refused": _few_attempts,
    "a success that was observed in time is never lost": _success_is_not_lost,
    "no job fails while an attempt of it is alive": _no_failure_while_one_may_come_home,
    "a job succeeds only by what the provider made, with its bytes": _success_is_true,
    "only a read that succeeded ends a job that is late": _deadline_fails_nothing_unread,
    "nothing is charged that is not stored": _charged_for_what_is_stored,
    "credits are held for open jobs, and cancelled ones that may bring a result": (
        _held_while_it_may_cost
    ),
    "a hold is ended once": _charged_once,
    "nothing is given back after a charge": _nothing_after_a_charge,
    "a job is charged once, and no more than was agreed": _charged_what_was_agreed,
    "a success is charged": _success_is_charged,
    "what is charged is the price, or what it took under a ceiling": _charged_what_it_took,
    "a job says what it was charged": _says_what_it_was_charged,
    "a top-up goes back once": _returned_once,
    "no account of an owner is below zero": _nothing_below_zero,
    "the held account is what holds keep": _held_is_what_holds_keep,
    "an owner has what came in without what was charged": _has_what_came,
    "who has bought credits owes nothing": _debt_is_set_off,
    "no credit is lost or invented": _nothing_is_lost,
}
LIVENESS = "when nothing more goes wrong, the job ends and its outcome is delivered"


def _both(step: Step) -> tuple[Tables, Tables]:
    return step.before, step.after


def _attempts(tables: Tables) -> list[Attempt]:
    return [row.attempt for row in tables.attempts]


def _changes(step: Step) -> list[tuple[Attempt, Attempt]]:
    before, after = _attempts(step.before), _attempts(step.after)
    return list(zip(before, after, strict=False))


def _rows(tables: Tables, kind: DeliveryKind) -> list[DeliveryRow]:
    return [row for row in tables.deliveries if row.kind is kind]


def _believed(step: Step) -> int | None:
    """Return the attempt of which the actor has just had to believe a success."""
    # A callback is believed by the first step; with the others its result is fetched.
    is_told = not step.actor.log if step.actor.name == "receive" else step.is_done
    return _told(step.actor) if is_told else None


def _told(actor: Actor) -> int | None:
    if actor.name == "receive":
        token, task, state, *_ = actor.args
        is_true = token == task and state is ProviderState.SUCCEEDED
        return int(str(task)) if is_true else None
    answers = (answer for past in actor.log for answer in past.answers)
    told = [each for each in answers if isinstance(each, Observation)]
    if actor.name == "poll" and told and told[-1].state is ProviderState.SUCCEEDED:
        return int(str(told[-1].task_id).removeprefix("task-"))
    return None
