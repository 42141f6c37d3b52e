"""Models that leave the catalog, go off sale or change their price under paid jobs."""

from __future__ import annotations

import asyncio
import json

from atelier.generation.v1 import catalog_service_pb2 as pb
from atelier.generation.v1.job_pb2 import Job
from generation_client import GenerationError, translated
from tests.e2e.buyer import (
    HAS,
    IMAGEN,
    PRICE,
    buy,
    check_ledger,
    give,
    has,
    moved,
    replicas,
)
from tests.e2e.program import until
from tests.e2e.stack import Shape, Stack

SHAPE = Shape(
    replicas=2,
    edges=0,
    time_scale=0.2,
    service={"MONEY": "test", "KIE_CREATE_LIMIT": "1000", "OWNER_MAX_ACTIVE_JOBS": "1000"},
    sandbox={"SANDBOX_KIE_DURATION_S": "0.3", "SANDBOX_KIE_CREATE_LIMIT": "10000"},
)
DEARER, OFF, GONE = "acme/dearer", "acme/off", "acme/gone"
REFUSALS = {DEARER: "PRICE_CHANGED", OFF: "MODEL_NOT_FOUND", GONE: "MODEL_NOT_FOUND"}
"""Models that are imported, and what is told to whom wants one that has changed."""
QUEUED, FAILS, RUNS = "waits in the queue", "fails in the end", "is under way"


async def test_jobs_keep_their_quotes_whatever_becomes_of_their_models(running: Stack) -> None:
    document = await _document(running)
    await _import(running, [{**document, "id": model} for model in REFUSALS])
    for model in REFUSALS:
        await give(running, model)
    await running.kie.fault("create_429", match=QUEUED)
    await running.kie.fault("generation_failed", match=FAILS)
    async with running.history.holding("attempt", event="UPDATE", when="NEW.state = 'succeeded'"):
        jobs = [await _order(running, model, RUNS) for model in REFUSALS]
        await running.history.caught(count=len(jobs))
        jobs += [await _order(running, model, QUEUED) for model in REFUSALS]
        failing = [await _order(running, each, f"{QUEUED}, {FAILS}") for each in REFUSALS]
        await _change(running, document)
        assert {await has(running, model) for model in REFUSALS} == {(HAS - 3 * PRICE, 3 * PRICE)}
    await running.kie.heal("create_429")

    ends = await asyncio.gather(*(running.history.settled(each.id) for each in jobs + failing))
    charged = [(row["state"], row["charged_credits"], row["credits"]) for row in ends]
    assert charged[: len(jobs)] == [("succeeded", PRICE, PRICE)] * len(jobs)
    assert charged[len(jobs) :] == [("failed", 0, PRICE)] * len(failing)
    for model in REFUSALS:
        kinds = sorted(kind for kind, _ in await moved(running, model))
        assert kinds == ["capture", "capture", "grant", "hold", "hold", "hold", "release"]
        assert await has(running, model) == (HAS - 2 * PRICE, 0)
    await check_ledger(running)


async def _document(running: Stack) -> dict[str, object]:
    request = pb.GetModelDocumentRequest(model_id=IMAGEN)
    found = await running.client.catalog.GetModelDocument(request)
    document: dict[str, object] = json.loads(found.document_json)
    return {name: value for name, value in document.items() if name not in ("family", "tier")}


async def _import(running: Stack, documents: list[dict[str, object]]) -> None:
    request = pb.ImportCatalogRequest(document_json=[json.dumps(each) for each in documents])
    with translated():
        assert (await running.client.catalog.ImportCatalog(request)).is_applied
    await _everywhere(running, dict.fromkeys(REFUSALS, "INSUFFICIENT_CREDITS"))


async def _order(running: Stack, model: str, prompt: str) -> Job:
    """Have the owner who is called as the model order it."""
    return await buy(running, f"{model} {prompt}", owner=model, model_id=model)


async def _change(running: Stack, document: dict[str, object]) -> None:
    """Make one model dearer, switch one off and forget one; every replica has heard of it."""
    catalog = running.client.catalog
    offers = json.loads(json.dumps(document["offers"]).replace('"credits": "8"', '"credits": "16"'))
    assert offers != document["offers"]
    patch = json.dumps({"offers": offers})
    with translated():
        await catalog.SetModelOverride(
            pb.SetModelOverrideRequest(model_id=DEARER, patch_json=patch)
        )
        await catalog.SwitchModel(pb.SwitchModelRequest(model_id=OFF, is_off=True))
        await catalog.ImportCatalog(pb.ImportCatalogRequest(dropped_model_ids=[GONE]))
    await _everywhere(running, REFUSALS)


async def _everywhere(running: Stack, refusals: dict[str, str]) -> None:
    """Wait until every replica refuses an order of somebody without credits for these reasons."""

    async def is_known() -> bool:
        found = [await _refusal(each, model) for each in there for model in refusals]
        return found == list(refusals.values()) * len(there)

    async with replicas(running) as there:
        await until(is_known, within_s=20, what=f"{refusals} at every replica")


async def _refusal(there: Stack, model: str) -> str | None:
    try:
        await buy(there, "for nothing", owner="nobody", model_id=model)
    except GenerationError as error:
        return error.reason
    return None
