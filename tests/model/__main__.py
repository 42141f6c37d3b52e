"""`make model`: visit every state of the race in full, then take away one guard after another.

make model                  two tables; fails if an invariant broke or a planted bug was missed
make model TRACE=lease      also the shortest way to each planted bug with this word in it
"""

from __future__ import annotations

import os
import sys

from tests.model.bug import BUGS
from tests.model.planted import Bug
from tests.model.scope import LARGE, SMALL, Scope
from tests.model.search import Finding, Report, search


def main() -> int:
    """Search and hunt; return 0 only if the product holds and every planted bug was found."""
    _say("| scope | states | transitions | steps run | depth | CPU seconds |")
    _say("|---|--:|--:|--:|--:|--:|")
    searches = [_searched(scope) for scope in (*SMALL, *LARGE)]
    _say("\n| guard taken away | what breaks | shortest way | scope | states until then |")
    _say("|---|---|--:|---|--:|")
    hunts = [_hunted(bug) for bug in BUGS]
    return 0 if all(searches) and all(hunts) else 1


def _searched(scope: Scope) -> bool:
    report = search(scope)
    _say(
        f"| {scope.name} | {report.states:,} | {report.transitions:,} | {report.steps:,}"
        f" | {report.depth} | {report.seconds:.0f} |"
    )
    if report.finding:
        _explain(report.finding)
    return report.finding is None


def _hunted(bug: Bug) -> bool:
    report = bug.hunted()
    _say(f"| {bug.guard} | {_found(report)} | {bug.scope.name} | {report.states:,} |")
    word = os.environ.get("TRACE")
    if word and word in bug.guard and report.finding:
        _explain(report.finding)
    return report.finding is not None and report.finding.invariant == bug.breaks


def _found(report: Report) -> str:
    finding = report.finding
    return f"{finding.invariant} | {len(finding.trace)}" if finding else "NOT FOUND | –"


def _explain(finding: Finding) -> None:
    _say(f"\nbroken: {finding.invariant}")
    for number, name in enumerate(finding.trace, start=1):
        _say(f"  {number:2} {name}")
    _say("")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
