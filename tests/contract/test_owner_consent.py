"""Models that copy a voice or a face ask for consent once; fields of the operator need a scope."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc
import pytest

from atelier.generation.v1 import consent_pb2
from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from generation_svc.caller import CallerDirectory, Grant
from generation_svc.domain.caller import Caller, Scope
from generation_svc.domain.model import IN_EVERY_RELEASE
from generation_svc.domain.provider_input import provider_input
from generation_svc.domain.schema import Steps
from tests.contract.failure import refused
from tests.contract.market import CATALOG, market, possible_inputs, quoted
from tests.contract.service import Service, struct

VOICE, FACE = consent_pb2.CONSENT_KIND_VOICE, consent_pb2.CONSENT_KIND_FACE
FACES = "omnihuman-1-5"
STRICT = "hailuo/02-text-to-video-pro"
"""A model with a safety check that is the operator's."""


@pytest.fixture
async def open_market(database_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    async with market(database_url, tmp_path) as service:
        yield service


def create(stub: Any, model_id: str, inputs: dict[str, Any], **fields: Any) -> Any:
    return stub.CreateJob(pb.CreateJobRequest(model_id=model_id, inputs=struct(inputs), **fields))


async def record(service: Service, **fields: Any) -> consent_pb2.Consent:
    request = pb.RecordConsentRequest(**{"wording_version": "1", "kind": FACE, **fields})
    consent: consent_pb2.Consent = (await service.generation.RecordConsent(request)).consent
    return consent


async def test_a_face_is_copied_only_with_consent(open_market: Service) -> None:
    inputs = await possible_inputs(open_market, CATALOG.models[FACES])
    await record(open_market, kind=VOICE)
    await record(open_market, owner="somebody else")
    refusal = await refused(create(open_market.generation, FACES, inputs))
    before = await quoted(open_market, FACES, inputs=inputs)
    agreed = await record(open_market)
    after = await quoted(open_market, FACES, inputs=inputs)
    job = (await create(open_market.generation, FACES, inputs)).job

    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "CONSENT_REQUIRED",
    )
    assert refusal.metadata == {"owner": "local", "kind": "face"}
    assert (before.missing_consent, after.missing_consent) == (FACE, 0)
    assert before.price == after.price == job.price
    assert (agreed.owner, agreed.kind, agreed.wording_version) == ("local", FACE, "1")
    age = datetime.now(UTC) - agreed.agree_time.ToDatetime(tzinfo=UTC)
    assert abs(age.total_seconds()) < 60


async def test_an_owner_is_asked_once_for_each_wording(open_market: Service) -> None:
    first = await record(open_market)
    again = await record(open_market)
    newer = await record(open_market, wording_version="2")

    assert again == first
    assert newer.wording_version == "2"
    assert newer.agree_time.ToDatetime() > first.agree_time.ToDatetime()


async def consents(service: Service, **fields: Any) -> pb.ListConsentsResponse:
    found: pb.ListConsentsResponse = await service.generation.ListConsents(
        pb.ListConsentsRequest(**fields)
    )
    return found


async def withdraw(service: Service, **fields: Any) -> None:
    await service.generation.WithdrawConsent(pb.WithdrawConsentRequest(**{"kind": FACE, **fields}))


async def test_a_consent_that_is_withdrawn_is_asked_for_anew(open_market: Service) -> None:
    inputs = await possible_inputs(open_market, CATALOG.models[FACES])
    await record(open_market)
    await record(open_market, owner="somebody else")
    job = (await create(open_market.generation, FACES, inputs)).job

    await withdraw(open_market)
    await withdraw(open_market)  # which changes nothing any more

    assert (await refused(create(open_market.generation, FACES, inputs))).reason == (
        "CONSENT_REQUIRED"
    )
    assert (await quoted(open_market, FACES, inputs=inputs)).missing_consent == FACE
    assert len((await consents(open_market, owner="somebody else")).consents) == 1
    kept = await open_market.generation.GetJob(pb.GetJobRequest(job_id=job.id))
    assert kept.job.state == job.state  # what was accepted goes on
    await record(open_market)
    assert (await create(open_market.generation, FACES, inputs)).job.id != job.id


async def test_consents_are_listed_by_kind_in_pages(open_market: Service) -> None:
    assert not (await consents(open_market)).consents
    voice, face = await record(open_market, kind=VOICE), await record(open_market)
    await record(open_market, owner="somebody else")

    assert list((await consents(open_market)).consents) == [face, voice]
    first = await consents(open_market, page_size=1)
    second = await consents(open_market, page_size=1, page_token=first.next_page_token)
    assert [*first.consents, *second.consents] == [face, voice]
    assert not second.next_page_token
    wrong = consents(open_market, owner="somebody else", page_token=first.next_page_token)
    assert (await refused(wrong)).reason == "INVALID_PAGE_TOKEN"
    await withdraw(open_market, kind=VOICE)
    assert list((await consents(open_market)).consents) == [face]


async def test_a_consent_to_nothing_is_refused(open_market: Service) -> None:
    refusal = await refused(record(open_market, kind=0, wording_version=""))
    assert set(refusal.violations) == {"kind", "wording_version"}


async def test_a_model_without_a_person_asks_for_nothing(open_market: Service) -> None:
    answer = await quoted(open_market, "z-image", inputs={"prompt": "a lighthouse"})
    assert not answer.missing_consent


@pytest.fixture
async def two_callers(database_url: str, tmp_path: Path) -> AsyncIterator[tuple[Service, Any, Any]]:
    """A service, and what a caller without and one with the scope sends to it."""
    plain = Caller("plain", scopes=frozenset({Scope.OWN_JOBS}))
    trusted = Caller("trusted", scopes=frozenset({Scope.OWN_JOBS, Scope.OPERATOR_FIELDS}))
    callers = CallerDirectory(
        Grant(each, frozenset({sha256(token_of(each).encode()).digest()}), 1e6, 1e6)
        for each in (plain, trusted)
    )
    async with (
        market(database_url, tmp_path, callers=callers) as service,
        CallerStub(service, plain) as first,
        CallerStub(service, trusted) as second,
    ):
        yield service, first, second


def token_of(caller: Caller) -> str:
    return f"token-of-{caller.name}-that-is-long-enough"


class CallerStub:
    """Calls the service as a caller."""

    def __init__(self, service: Service, caller: Caller) -> None:
        self._channel = grpc.aio.insecure_channel(service.address)
        self._metadata = (("authorization", f"Bearer {token_of(caller)}"),)
        self._stub = GenerationServiceStub(self._channel)

    async def __aenter__(self) -> CallerStub:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._stub, name)
        return lambda request: method(request, metadata=self._metadata)


async def test_the_operator_s_fields_need_their_scope(
    two_callers: tuple[Service, Any, Any],
) -> None:
    _, plain, trusted = two_callers
    inputs = {"prompt": "the sea", "nsfw_checker": False}
    request = pb.QuoteJobRequest(model_id=STRICT, inputs=struct(inputs))
    for call in (create(plain, STRICT, inputs), plain.QuoteJob(request)):
        refusal = await refused(call)
        assert refusal.reason == "INVALID_INPUTS"
        assert set(refusal.violations) == {"inputs.nsfw_checker"}
        assert "scope operator_fields" in refusal.violations["inputs.nsfw_checker"]
    job = (await create(trusted, STRICT, inputs)).job
    assert job.inputs["nsfw_checker"] is False
    assert "nsfw_checker" not in (await create(plain, STRICT, {"prompt": "the sea"})).job.inputs


async def test_an_operator_s_field_is_named_along_with_other_mistakes(
    two_callers: tuple[Service, Any, Any],
) -> None:
    _, plain, _ = two_callers
    refusal = await refused(create(plain, STRICT, {"nsfw_checker": "off"}))
    assert set(refusal.violations) == {"inputs.nsfw_checker", "inputs.prompt"}
    assert "scope" in refusal.violations["inputs.nsfw_checker"]


async def test_the_operator_s_fields_are_shown_with_their_scope_alone(
    two_callers: tuple[Service, Any, Any],
) -> None:
    _, plain, trusted = two_callers
    request = pb.GetModelRequest(model_id=STRICT)
    shown, open_ = (await plain.GetModel(request)).model, (await trusted.GetModel(request)).model

    assert "nsfw_checker" not in shown.input_schema["properties"]
    assert "nsfw_checker" not in {each.field for each in shown.fields}
    assert "nsfw_checker" in open_.input_schema["properties"]
    assert "nsfw_checker" in {each.field for each in open_.fields}
    assert "nsfw_checker" not in {each.field for each in (*shown.options, *open_.options)}


@pytest.mark.parametrize("model_id", sorted(IN_EVERY_RELEASE))
def test_the_checkers_of_the_free_models_are_strict(model_id: str) -> None:
    model = CATALOG.models[model_id]
    checkers = {"nsfw_checker", "enable_safety_checker"} & model.properties.keys()
    assert dict(model.operator_fields) == dict.fromkeys(checkers, True)
    links: dict[Steps, str] = {("image",): "https://tempfile.redpandaai.co/a.png"}
    sent = provider_input(model, {"prompt": "a hat", "image": "upload:a"}, resolved=links)
    assert {name: sent[name] for name in checkers} == dict.fromkeys(checkers, True)


async def test_the_free_models_take_what_they_took_in_0_1(
    two_callers: tuple[Service, Any, Any],
) -> None:
    """Their checkers are no mistake of a caller without the scope, but stay strict."""
    _, plain, trusted = two_callers
    checkers = {"nsfw_checker": False, "enable_safety_checker": False}
    inputs = {"prompt": "a hat", **checkers}
    strict = (await create(plain, "qwen/text-to-image", inputs)).job
    open_ = (await create(trusted, "qwen/text-to-image", inputs)).job
    silent = (await create(plain, "qwen/text-to-image", {"prompt": "a hat"})).job
    wrong = await refused(create(plain, "qwen/text-to-image", {**inputs, "nsfw_checker": 1}))

    assert {name: strict.inputs[name] for name in checkers} == dict.fromkeys(checkers, True)
    assert {name: open_.inputs[name] for name in checkers} == checkers
    assert not checkers.keys() & dict(silent.inputs).keys()
    assert set(wrong.violations) == {"inputs.nsfw_checker"}


async def test_a_repetition_of_a_caller_of_0_1_gives_its_job(
    two_callers: tuple[Service, Any, Any],
) -> None:
    _, plain, _ = two_callers
    inputs = {"prompt": "a hat", "nsfw_checker": False}
    jobs = [(await create(plain, "z-image", inputs, request_id="hat")).job for _ in range(2)]
    assert jobs[0].id == jobs[1].id
