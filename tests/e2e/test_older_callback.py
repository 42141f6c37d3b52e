"""A callback of a paid job that a replica of an earlier release takes ends the job here."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from tests.e2e import older
from tests.e2e.buyer import HAS, IMAGEN, PRICE, buy, check_ledger, give, has, holds
from tests.e2e.program import until
from tests.e2e.stack import Stack
from tests.e2e.test_older import SHAPE as WITHOUT_CALLBACKS
from tests.port import free_address

OLDER = free_address()


def _to_older(link: str, *addresses: str) -> str:
    """Have the gateway report to the earlier release."""
    return OLDER if link == "gateway-service" else addresses[0]


_SERVICE = {
    name: value for name, value in WITHOUT_CALLBACKS.service.items() if name != "CALLBACK_BASE_URL"
}
SHAPE = replace(WITHOUT_CALLBACKS, gateways=1, proxy=_to_older, service=_SERVICE)
REPLAYED_S = 60
"""A callback that could not be applied is, after half a minute."""


async def test_a_callback_told_to_an_earlier_release_ends_its_paid_job(
    running: Stack, tmp_path: Path
) -> None:
    owner = "told elsewhere"
    await give(running, owner)
    await running.kie.configure(model_duration_s={IMAGEN: 6})
    await running.kie.fault("generation_failed", match="in vain")
    async with older.started(running, older.older(running, tmp_path, listen=OLDER)):
        paid = [await buy(running, each, owner=owner) for each in ("a fox", "in vain")]
        await older.are_all(running, paid, "accepted")
        running.service.kill()
        await until(lambda: _are_told(running, len(paid)), within_s=30, what="two callbacks")
        assert [await holds(running, each) for each in paid] == [[("open", 0)]] * len(paid)
        running.service.start()
        await running.service.ready()
        await older.end_of(running, paid)
        await until(lambda: _are_applied(running), within_s=REPLAYED_S, what="their replay")
    assert [await holds(running, each) for each in paid] == [
        [("captured", PRICE)],
        [("released", 0)],
    ]
    assert await has(running, owner) == (HAS - PRICE, 0)
    await check_ledger(running)
    metric = partial(running.gateway.metric, "atelier_gateway_responses_total", route="callback")
    assert await metric(status="200") == await metric() >= len(paid)


async def _are_told(running: Stack, count: int) -> bool:
    return len(await running.history.rows("SELECT id FROM callback_receipt")) == count


async def _are_applied(running: Stack) -> bool:
    rows = await running.history.rows("SELECT id FROM callback_receipt WHERE apply_time IS NULL")
    return not rows
