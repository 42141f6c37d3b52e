"""`CheckLedger`, over the wire."""

from pathlib import Path

import psycopg
import pytest

from atelier.wallet.v1 import wallet_service_pb2 as pb
from generation_client import connect, translated
from tests.contract.service import serving


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
