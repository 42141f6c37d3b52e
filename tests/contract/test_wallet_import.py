"""Balances of an earlier bot over the wire, and the command that an operator runs."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from generation_client import GenerationClient, connect
from generation_svc.lifecycle.ledger_audit import check_ledger
from tests.contract.service import Service, serving
from tests.contract.test_wallet_operator import TEST_MONEY, call, create, fields_of, refusal

BATCH = "0198c0de-0000-7000-8000-000000000001"
WHY = {"reason": "a move"}
MANY = 10_000


@pytest.fixture
async def service(database_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    async with serving(database_url, tmp_path, more_settings=TEST_MONEY) as service:
        yield service


@pytest.fixture
async def client(service: Service) -> AsyncIterator[GenerationClient]:
    async with connect(service.address) as client:
        yield client


def row(user_id: str = "7", amount: str = "10", **more: str) -> dict[str, str]:
    return {"source": "old", "user_id": user_id, "amount": amount, "currency": "RUB", **more}


async def bring(client: GenerationClient, *rows: dict[str, str], **more: Any) -> Any:
    """Import balances, and apply that."""
    fields = {"batch_id": BATCH, "rate": "1", "apply": True, **WHY, **more}
    return await call(client, "ImportBalances", balances=rows, **fields)


async def undo(client: GenerationClient, batch_id: str = BATCH) -> tuple[int, int]:
    answer = await call(client, "UndoImport", batch_id=batch_id, **WHY)
    return answer.undone_count, answer.spent_count


async def balance(client: GenerationClient, owner: str = "telegram:7") -> int:
    return int((await call(client, "GetBalance", owner=owner)).wallet.balance)


async def assert_ledger_agrees(service: Service) -> None:
    assert (await check_ledger(service.deps.database)).differences == ()


def problems(answer: Any) -> dict[int, str]:
    return {each.index: each.problem for each in answer.rejects}


async def test_a_balance_is_told_first_and_imported_once(
    service: Service, client: GenerationClient
) -> None:
    told = await bring(client, row(amount="10.99"), rate="2", apply=False)
    assert (told.imported_count, told.imported_credits) == (1, 21)
    assert await balance(client) == 0
    for count, repeated in ((1, 0), (0, 1)):
        made = await bring(client, row(amount="10.99"), rate="2")
        assert (made.imported_count, made.repeated_count) == (count, repeated)
    assert await balance(client) == 21
    (moved,) = await service.deps.database.read(
        lambda tx: tx.ledger.transfers("telegram:7", limit=9)
    )
    assert (moved.source, moved.target, moved.cause) == ("opening", "granted", "old/7")
    assert (moved.kind, moved.actor, moved.reason) == ("import", "local", "a move")
    await assert_ledger_agrees(service)


async def test_what_is_wrong_with_a_row_is_said_and_the_others_are_imported(
    client: GenerationClient,
) -> None:
    wrong = {
        "-5": "The amount is below zero: -5.",
        "1e9": "The amount must be digits with at most one point, such as 12.50, not 1e9.",
        "NaN": "The amount must be digits with at most one point, such as 12.50, not NaN.",
        "٣": "The amount must be digits with at most one point, such as 12.50, not ٣.",
        "1,5": "The amount must be digits with at most one point, such as 12.50, not 1,5.",
        "0.99": "It is worth less than 1 credit.",
        "1000000001": "It is worth more than 1000000000 credits.",
    }
    rows = [row(str(number), amount) for number, amount in enumerate(wrong, start=1)]
    others = {
        "The rate is for RUB, and this is USD.": row("21", currency="USD"),
        "The user_id is no number of a user at Telegram, and no owner is named.": row("anna"),
        "A source and a user_id must not contain '/'.": row("2/3", owner="user:1"),
        "The same user of this source is there twice.": row("30"),
    }
    answer = await bring(client, row("30"), *rows, *others.values(), row("anna2", owner="web:anna"))
    assert list(problems(answer).values()) == [*wrong.values(), *others]
    assert list(problems(answer)) == list(range(1, 1 + len(wrong) + len(others)))
    assert answer.imported_count == 2
    assert await balance(client, "web:anna") == 10


async def test_a_balance_of_another_amount_is_not_imported_beside_the_first(
    client: GenerationClient,
) -> None:
    await bring(client, row(amount="10"))
    again = await bring(client, row(amount="11"), batch_id=str(uuid4()))
    assert problems(again) == {0: "10 credits were imported for telegram:7 before."}
    other = await bring(client, row(amount="10", owner="telegram:8"))
    assert other.imported_count == 0
    assert await balance(client) == 10


async def test_a_batch_is_undone_while_it_is_unspent_and_comes_again_with_another(
    service: Service, client: GenerationClient
) -> None:
    await bring(client, row(), row("8", "30"))
    await create(client)  # 8 of the 10 credits of telegram:7
    assert await undo(client) == (1, 1)
    assert await undo(client) == (0, 1)
    assert [await balance(client, f"telegram:{user}") for user in (7, 8)] == [2, 0]

    late = await bring(client, row("8", "30"))
    assert problems(late) == {
        0: "It was undone with this batch; only another batch imports it again."
    }
    for number in range(2, 10):
        batch = str(uuid4())
        made = await bring(client, row("8", "40", owner=f"web:{number}"), batch_id=batch)
        assert made.imported_count == 1
        assert await balance(client, f"web:{number}") == 40
        await assert_ledger_agrees(service)
        assert await undo(client, batch) == (1, 0)
    last = await bring(client, row("8"), batch_id=str(uuid4()))
    assert problems(last) == {0: "It was imported and undone 9 times: grant the credits instead."}
    await assert_ledger_agrees(service)


async def test_two_balances_of_one_owner_are_taken_back_as_far_as_they_are_there(
    service: Service, client: GenerationClient
) -> None:
    await bring(client, row("1", "6", owner="web:1"), row("2", "6", owner="web:1"))
    await call(client, "GrantCredits", request_id="g", owner="web:1", credits=-4, reason="less")
    assert await undo(client) == (1, 1)
    assert await balance(client, "web:1") == 2
    await assert_ledger_agrees(service)


async def test_imports_at_once_give_each_balance_once(
    service: Service, client: GenerationClient
) -> None:
    rows = [row(str(number)) for number in range(1, 501)]
    both = await asyncio.gather(bring(client, *rows), bring(client, *reversed(rows)))
    assert sum(each.imported_count for each in both) == 500
    assert sum(each.repeated_count for each in both) == 500
    await assert_ledger_agrees(service)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"batch_id": "seven"}, "batch_id"),
        ({"batch_id": ""}, "batch_id"),
        ({"rate": "0"}, "rate"),
        ({"rate": "-1"}, "rate"),
        ({"rate": "1e3"}, "rate"),
        ({"rate": "Infinity"}, "rate"),
        ({"reason": ""}, "reason"),
        ({"balances": []}, "balances"),
        ({"balances": [row(str(number)) for number in range(1, MANY + 2)]}, "balances"),
    ],
)
async def test_a_request_that_is_none_is_refused(
    client: GenerationClient, fields: dict[str, Any], field: str
) -> None:
    whole = {"batch_id": BATCH, "balances": [row()], "rate": "1", **WHY, **fields}
    error = await refusal(client, "ImportBalances", **whole)
    assert (error.reason, fields_of(error)) == ("INVALID_INPUTS", [field])


def written(path: Path, lines: Iterable[str], *, header: bool = True) -> Path:
    names = ["source,user_id,amount,currency"] if header else []
    path.write_text("\n".join([*names, *lines]) + "\n", encoding="utf-8")
    return path


async def start(service: Service, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "generation_svc.wallet", *arguments),
        env={**os.environ, "GENERATION_ADDRESS": service.address},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def command(service: Service, *arguments: str) -> tuple[int | None, list[str], str]:
    """Run the command against a service until it ends."""
    process = await start(service, *arguments)
    out, errors = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, out.decode().splitlines(), errors.decode()


async def imported_rows(service: Service) -> int:
    """Return how many balances have credits, as the ledger says."""
    report = await check_ledger(service.deps.database)
    assert report.differences == ()
    assert report.counts["import"] == report.counts["transfer"] == report.counts["wallet"]
    return report.counts["import"]


async def test_the_command_tells_and_imports_and_undoes(service: Service, tmp_path: Path) -> None:
    path = str(written(tmp_path / "b.csv", ["old,7,1.5,RUB", "old,8,x,RUB", "", "old,7,1,RUB"]))
    code, out, _ = await command(service, "import", path, "--rate", "2")
    told = [
        "line 3: The amount must be digits with at most one point, such as 12.50, not x.",
        "line 5: The same user of this source is in line 2.",
        "1 rows would be imported: 3 credits.",
        "0 rows were imported before.",
        "2 rows are rejected.",
        "Nothing was changed: --apply imports what is good.",
    ]
    assert (code, out) == (1, told)
    assert await imported_rows(service) == 0
    code, out, _ = await command(service, "import", path, "--rate", "2", "--apply")
    assert (code, out[2]) == (1, "1 rows were imported: 3 credits.")
    assert await imported_rows(service) == 1
    batch = out[-1].split()[-1]
    assert out[-1] == f"Undo it with: python -m generation_svc.wallet undo {batch}"
    assert await command(service, "undo", batch) == (0, ["1 rows were undone."], "")


async def test_a_command_that_cannot_be_done_ends_with_a_sentence(
    service: Service, tmp_path: Path
) -> None:
    missing = str(tmp_path / "none.csv")
    code, _, errors = await command(service, "import", missing)
    assert (code, errors) == (1, f"Nothing was imported: {missing}: No such file or directory\n")
    path = str(written(tmp_path / "b.csv", ["old,7,1,RUB"]))
    code, _, errors = await command(service, "import", path, "--rate", "much", "--apply")
    assert code == 1
    assert errors.startswith("It was not finished: ")
    assert "rate" in errors
    assert "Traceback" not in errors


async def number(service: Service, what: str) -> int:
    async with service.database.pool.connection() as connection:
        found = await (await connection.execute(what)).fetchone()
    assert found is not None
    return int(next(iter(found.values())))


async def test_ten_thousand_rows_twice_and_killed_midway(service: Service, tmp_path: Path) -> None:
    lines = [f"old,{number},{number % 90 + 1},RUB" for number in range(1, MANY + 1)]
    path = str(written(tmp_path / "many.csv", lines))

    process = await start(service, "import", path, "--apply")
    await reached(service, 1000)
    process.kill()
    await process.communicate()
    assert process.returncode == -9

    code, (made, repeated, rejected, last), errors = await command(
        service, "import", path, "--apply"
    )
    assert (code, rejected, errors) == (0, "0 rows are rejected.", "")
    new, known = (int(line.split()[0]) for line in (made, repeated))
    assert new + known == MANY
    assert 1000 <= known < MANY
    _, again, _ = await command(service, "import", path, "--apply")
    assert again[:2] == ["0 rows were imported: 0 credits.", f"{MANY} rows were imported before."]
    assert await imported_rows(service) == MANY
    total = sum(number % 90 + 1 for number in range(1, MANY + 1))
    assert await number(service, "SELECT sum(granted)::bigint FROM wallet") == total

    undone = await command(service, "undo", last.split()[-1])
    assert undone == (0, [f"{MANY} rows were undone."], "")
    assert await number(service, "SELECT sum(granted)::bigint FROM wallet") == 0
    await assert_ledger_agrees(service)


async def reached(service: Service, rows: int) -> None:
    """Wait until so many balances are imported."""
    deadline = time.monotonic() + 20
    while await number(service, "SELECT count(*) FROM wallet_import") < rows:
        assert time.monotonic() < deadline
