"""`CheckLedger`, over the wire."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from atelier.wallet.v1 import wallet_service_pb2 as pb
from generation_client import connect, translated
from generation_svc.rpc.deadline import limiting
from tests.contract.failure import refused
from tests.contract.service import serving

SHORT = timedelta(milliseconds=300)


async def checked(address: str) -> pb.CheckLedgerResponse:
    async with connect(address) as client:
        with translated():
            return await client.wallet.CheckLedger(pb.CheckLedgerRequest())


@pytest.mark.parametrize("is_broken", [False, True])
async def test_an_operator_is_told_each_difference(
    database_url: str, tmp_path: Path, is_broken: bool
) -> None:
    async with serving(database_url, tmp_path, more_settings={"money": "test"}) as service:
        grant = pb.GrantCreditsRequest(request_id="g", owner="user:1", credits=5, reason="a gift")
        async with connect(service.address) as client:
            await client.wallet.GrantCredits(grant)
        if is_broken:
            with psycopg.connect(database_url) as connection:
                connection.execute("UPDATE wallet SET granted = 6")
        found = await checked(service.address)
    assert (found.transfer_count, found.wallet_count) == (1, 1)
    assert [(each.rule, each.subject) for each in found.differences] == [
        ("wallet_is_sum_of_transfers", "user:1")
    ] * is_broken


async def test_a_check_may_take_longer_than_other_calls(database_url: str, tmp_path: Path) -> None:
    around = (limiting(ordinary=SHORT),)
    served = serving(database_url, tmp_path, more_settings={"money": "test"}, around=around)
    async with served as service, held(database_url) as release:
        asked = asyncio.create_task(checked(service.address))
        async with connect(service.address) as client:
            late = client.wallet.ListTransfers(pb.ListTransfersRequest(owner="user:1"))
            assert (await refused(late)).reason == "CALL_TOO_LONG"
        await release()
        assert not (await asked).differences


async def test_one_check_runs_at_a_time(database_url: str, tmp_path: Path) -> None:
    served = serving(database_url, tmp_path, more_settings={"money": "test"})
    async with served as service, held(database_url) as release:
        asked = [asyncio.create_task(checked(service.address)) for _ in range(5)]
        async with connect(service.address) as client:
            while True:  # as long as a check takes to get as far as the lock
                answer = await client.wallet.GetBalance(pb.GetBalanceRequest(owner="user:1"))
                assert not answer.wallet.balance
                if waiting := await at_the_lock(database_url):
                    break
        assert waiting == 1
        await release()
        assert [each.differences == [] for each in await asyncio.gather(*asked)] == [True] * 5


@asynccontextmanager
async def held(database_url: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Keep everybody from the transfers until that is released."""
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute("LOCK TABLE transfer IN ACCESS EXCLUSIVE MODE")
        yield connection.commit


async def at_the_lock(database_url: str) -> int:
    """Return how many statements wait for the transfers."""
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        cursor = await connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND datname = current_database()"
        )
        (count,) = await cursor.fetchone() or (0,)
        return int(count)
