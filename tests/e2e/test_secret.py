"""Secrets stay in the process that needs them, whatever happens and however much is logged."""

from __future__ import annotations

from collections.abc import Awaitable

import pytest

from atelier.generation.v1 import callback_service_pb2 as callback_pb
from atelier.generation.v1 import delivery_service_pb2 as delivery_pb
from atelier.generation.v1 import generation_service_pb2 as pb
from generation_client import GenerationError, translated
from tests.e2e.person import photo
from tests.e2e.program import client
from tests.e2e.secret import callback_tokens, leaks_of, secrets_of
from tests.e2e.stack import BOT_TOKEN, KIE_KEY, Shape, Stack

SHAPE = Shape(time_scale=0.03, log_level="debug")


async def test_no_secret_leaves_its_process(running: Stack) -> None:
    await _much_happens(running)
    assert await leaks_of(running) == []


async def test_no_error_holds_a_secret(running: Stack) -> None:
    await running.kie.fault("create_refused", match="rude", message=f"key {KIE_KEY} is wrong")
    job = await running.create("rude")
    settled = await running.history.settled(job.id)
    shown = (await running.client.generation.GetJob(pb.GetJobRequest(job_id=job.id))).job
    texts = [str(settled), str(shown), *[str(error) for error in await _errors(running)]]
    secrets = secrets_of(callback_tokens(await running.kie.requests()))
    assert [name for text in texts for secret, name in secrets.items() if secret in text] == []


async def _much_happens(running: Stack) -> None:
    """A picture, a changed photo, KIE in doubt, a refusal, a lost answer, a killed edge."""
    person = await running.telegram.person()
    await person.sends_photo(photo(), caption="make it night")
    await person.presses("✨ Generate")
    await person.gets_picture()
    await running.kie.fault("create_cut", match="in doubt", remaining=1)
    await running.kie.fault("callback_malformed", match="in doubt", remaining=1)
    await running.kie.fault("read_5xx", match="in doubt", remaining=2)
    await running.telegram.fault("server_error", method="sendPhoto", times=1)
    await person.asks_for("in doubt")
    await running.history.settled(await running.history.job_of("in doubt"), within_s=60)
    await running.telegram.fault("token_revoked", times=1)
    await running.kie.fault("unauthorized", match="refused", remaining=1)
    await running.kie.fault("generation_failed", match="refused", message=f"{KIE_KEY} {BOT_TOKEN}")
    await running.history.settled((await running.create("refused")).id, within_s=60)
    await _knock(running)
    running.edge.kill()
    await running.edge.restart()


async def _knock(running: Stack) -> None:
    """Come to the gateway with a real token in odd places."""
    token = next(iter(callback_tokens(await running.kie.requests())))
    async with client(running.gateway_url) as http:
        for method in ("GET", "POST", "PUT"):
            await http.request(method, f"/callbacks/kie/{token}?token={token}", content=b"{")
            await http.request(method, f"/callbacks//kie/{token}/", headers={"x-token": token})


async def _errors(running: Stack) -> list[GenerationError]:
    """Provoke what the services refuse."""
    generation = running.client.generation
    stale = delivery_pb.BeginDeliveryRequest(lease_token="stale")
    long = callback_pb.ReportCallbackRequest(path_token="x" * 500)
    calls: list[Awaitable[object]] = [
        generation.GetJob(pb.GetJobRequest(job_id="nothing")),
        generation.CreateJob(pb.CreateJobRequest(model_id="z-imag")),
        generation.CreateJob(pb.CreateJobRequest(model_id="z-image")),
        running.client.delivery.BeginDelivery(stale),
        running.client.callback.ReportCallback(long),
    ]
    return [await _error(call) for call in calls]


async def _error(call: Awaitable[object]) -> GenerationError:
    with pytest.raises(GenerationError) as caught, translated():
        await call
    return caught.value
