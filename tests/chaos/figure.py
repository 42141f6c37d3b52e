"""The figures of one run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from tests.chaos.check import Violation
from tests.chaos.evidence import Evidence
from tests.chaos.plan import Impact, Kind, Part
from tests.chaos.rest import Sample
from tests.chaos.sale import SHOP
from tests.chaos.table import Figures
from tests.chaos.traffic import CREATE_WINDOW_S, READ_WINDOW_S, densest


def figures_of(evidence: Evidence, violations: Sequence[Violation]) -> Figures:
    """Return every figure of a run by its label, in the order of the table."""
    return {
        **_jobs(evidence),
        **_deliveries(evidence),
        **_provider(evidence),
        **_credits(evidence),
        **_stars(evidence),
        **{name: str(evidence.done[name]) for name in _DEEDS},
        **_held(evidence),
        **_rules(violations),
        **{name: f"{seconds:.0f}" for name, seconds in evidence.laps.items()},
    }


_DEEDS = (
    *(f"kills of {part}" for part in Part),
    *(f"{impact} proxies" for impact in Impact),
    "windows of kie",
    "windows of telegram",
)
RULES = {
    "lost": "accepted jobs lost",
    "unfinished": "jobs not ended",
    "undelivered": "outcomes not delivered",
    "doubled": "outcomes sent twice",
    "resubmitted": "submitted twice, fate known",
    "order": "event orders broken",
    "budget": "budgets exceeded",
    "callback": "callbacks refused",
    "credits": "credits lost, invented or wrongly charged",
    "stars": "payments not as Telegram has them",
    "leak": "leaks",
    "fallen": "processes that fell",
    "promise": "other broken promises",
}


def _jobs(evidence: Evidence) -> Figures:
    states = Counter(job.state for job in evidence.jobs)
    spans = sorted((job.update_time - job.create_time).total_seconds() for job in evidence.jobs)
    kinds = Counter(order.kind for order in evidence.ledger.orders.values())
    return {
        "jobs": str(len(evidence.jobs)),
        "asked for by people": str(kinds[Kind.PERSON]),
        "succeeded": str(states["succeeded"]),
        "failed": str(states["failed"]),
        "cancelled": str(states["cancelled"]),
        "median s to the end": f"{spans[len(spans) // 2]:.1f}" if spans else "",
        "longest s to the end": f"{spans[-1]:.0f}" if spans else "",
    }


def _deliveries(evidence: Evidence) -> Figures:
    sent = [each for each in evidence.deliveries if each.state == "sent"]
    return {
        "outcomes delivered": str(len(sent)),
        "of these proved by editing": str(sum(each.is_edit for each in sent)),
        "to people who blocked the bot": str(
            sum(each.state == "impossible" for each in evidence.deliveries)
        ),
    }


def _provider(evidence: Evidence) -> Figures:
    tasks = Counter(evidence.task_prompts)
    unknown = (event for events in evidence.events.values() for event in events)
    return {
        "createTask calls": str(len(evidence.creations)),
        "tries of unknown fate": str(sum(event.kind == "unknown" for event in unknown)),
        "tasks made a second time": str(sum(count - 1 for count in tasks.values())),
        "most createTask in 10 s": str(densest(evidence.traffic.creates, window_s=CREATE_WINDOW_S)),
        "most recordInfo in 1 s": str(densest(evidence.traffic.reads, window_s=READ_WINDOW_S)),
        "callbacks answered 200": str(evidence.callback_statuses.get("200", 0)),
        "callbacks cut off": str(evidence.callback_statuses.get("none", 0)),
    }


def _credits(evidence: Evidence) -> Figures:
    money, ledger = evidence.money, evidence.ledger
    ends = Counter(each.hold_state for each in money.charges)
    late = sum(each.state == "cancelled" for each in money.charges if each.captured)
    return {
        "paid jobs": str(len(money.charges)),
        "of these charged": str(ends["captured"]),
        "of these given back": str(ends["released"]),
        "of these delivered in part": str(
            sum(each.captured is not None and each.missing > 0 for each in money.charges)
        ),
        "paid back when the cost came late": str(sum(each.is_late for each in money.charges)),
        "paid by the caller that may owe": str(sum(each.owner == SHOP for each in money.charges)),
        "prices agreed to anew": str(ledger.repriced),
        "kept for a task of unknown fate": str(sum(each.is_kept for each in money.charges)),
        "charged though cancelled, for a result": str(late),
        "refused for want of credits": str(len(ledger.refused)),
        "credits given": str(money.granted),
        "credits sold": str(money.sold),
        "payments by card that went back": str(len(ledger.returned)),
        "credits earned": str(money.income),
        "credits left": str(money.balances),
        "differences that CheckLedger found": str(len(money.differences)),
    }


def _stars(evidence: Evidence) -> Figures:
    stars, ledger = evidence.stars, evidence.ledger
    states = Counter(each.state for each in stars.top_ups)
    return {
        "payments in Stars": str(len(stars.payments)),
        "of these told by Telegram's list alone": str(
            sum(not each.is_told for each in stars.payments)
        ),
        "Stars given back": str(states["refunded"]),
        "Stars charged back": str(states["charged_back"]),
        "checkouts that were refused or too late": str(ledger.unpaid.total()),
    }


def _held(evidence: Evidence) -> Figures:
    def more(of: Callable[[Sample], float]) -> float:
        before = {each.process: of(each) for each in evidence.before.samples}
        return max((of(each) - before[each.process] for each in evidence.after.samples), default=0)

    return {
        "tasks more at rest": f"{more(lambda each: each.tasks):g}",
        "open files more at rest": f"{more(lambda each: each.fds):g}",
        "MB more at rest": f"{more(lambda each: each.memory_bytes) / 2**20:.0f}",
        "database connections": str(evidence.after.database_connections),
    }


def _rules(violations: Sequence[Violation]) -> Figures:
    counts = Counter(each.rule for each in violations)
    return {label: str(counts[rule]) for rule, label in RULES.items()}
