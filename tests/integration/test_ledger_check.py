"""Each rule of the ledger bites: a difference that is planted with SQL is named."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from generation_svc.check_ledger import NOT_CHECKED
from generation_svc.domain.imported_balance import ImportedBalance
from generation_svc.domain.ledger_audit import LedgerReport, Rule
from generation_svc.domain.money import MarginRule, MarginScope, MoneyMode
from generation_svc.engine.maintenance.ledger import check_ledger as check_hourly
from generation_svc.lifecycle.ledger_audit import check_ledger
from generation_svc.usecase import cancel_job
from generation_svc.usecase.money.import_balances import ImportBatch, import_balances
from tests.lifecycle import CALLER, FAILURE, LINK, SUCCESS, Harness, OpenBench, items_of
from tests.money import FREE, IMAGEN, bought, grant

OWNER = "telegram:1"
WAN: dict[str, Any] = {"model_id": "wan/2-7-image", "inputs": {"prompt": "cats", "n": 4}}


@pytest.fixture
async def harness(open_bench: OpenBench) -> Harness:
    """A ledger with something of everything in it."""
    harness = await open_bench(money=MoneyMode.TEST)
    await imported(harness, amount="7")
    await grant(harness, 50, owner=OWNER)
    await bought(harness, 200, owner=OWNER)
    await harness.made(owner=OWNER, **IMAGEN)
    await harness.made(owner=OWNER, **FREE)
    await harness.run(owner=OWNER, **WAN)
    await harness.callback(replace(SUCCESS, results=items_of(LINK, f"{LINK}?2")))
    await harness.fetch_all()
    await harness.run(owner=OWNER, **IMAGEN)
    await harness.callback(FAILURE)
    job = await harness.run(owner=OWNER, **IMAGEN)
    await cancel_job.cancel_job(harness.deps, CALLER, job_id=job.id)
    await harness.accept(owner=OWNER, **IMAGEN)
    await harness.query(
        "INSERT INTO receipt (series, number, kind, cause, time)"
        " SELECT 1, 1, 'top_up', id, now() FROM top_up"
    )
    return harness


async def imported(harness: Harness, *, amount: str) -> None:
    """Import what the owner had with an earlier bot."""
    balance = ImportedBalance("old", OWNER.removeprefix("telegram:"), amount, "RUB")
    batch = ImportBatch(uuid4(), [balance], rate=Decimal(1), reason="a test")
    outcome = await import_balances(harness.deps, CALLER, batch=batch, apply=True)
    assert outcome.count == 1


async def report(harness: Harness, *, piece: int = 2) -> LedgerReport:
    return await check_ledger(harness.deps.database, piece=piece)


async def broken(harness: Harness) -> set[str]:
    return {each.rule for each in (await report(harness)).differences}


async def without_guards(harness: Harness, *statements: str) -> None:
    """Change what the database itself keeps from being changed."""
    await harness.query("SET session_replication_role = replica")
    for constraint, table in (
        ("wallet_is_not_negative", "wallet"),
        ("hold_captures_at_most_all", "hold"),
        ("hold_lends_at_most_paid", "hold"),
        ("job_free_costs_nothing", "job"),
    ):
        await harness.query(f"ALTER TABLE {table} DROP CONSTRAINT {constraint}")
    for statement in statements:
        await harness.query(statement)


@pytest.mark.parametrize("table", ["transfer", "margin_rule"])
@pytest.mark.parametrize("change", ["DELETE FROM {}", "TRUNCATE {}", "TRUNCATE {} CASCADE"])
async def test_the_database_refuses_to_lose_what_was_written(
    harness: Harness, table: str, change: str
) -> None:
    async with harness.transaction() as tx:
        await tx.money.add_margin(
            MarginRule(MarginScope.DEFAULT, "", Decimal(2), "operator", "dearer")
        )
    before = await harness.query(f"SELECT * FROM {table}")
    assert before
    with pytest.raises(psycopg.errors.RestrictViolation, match=f"rows of {table}"):
        await harness.query(change.format(table))
    assert await harness.query(f"SELECT * FROM {table}") == before


async def test_a_ledger_in_which_nothing_is_wrong_is_looked_at_whole(harness: Harness) -> None:
    found = await report(harness)
    assert found.differences == ()
    rows = {
        part: (await harness.query(f"SELECT count(*) AS number FROM {table}"))[0]["number"]
        for part, table in (("transfer", "transfer"), ("wallet", "wallet"), ("hold", "hold"))
    }
    assert {part: found.counts[part] for part in rows} == rows
    assert found.counts["hold"] == 5
    assert found.counts["transfer"] > 10
    assert (await report(harness, piece=1000)).counts == found.counts


_CAPTURED = "(SELECT job_id FROM hold WHERE state = 'captured' ORDER BY job_id LIMIT 1)"
_RELEASED = "(SELECT job_id FROM hold WHERE state = 'released' LIMIT 1)"
_QUEUED = "(SELECT id FROM job WHERE state = 'queued')"
_CANCELLED = "(SELECT id FROM job WHERE state = 'cancelled')"
_FREE_JOB = "(SELECT id FROM job WHERE is_free)"
_MOVE = (
    "INSERT INTO transfer (time, currency, amount, source, target, owner, balance_after, kind,"
    " cause, actor, reason) VALUES (now(), {})"
)
_STAR = (
    "INSERT INTO star_transaction (bot_id, id, direction, amount, partner, time, state, document)"
    " VALUES (7, {}, 'user', {}, 'matched', '{{}}')"
)
_STRANGE = (
    "INSERT INTO star_transaction (bot_id, id, direction, amount, nano, partner, time, state,"
    " document) VALUES (7, {}, '{{}}')"
)
_SEEN = "UPDATE top_up SET bot_id = 7, create_time = now() - interval '1 day'"

PLANTED: dict[str, tuple[set[Rule], Sequence[str]]] = {
    "a hold that says more of it was lent than was": (
        {Rule.LENT},
        [f"UPDATE hold SET lent = 1 WHERE job_id = {_QUEUED}"],
    ),
    "a transfer that goes where its kind never goes": (
        {Rule.ROUTE},
        [_MOVE.format("'credit', 5, 'income', 'bot_owner', NULL, NULL, 'grant', 'x', 'me', ''")],
    ),
    "a transfer in another currency than its kind": (
        {Rule.ROUTE},
        [
            _MOVE.format(
                "'xtr', 5, 'provider', 'provider_cost', NULL, NULL, 'provider_cost', 'x', 'me', ''"
            )
        ],
    ),
    "a transfer of an owner without a wallet": (
        {Rule.OWNER},
        [_MOVE.format("'credit', 5, 'grants', 'granted', 'user:9', 5, 'grant', 'x', 'me', ''")],
    ),
    "a capture for no job": (
        {Rule.CAUSE, Rule.WALLET, Rule.HELD},
        [
            _MOVE.format(
                "'credit', 5, 'held', 'income', 'telegram:1', (SELECT granted + paid FROM wallet),"
                " 'capture', gen_random_uuid()::text, 'me', ''"
            ),
            "UPDATE wallet SET held = held - 4",
        ],
    ),
    "a top-up of somebody else": (
        {Rule.CAUSE, Rule.WALLET, Rule.BALANCE, Rule.OWNER},
        ["UPDATE transfer SET owner = 'user:2' WHERE kind = 'top_up'"],
    ),
    "a transfer that was removed": (
        {Rule.BALANCE, Rule.WALLET},
        ["DELETE FROM transfer WHERE kind = 'grant'"],
    ),
    "a transfer whose amount was changed": (
        {Rule.BALANCE, Rule.WALLET},
        ["UPDATE transfer SET amount = amount + 1 WHERE kind = 'grant'"],
    ),
    "credits that nobody gave": ({Rule.WALLET}, ["UPDATE wallet SET granted = granted + 1"]),
    "credits that were lost": ({Rule.WALLET}, ["UPDATE wallet SET paid = paid - 1"]),
    "a debt that nobody made": ({Rule.WALLET}, ["UPDATE wallet SET debt = 3"]),
    "something held for nothing": (
        {Rule.WALLET, Rule.HELD},
        ["UPDATE wallet SET held = held + 1, paid = paid - 1"],
    ),
    "a wallet below zero": (
        {Rule.WALLET, Rule.NEGATIVE},
        ["UPDATE wallet SET granted = -1"],
    ),
    "an open hold of a job that is over": (
        {Rule.OPEN},
        [f"UPDATE attempt SET state = 'lost', read_time = NULL WHERE job_id = {_CANCELLED}"],
    ),
    "a hold that ended before its job": (
        {Rule.OPEN, Rule.ENDED, Rule.HELD},
        [
            "UPDATE hold SET state = 'released', end_time = now() WHERE job_id = " + _QUEUED,
        ],
    ),
    "an open hold without a job": (
        {Rule.JOB},
        ["DELETE FROM job WHERE id = " + _QUEUED],
    ),
    "a hold that took another amount than was held": (
        {Rule.KEPT, Rule.QUOTE, Rule.ENDED},
        ["UPDATE hold SET paid = paid + 1 WHERE job_id = " + _RELEASED],
    ),
    "a capture that no transfer made": (
        {Rule.ENDED, Rule.BALANCE, Rule.WALLET},
        [f"DELETE FROM transfer WHERE cause = {_RELEASED}::text AND kind = 'release'"],
    ),
    "a hold of another price than was quoted": (
        {Rule.QUOTE},
        ["UPDATE job SET credits = credits + 1 WHERE id = " + _RELEASED],
    ),
    "a capture of more than was held": (
        {Rule.QUOTE, Rule.DELIVERED, Rule.CHARGED, Rule.ENDED},
        ["UPDATE hold SET captured = 99 WHERE job_id = " + _CAPTURED],
    ),
    "a capture of what is not stored": (
        {Rule.DELIVERED},
        [f"DELETE FROM media WHERE job_id = {_CAPTURED}"],
    ),
    "a capture of a job that failed": (
        {Rule.DELIVERED},
        [
            "UPDATE job SET state = 'failed', result = NULL, failure = '{}'"
            f" WHERE id = {_CAPTURED}"
        ],
    ),
    "a charge of another amount than was captured": (
        {Rule.CHARGED},
        ["UPDATE job SET charged_credits = 1 WHERE id = " + _CAPTURED],
    ),
    "a charge for which nothing was held": (
        {Rule.CHARGED, Rule.FREE},
        ["UPDATE job SET charged_credits = 1 WHERE id = " + _FREE_JOB],
    ),
    "a hold of a free job": (
        {Rule.FREE},
        ["UPDATE job SET is_free = true WHERE id = " + _RELEASED],
    ),
    "a transfer for a free job": (
        {Rule.FREE, Rule.CAUSE, Rule.HELD},
        [
            _MOVE.format(
                "'credit', 1, 'held', 'paid', 'telegram:1',"
                " (SELECT granted + paid + 1 FROM wallet),"
                f" 'release', {_FREE_JOB}::text, 'me', ''"
            ),
            "UPDATE wallet SET held = held - 1, paid = paid + 1",
        ],
    ),
    "a top-up that was not credited": (
        {Rule.TOP_UP, Rule.BALANCE, Rule.WALLET},
        ["DELETE FROM transfer WHERE kind = 'top_up'"],
    ),
    "a top-up that was credited twice": (
        {Rule.TOP_UP},
        ["UPDATE top_up SET credits = credits / 2"],
    ),
    "a refund that took nothing back": (
        {Rule.REFUND, Rule.STARS},
        ["UPDATE top_up SET state = 'refunded', refund_time = now()"],
    ),
    "a chargeback that took nothing back": (
        {Rule.REFUND, Rule.STARS},
        ["UPDATE top_up SET state = 'charged_back'"],
    ),
    "a refund of what is still credited": (
        {Rule.REFUND},
        [
            _MOVE.format(
                "'credit', 200, 'paid', 'exchange', 'telegram:1',"
                " (SELECT granted + paid - 200 FROM wallet), 'refund',"
                " (SELECT id::text FROM top_up), 'me', ''"
            ),
            "UPDATE wallet SET paid = paid - 200",
        ],
    ),
    "a top-up whose Stars were not booked": (
        {Rule.STARS},
        ["DELETE FROM transfer WHERE kind = 'stars_in'"],
    ),
    "an import that was removed": (
        {Rule.BALANCE, Rule.WALLET, Rule.IMPORT},
        ["DELETE FROM transfer WHERE kind = 'import'"],
    ),
    "an import of which no row is known": ({Rule.CAUSE}, ["DELETE FROM wallet_import"]),
    "an import of other credits than its row says": (
        {Rule.IMPORT},
        ["UPDATE wallet_import SET credits = credits + 1"],
    ),
    "an import that is noted as undone and was not": (
        {Rule.IMPORT},
        ["UPDATE wallet_import SET state = 'undone', undo_time = now()"],
    ),
    "an import that went to somebody else": (
        {Rule.IMPORT},
        ["UPDATE wallet_import SET owner = 'telegram:9'"],
    ),
    "a gap between receipts": ({Rule.RECEIPT}, ["UPDATE receipt SET number = 3"]),
    "a receipt for nothing": (
        {Rule.RECEIPT_CAUSE},
        ["UPDATE receipt SET cause = gen_random_uuid()"],
    ),
    "a receipt for a refund that was never made": (
        {Rule.RECEIPT_CAUSE},
        ["UPDATE receipt SET kind = 'refund'"],
    ),
    "Stars that were not booked": (
        {Rule.STAR},
        [_STAR.format("'unknown', 'in', 100", "now()")],
    ),
    "Stars of another amount than was booked": (
        {Rule.STAR},
        [_SEEN, _STAR.format("(SELECT external_id FROM top_up), 'in', 77", "now()")],
    ),
    "Stars that went back for a top-up that is still credited": (
        {Rule.STAR},
        [_SEEN, _STAR.format("(SELECT external_id FROM top_up), 'out', 100", "now()")],
    ),
    "a withdrawal that was noted as booked and was not": (
        {Rule.STAR},
        [_STRANGE.format("'w', 'out', 500, 0, 'fragment', now(), 'booked'")],
    ),
    "Stars of a stranger of which a part was booked": (
        {Rule.STAR},
        [
            _STRANGE.format("'s', 'in', 5, 500000000, 'other', now(), 'suspense'"),
            _MOVE.format(
                "'xtr', 5, 'telegram', 'suspense', NULL, NULL, 'stars_in', 'star/7/in/s', 'me', ''"
            ),
        ],
    ),
    "a top-up that Telegram does not know": (
        {Rule.STAR_SEEN, Rule.STAR},
        [_SEEN, _STAR.format("'later', 'in', 100", "now()")],
    ),
}


async def test_what_an_affiliate_got_is_a_part_of_what_was_paid(harness: Harness) -> None:
    star = _STAR.format("(SELECT external_id FROM top_up), 'in', 90", "now()").replace(
        "'{}'", """'{"source": {"affiliate": {"amount": 9, "nanostar_amount": 1000000000}}}'"""
    )
    await without_guards(harness, _SEEN, star)
    assert await broken(harness) == set()


@pytest.mark.parametrize(("rules", "statements"), PLANTED.values(), ids=PLANTED)
async def test_what_was_planted_is_named(
    harness: Harness, rules: set[Rule], statements: Sequence[str]
) -> None:
    await without_guards(harness, *statements)
    assert await broken(harness) == set(rules)


def test_every_rule_is_planted() -> None:
    assert set().union(*(rules for rules, _ in PLANTED.values())) == set(Rule)


async def test_what_is_older_than_jobs_are_kept_is_not_missed(harness: Harness) -> None:
    await harness.query("UPDATE hold SET create_time = now() - interval '3 days'")
    await without_guards(harness, f"DELETE FROM job WHERE id = {_CAPTURED}")
    assert await broken(harness) == set()


async def test_a_difference_says_what_is_there_and_what_should_be(harness: Harness) -> None:
    await harness.query("UPDATE wallet SET granted = 1000")
    (found,) = (await report(harness)).differences
    assert (found.rule, found.subject) == ("wallet_is_sum_of_transfers", OWNER)
    assert found.problem.startswith("granted is 1000 and its transfers make ")


async def test_the_check_waits_for_nobody_and_keeps_nobody_waiting(harness: Harness) -> None:
    async with harness.connection.transaction():
        await harness.query("SELECT FROM wallet, hold, transfer, job FOR UPDATE")
        found = await asyncio.wait_for(report(harness), timeout=10)
    assert found.differences == ()


async def test_once_an_hour_one_replica_checks_and_all_show_it(
    harness: Harness, open_bench: OpenBench
) -> None:
    other = await open_bench(money=MoneyMode.TEST, sharing=harness)
    await harness.query("UPDATE wallet SET granted = granted + 1")
    await check_hourly(harness.deps)
    await harness.query("UPDATE wallet SET granted = granted - 1")
    await check_hourly(other.deps)
    shown = [
        each.registry.get_sample_value("atelier_ledger_differences") for each in (harness, other)
    ]
    assert shown == [1, 1]

    await harness.later(hours=1)
    await asyncio.gather(check_hourly(harness.deps), check_hourly(other.deps))
    await check_hourly(harness.deps)
    await check_hourly(other.deps)
    shown = [
        each.registry.get_sample_value("atelier_ledger_differences") for each in (harness, other)
    ]
    assert shown == [0, 0]


async def test_where_nothing_is_sold_nothing_is_checked(open_bench: OpenBench) -> None:
    harness = await open_bench()
    assert await check_hourly(harness.deps) is False
    assert await harness.query("SELECT * FROM money_cursor") == []


@pytest.mark.parametrize("is_broken", [False, True])
async def test_the_command_names_each_difference_and_fails(
    harness: Harness, database_url: str, is_broken: bool, tmp_path: object
) -> None:
    if is_broken:
        await harness.query("UPDATE wallet SET granted = granted + 1")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "generation_svc.check_ledger",
        env={"DATABASE_URL": database_url, "DATA_FOLDER": str(tmp_path), "PATH": ""},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await asyncio.wait_for(process.communicate(), timeout=60)
    assert process.returncode == int(is_broken), errors.decode()
    named = out.decode().splitlines()
    assert named[-1].startswith(f"{int(is_broken)} differences in ")
    assert [line.split(":")[0] for line in named[:-1]] == [Rule.WALLET] * is_broken


async def test_a_check_of_much_leaves_half_of_the_time_to_others(harness: Harness) -> None:
    rests: list[float] = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    report = await check_ledger(harness.deps.database, rest=rest)
    assert rests == []
    assert await check_ledger(harness.deps.database, piece=1, rest=rest) == report
    assert len(rests) == sum(report.counts.values())
    assert all(each > 0 for each in rests)


async def test_the_command_ends_otherwise_if_it_could_not_check(
    database_url: str, tmp_path: object
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "generation_svc.check_ledger",
        env={
            "DATABASE_URL": f"{database_url.rpartition('/')[0]}/none",
            "DATA_FOLDER": str(tmp_path),
            "PATH": "",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await asyncio.wait_for(process.communicate(), timeout=60)
    assert (process.returncode, out) == (NOT_CHECKED, b"")
    assert errors.decode().startswith("The ledger was not checked: ")
