"""What the bench reads from the log of PostgreSQL, and when a bound is exceeded."""

from dataclasses import replace

import pytest

from tests.bench.smoke import Bound
from tests.bench.statement import Counts
from tests.bench.table import Line

LOG = """\
atelier|7|LOG:  statement: BEGIN
atelier|8|LOG:  statement:
atelier|7|LOG:  execute <unnamed>: SELECT *
\tFROM job
\tWHERE id = $1
other|9|LOG:  statement: SELECT 1
atelier|8|LOG:  execute _pg3_0: SELECT pg_notify($1, $2)
atelier|7|LOG:  statement: SAVEPOINT "s"
atelier|7|LOG:  statement: ROLLBACK TO "s"
atelier|7|LOG:  statement: COMMIT
atelier|7|LOG:  statement: INSERT INTO job VALUES (1)
|3|LOG:  received SIGHUP, reloading configuration files
"""


def counted() -> Counts:
    counts = Counts()
    counts.read(LOG)
    return counts


def line(**figures: float) -> Line:
    return replace(Line(row="a row", program="Atelier", values=[5], unit="modules"), **figures)  # type: ignore[arg-type] # figures alone are given


def test_statements_are_counted_by_session_and_a_block_is_one_transaction() -> None:
    counts = counted()
    assert counts.statements == 6
    assert counts.transactions == 3
    assert counts.empty == 1


def test_groups_name_statements_of_several_lines_as_one() -> None:
    (_, first), *_ = [each for each in counted().top(per=1) if each[1].startswith("SELECT * FROM")]
    assert first == "SELECT * FROM job WHERE id = $1"


@pytest.mark.parametrize(
    ("bound", "figures"),
    [
        (Bound(statements=8.2), {"statements": 9.0}),
        (Bound(transactions=2.1), {"transactions": 3.0}),
        (Bound(most=4), {}),
        (Bound(least_ratio=0.1), {"ratio": 0.09}),
        (Bound(most_ratio=8), {"ratio": 8.1}),
        (Bound(statements=8.2), {}),
    ],
    ids=["statements", "transactions", "figure", "too slow", "too long", "not measured"],
)
def test_what_exceeds_a_bound_or_was_not_measured_is_a_problem(
    bound: Bound, figures: dict[str, float]
) -> None:
    assert len(list(bound.problems(line(**figures)))) == 1


def test_what_keeps_its_bounds_is_none() -> None:
    bound = Bound(statements=8.2, transactions=2.1, most=5, least_ratio=0.1, most_ratio=8)
    assert not list(bound.problems(line(statements=8.0, transactions=2.0, ratio=0.5)))
