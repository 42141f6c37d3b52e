"""What a statement of the check is made of: a page of rows, and what must hold of each.

A statement sees one moment. Each rule is about rows that one statement reads together, so it needs
no snapshot that is older than that, which would keep the server from tidying up. Each reads a range
of a primary key in its order, and for each row what belongs to it by an index: a piece is as quick
in a large ledger.
"""

from dataclasses import dataclass

from generation_svc.domain.ledger_audit import Rule

_FIND = """
WITH page AS MATERIALIZED ({page}), found AS ({found})
SELECT (SELECT count(*) FROM page) AS count,
    (SELECT key FROM page WHERE place = (SELECT max(place) FROM page)) AS last,
    ARRAY(SELECT jsonb_build_array(rule, subject, problem) FROM found LIMIT 1000) AS differences
"""


@dataclass(frozen=True, slots=True)
class Check:
    """A rule about the rows of a page, in SQL."""

    rule: Rule
    problem: str
    """The text that says what is wrong."""
    condition: str
    """Whether the rule is broken."""
    subject: str = "key"
    """What the text is about."""


def statement_of(page: str, *checks: Check) -> str:
    """Return the statement that counts a page, tells where it ends, and names what is wrong."""
    found = " UNION ALL ".join(
        f"SELECT '{check.rule}' AS rule, {check.subject} AS subject, {check.problem} AS problem"
        f" FROM page WHERE {check.condition}"
        for check in checks
    )
    return _FIND.format(page=page, found=found)


def exists(rest: str) -> str:
    """Return the condition that there is such a row.

    An EXISTS among the columns may be planned as a hash of its whole table; a value is looked up.
    """
    return f"(SELECT true FROM {rest} LIMIT 1) IS NOT NULL"
