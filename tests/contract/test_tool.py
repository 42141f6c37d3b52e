"""The contract through grpcurl and buf curl: a job from words to bytes, and every refusal."""

import base64
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.job_pb2 import JOB_STATE_QUEUED, JOB_STATE_SUCCEEDED
from atelier.generation.v1.model_pb2 import MODEL_PURPOSE_IMAGE_EDIT
from generation_svc.rpc.error_table import DOMAIN
from tests.contract.service import Service, serving
from tests.contract.tool import GENERATION, BufCurl, Grpcurl, Json, Tool, run

TOOLS = [pytest.param(Grpcurl(), id="grpcurl"), pytest.param(BufCurl(), id="buf")]
NOBODY = "0198c0de-0000-7000-8000-000000000000"
WEBHOOK = "atelier.generation.v1.WebhookService"
WALLET = "atelier.wallet.v1.WalletService"
PROMPT = {"prompt": "a lighthouse in a storm"}


@dataclass(frozen=True)
class Case:
    method: str
    request: Json
    code: grpc.StatusCode
    reason: str
    fields: set[str] = field(default_factory=set)
    metadata: dict[str, str] = field(default_factory=dict)


def invalid(method: str, request: Json, *fields: str) -> Case:
    return Case(method, request, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUTS", set(fields))


def create(**fields: Any) -> Json:
    return {"model_id": "z-image", "inputs": PROMPT, **fields}


REFUSALS = {
    "missing prompt": invalid("CreateJob", create(inputs={}), "inputs.prompt"),
    "aspect ratio that is not offered": invalid(
        "CreateJob", create(inputs={**PROMPT, "aspect_ratio": "7:5"}), "inputs.aspect_ratio"
    ),
    "misspelt field": invalid(
        "CreateJob", create(inputs={"promt": "x"}), "inputs.prompt", "inputs.promt"
    ),
    "setting that KIE does not have": invalid(
        "CreateJob", create(inputs={**PROMPT, "guidance_scale": 3}), "inputs.guidance_scale"
    ),
    "no model": invalid("CreateJob", create(model_id=""), "model_id"),
    "too long request_id": invalid("CreateJob", create(request_id="x" * 129), "request_id"),
    "two fields at once": invalid(
        "CreateJob", create(owner="x" * 129, queue={"queue": "Loud!"}), "owner", "queue.queue"
    ),
    "unknown model": Case(
        "CreateJob",
        create(model_id="z-imgae"),
        grpc.StatusCode.NOT_FOUND,
        "MODEL_NOT_FOUND",
        metadata={"model_id": "z-imgae", "nearest": "z-image"},
    ),
    "webhook": Case(
        "CreateJob",
        create(webhook={"url": "https://example.org/hook"}),
        grpc.StatusCode.FAILED_PRECONDITION,
        "WEBHOOK_SECRET_MISSING",
    ),
    "unknown job": Case(
        "GetJob",
        {"job_id": NOBODY},
        grpc.StatusCode.NOT_FOUND,
        "JOB_NOT_FOUND",
        metadata={"job_id": NOBODY},
    ),
    "malformed job id": Case(
        "WaitJob", {"job_id": "seven"}, grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND"
    ),
    "unknown job in a stream": Case(
        "StreamJobUpdates", {"job_id": NOBODY}, grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND"
    ),
    "no job id": invalid("CancelJob", {}, "job_id"),
    "wait beyond a minute": invalid("WaitJob", {"job_id": NOBODY, "timeout": "61s"}, "timeout"),
    "bad page token": Case(
        "ListJobs", {"page_token": "?"}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN"
    ),
    "page token of a release before tokens were sealed": Case(
        "ListJobs", {"page_token": NOBODY}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN"
    ),
    "made-up page token": Case(
        "ListModels",
        {"page_token": "z-image"},
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_PAGE_TOKEN",
    ),
    "filter that cannot be read": invalid("ListJobs", {"filter": "state > 1"}, "filter"),
    "page of less than nothing": invalid("ListJobs", {"page_size": -1}, "page_size"),
    "models of less than nothing": invalid("ListModels", {"page_size": -1}, "page_size"),
    "test of an address nobody reaches": invalid(
        f"{WEBHOOK}/TestWebhook", {"url": "https://127.1/"}, "url"
    ),
    "test without a key to sign with": Case(
        f"{WEBHOOK}/TestWebhook",
        {"url": "https://example.org/hook"},
        grpc.StatusCode.FAILED_PRECONDITION,
        "WEBHOOK_SECRET_MISSING",
    ),
    "no address to enable": invalid(f"{WEBHOOK}/EnableWebhook", {}, "url"),
    "unknown address to enable": Case(
        f"{WEBHOOK}/EnableWebhook",
        {"url": "https://example.org/hook"},
        grpc.StatusCode.NOT_FOUND,
        "WEBHOOK_NOT_FOUND",
        metadata={"url": "https://example.org/hook"},
    ),
    "made-up token of webhooks": Case(
        f"{WEBHOOK}/ListWebhooks",
        {"page_token": "AAAA"},
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_PAGE_TOKEN",
    ),
    "unknown state of webhooks": invalid(f"{WEBHOOK}/ListWebhooks", {"state": 99}, "state"),
    "webhook at a port of no server": invalid(
        "CreateJob", create(webhook={"url": "https://example.org:0/hook"}), "webhook.url"
    ),
    "webhook at an address in short": invalid(
        "CreateJob", create(webhook={"url": "https://127.1/hook"}), "webhook.url"
    ),
    "webhook with a space": invalid(
        "CreateJob", create(webhook={"url": "https://example.org/a b"}), "webhook.url"
    ),
    "quote without a prompt": invalid(
        "QuoteJob", {"model_id": "z-image", "inputs": {}}, "inputs.prompt"
    ),
    "quote of a model that is not there": Case(
        "QuoteJob",
        {"model_id": "z-imgae", "inputs": PROMPT},
        grpc.StatusCode.NOT_FOUND,
        "MODEL_NOT_FOUND",
        metadata={"model_id": "z-imgae", "nearest": "z-image"},
    ),
    "consent to nothing": invalid("RecordConsent", {}, "kind", "wording_version"),
    "models of no purpose": invalid("ListModels", {"filter": "purpose = art"}, "filter"),
    "grant of nothing to nobody": invalid(
        f"{WALLET}/GrantCredits", {}, "request_id", "owner", "credits", "reason"
    ),
    "statement of no time": invalid(f"{WALLET}/GetStatement", {}, "start_time", "end_time"),
    "payment by a way without a name": invalid(
        f"{WALLET}/RecordTopUp",
        {"external_id": "1", "owner": "shop:1", "credits": 1, "currency": "euro"},
        "provider",
        "currency",
    ),
    "made-up token of transfers": Case(
        f"{WALLET}/ListTransfers",
        {"page_token": "AAAA"},
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_PAGE_TOKEN",
    ),
    "unknown media": Case(
        "DownloadMedia", {"media_id": NOBODY}, grpc.StatusCode.NOT_FOUND, "MEDIA_NOT_FOUND"
    ),
}

ABOUT_MONEY = {
    "refund of no top-up": Case(
        f"{WALLET}/RefundTopUp",
        {"top_up_id": NOBODY, "reason": "a test"},
        grpc.StatusCode.NOT_FOUND,
        "TOP_UP_NOT_FOUND",
        metadata={"top_up_id": NOBODY},
    ),
    "real Stars for test credits": Case(
        f"{WALLET}/CheckTopUp",
        {
            "owner": "telegram:7",
            "pack_id": "small",
            "amount": 100,
            "currency": "XTR",
            "telegram_host": "api.telegram.org",
        },
        grpc.StatusCode.FAILED_PRECONDITION,
        "MONEY_MODE_MISMATCH",
        metadata={"mode": "test"},
    ),
    "job that nobody can pay": Case(
        "CreateJob",
        create(model_id="google/imagen4", owner="shop:nobody"),
        grpc.StatusCode.FAILED_PRECONDITION,
        "INSUFFICIENT_CREDITS",
        metadata={"price": "8", "balance": "0", "missing": "8"},
    ),
    "pack that is not sold": Case(
        f"{WALLET}/CheckTopUp",
        {
            "owner": "telegram:7",
            "pack_id": "small",
            "amount": 100,
            "currency": "XTR",
            "telegram_host": "telegram.example",
        },
        grpc.StatusCode.FAILED_PRECONDITION,
        "TOP_UP_INVALID",
        metadata={"problem": "no pack 'small' is sold"},
    ),
}
"""What is refused where something is sold."""


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in REFUSALS.items()])
async def test_refusals_say_what_is_wrong(idle_service: Service, tool: Tool, case: Case) -> None:
    await check(idle_service, tool, case)


async def check(service: Service, tool: Tool, case: Case) -> None:
    """Make a call that is refused, and read the refusal as any client would."""
    answer = await tool.call(service.address, case.method, request=case.request)
    refusal = answer.refusal
    assert refusal is not None
    assert (refusal.code, refusal.domain, refusal.reason) == (case.code, DOMAIN, case.reason)
    assert set(refusal.violations) == case.fields
    assert refusal.metadata.items() >= case.metadata.items()
    assert refusal.message


@pytest.mark.parametrize("tool", TOOLS)
async def test_refusals_about_money_say_what_is_wrong(
    database_url: str, tmp_path: Path, tool: Tool
) -> None:
    async with serving(database_url, tmp_path, more_settings={"money": "test"}) as service:
        for case in ABOUT_MONEY.values():
            await check(service, tool, case)


@pytest.mark.parametrize("tool", TOOLS)
async def test_a_job_goes_from_words_to_bytes(working_service: Service, tool: Tool) -> None:
    address = working_service.address

    async def call(method: str, **request: Any) -> Json:
        return (await tool.call(address, method, request=request)).only

    job = json_format.ParseDict(
        await call("CreateJob", model_id="z-image", inputs=PROMPT), pb.CreateJobResponse()
    ).job
    assert job.state == JOB_STATE_QUEUED
    assert dict(job.inputs) == {**PROMPT, "aspect_ratio": "1:1"}

    streamed = await tool.call(address, "StreamJobUpdates", request={"job_id": job.id})
    updates = [
        json_format.ParseDict(each, pb.StreamJobUpdatesResponse()) for each in streamed.messages
    ]
    revisions = [each.job.revision for each in updates if each.HasField("job")]
    assert streamed.refusal is None
    assert revisions == list(range(revisions[0], revisions[-1] + 1))

    done = json_format.ParseDict(await call("WaitJob", job_id=job.id), pb.WaitJobResponse()).job
    assert done.state == JOB_STATE_SUCCEEDED
    assert done == updates[-1].job
    (media,) = done.result.media

    first, *pieces = (
        await tool.call(address, "DownloadMedia", request={"media_id": media.id})
    ).messages
    data = b"".join(base64.b64decode(piece["data"]) for piece in pieces)
    told = json_format.ParseDict(first, pb.DownloadMediaResponse()).media
    # Counted from the job's end or the file's, which two clocks tell.
    assert abs(told.expire_time.seconds - media.expire_time.seconds) <= 1
    told.expire_time.CopyFrom(media.expire_time)
    assert told == media
    assert (sha256(data).hexdigest(), len(data)) == (media.sha256, media.size_bytes)


@pytest.mark.parametrize("tool", TOOLS)
async def test_a_price_can_be_asked_for_in_words(idle_service: Service, tool: Tool) -> None:
    asked = {"model_id": "z-image", "inputs": PROMPT, "language_code": "ru"}
    answer = (await tool.call(idle_service.address, "QuoteJob", request=asked)).only
    quote = json_format.ParseDict(answer, pb.QuoteJobResponse())
    assert (quote.price.is_free, quote.price.credits) == (True, "0")
    assert quote.HasField("usual_duration")

    request = {"view": "MODEL_VIEW_FULL", "filter": "purpose = MODEL_PURPOSE_IMAGE_EDIT"}
    answer = (await tool.call(idle_service.address, "ListModels", request=request)).only
    (model,) = json_format.ParseDict(answer, pb.ListModelsResponse()).models
    assert (model.id, model.purpose) == ("qwen/image-edit", MODEL_PURPOSE_IMAGE_EDIT)


async def test_grpcurl_finds_the_seven_services(idle_service: Service) -> None:
    code, out, _ = await run("grpcurl", "-plaintext", idle_service.address, "list")
    assert code == 0
    assert out.split() == [
        "atelier.generation.v1.CallbackService",
        "atelier.generation.v1.CatalogService",
        "atelier.generation.v1.DeliveryService",
        "atelier.generation.v1.EdgeService",
        "atelier.generation.v1.GenerationService",
        "atelier.generation.v1.WebhookService",
        "atelier.wallet.v1.WalletService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ]


@pytest.mark.parametrize(
    ("symbol", "words"),
    [
        (GENERATION, "rpc StreamJobUpdates"),
        ("grpc.reflection.v1.ServerReflection", "rpc ServerReflectionInfo"),
        ("atelier.generation.v1.CreateJobRequest", "google.protobuf.Struct inputs"),
        ("atelier.generation.v1.JobState", "JOB_STATE_SUCCEEDED"),
    ],
)
async def test_grpcurl_describes(idle_service: Service, symbol: str, words: str) -> None:
    code, out, _ = await run("grpcurl", "-plaintext", idle_service.address, "describe", symbol)
    assert code == 0
    assert words in out


@pytest.mark.parametrize("version", ["grpc-v1", "grpc-v1alpha"])
async def test_buf_lists_the_methods(idle_service: Service, version: str) -> None:
    kind = ("--protocol", "grpc", "--reflect-protocol", version)
    flags = (*kind, "--list-methods", "--http2-prior-knowledge")
    code, out, err = await run("buf", "curl", *flags, f"http://{idle_service.address}")
    assert code == 0, err
    assert f"{GENERATION}/CreateJob" in out.split()
