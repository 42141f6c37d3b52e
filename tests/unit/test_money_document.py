"""The page about money knows each account, each kind of transfer, and each rule of the ledger."""

import re
from pathlib import Path

import pytest

from generation_svc.domain.ledger import OWNED, AccountKind, Currency, TransferKind
from generation_svc.domain.ledger_audit import Rule, known_ways

DOCS = Path(__file__).parents[2] / "docs"
MONEY = (DOCS / "money.md").read_text()


def _rows(heading: str) -> list[list[str]]:
    """Return the cells of the table that begins with a heading."""
    _, _, rest = MONEY.partition(f"| {heading} |")
    lines = rest.partition("\n\n")[0].splitlines()[2:]
    return [line.strip("| ").split(" | ") for line in lines]


def _names(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"`(\w+)`", text))


def test_every_account_has_a_row() -> None:
    told = {account.strip("`"): whose for account, whose, _ in _rows("account")}
    assert told == {kind: "owner" if kind in OWNED else "house" for kind in AccountKind}


def test_every_kind_of_transfer_has_a_row() -> None:
    told = frozenset().union(*(_names(kind) for _, kind, _, _ in _rows("what happens")))
    assert told == {str(kind) for kind in TransferKind}


@pytest.mark.parametrize("row", _rows("what happens"), ids=lambda row: row[0])
def test_a_transfer_goes_between_accounts_between_which_it_may(row: list[str]) -> None:
    _, kinds, sources, targets = row
    ways = {(str(kind), str(source), str(target)) for kind, source, target, _ in known_ways()}
    # "Where it came from" names no account.
    wanted = _names(targets) or {"granted", "paid"}
    back = {(kind, target, source) for kind, source, target in ways if "and back" in targets}
    told = {
        (kind, source, target)
        for kind in _names(kinds)
        for source in _names(sources)
        for target in wanted
    }
    assert told
    assert told <= ways | back


def test_every_rule_has_a_row_that_says_what_it_means_and_what_to_do() -> None:
    rows = _rows("rule")
    assert [rule.strip("`") for rule, *_ in rows] == [str(rule) for rule in Rule]
    assert all(len(row) == 3 and all(row) for row in rows)


def test_every_currency_is_explained() -> None:
    assert {str(currency) for currency in Currency} <= _names(MONEY)


@pytest.mark.parametrize("page", ["money.md", "operator.md"])
def test_every_link_leads_somewhere(page: str) -> None:
    links = re.findall(r'(?:\]\(|src=")([\w.-]*)(?:#([\w-]+))?', (DOCS / page).read_text())
    assert links
    missing = [(file, part) for file, part in links if not _leads(file or page, part)]
    assert not missing


def _leads(file: str, part: str) -> bool:
    if not (DOCS / file).exists():
        return False
    return not part or part in _parts((DOCS / file).read_text())


def _parts(text: str) -> frozenset[str]:
    """Return what a link may name of a page: its headings, as GitHub writes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return frozenset(re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings)
