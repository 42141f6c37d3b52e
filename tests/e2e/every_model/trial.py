"""Trying one model: whole jobs to the decoded result, and many whose requests are compared."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Protocol

from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.consent_pb2 import ConsentKind
from atelier.generation.v1.job_pb2 import Job, JobState
from atelier.generation.v1.media_pb2 import Media
from generation_client import GenerationError, translated
from generation_svc.domain.media_input import MediaInput, given_in, with_texts
from generation_svc.domain.model import Model
from generation_svc.domain.quote import LengthUnknown, PriceUnknown, quote
from generation_svc.domain.schema import JsonObject
from tests.e2e.every_model.case import fullest, planned, required_only
from tests.e2e.every_model.decoded import NAMES, flaw_of
from tests.e2e.every_model.earlier import EarlierJobs
from tests.e2e.every_model.request import Requests
from tests.e2e.every_model.sample import Samples
from tests.e2e.stack import Stack

WHOLE_S = 120.0
"""How long a job may take until its end."""
_FINAL = (JobState.JOB_STATE_SUCCEEDED, JobState.JOB_STATE_FAILED, JobState.JOB_STATE_CANCELLED)
_HUNDREDTH = Decimal("0.01")
_WAIT = Duration(seconds=60)


@dataclass
class Outcome:
    """How one model did."""

    model_id: str
    purpose: str
    whole: dict[str, str] = field(default_factory=dict)
    """What each whole job gave, such as `video 2.0 s`, by its way."""
    cost: str = ""
    case_count: int = 0
    right_count: int = 0
    """The cases whose request was the one that the document asks for."""
    goal_count: int = 0
    excluded_count: int = 0
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def is_passed(self) -> bool:
        return not self.problems and self.right_count == self.case_count


class Door(Protocol):
    """How a whole job is asked for: over gRPC, or from the click in the chat."""

    async def __call__(self, model: Model, inputs: JsonObject) -> str:
        """Have a job made of inputs whose media and references are given, and return its id."""


class Trial:
    """Everything that the trials of a run share."""

    def __init__(self, stack: Stack, models: Mapping[str, Model], *, at_once: int) -> None:
        self.stack, self.models = stack, models
        self.samples = Samples(stack.client)
        self.earlier = EarlierJobs(self._make_earlier)
        self.requests = Requests(stack, self.samples)
        self.most_cases: int | None = None
        self._slots = asyncio.Semaphore(at_once)

    async def consent(self) -> None:
        """Agree to everything that models ask of an owner."""
        for kind in (ConsentKind.CONSENT_KIND_VOICE, ConsentKind.CONSENT_KIND_FACE):
            request = pb.RecordConsentRequest(kind=kind, wording_version="1")
            await self.stack.client.generation.RecordConsent(request)

    async def whole(self, model: Model, outcome: Outcome, *, seed: int, door: Door) -> None:
        """Run a job of required fields and one of all fields to their delivered results."""
        start = time.monotonic()
        ways = {
            "required": required_only(model),
            "all": fullest(model, random.Random(f"{seed} {model.id}")),
        }
        for way, inputs in ways.items():
            try:
                await self._whole(model, inputs, outcome, way=way, door=door)
            except (AssertionError, GenerationError) as problem:
                outcome.problems.append(f"{way}: {' '.join(str(problem).split())[:300]}")
        outcome.seconds += time.monotonic() - start

    async def cases(self, model: Model, outcome: Outcome, *, seed: int) -> None:
        """Make jobs that hold every value and pair, and compare what they became."""
        plan = await asyncio.to_thread(planned, model, random.Random(f"{seed} {model.id}"))
        cases = plan.cases[: self.most_cases]
        outcome.case_count, outcome.goal_count = len(cases), plan.goal_count
        outcome.excluded_count = plan.excluded_count
        outcome.problems += [f"no inputs hold {each}" for each in plan.unreached]
        await asyncio.gather(*(self._case(model, inputs, outcome) for inputs in cases))

    async def create(self, model: Model, inputs: JsonObject) -> str:
        """Make a job over gRPC: the `Door` of those who have no chat."""
        request = pb.CreateJobRequest(model_id=model.id, inputs=_struct(inputs))
        with translated():
            return (await self.stack.client.generation.CreateJob(request)).job.id

    async def filled(self, model: Model, inputs: JsonObject) -> JsonObject:
        """Return inputs with uploads and earlier jobs in place of the made-up ids."""
        for one in model.special_inputs:
            texts = {}
            for number, given in enumerate(given_in(inputs, one)):
                if isinstance(one, MediaInput):
                    texts[given.steps] = await self.samples.give(one, number)
                else:
                    texts[given.steps] = await self.earlier.give(model, one)
            inputs = with_texts(inputs, one, texts=texts)
        return inputs

    async def ended(self, job_id: str) -> Job:
        """Wait until a job is final."""
        deadline = time.monotonic() + WHOLE_S
        request = pb.WaitJobRequest(job_id=job_id, timeout=_WAIT)
        while time.monotonic() < deadline:
            job = (await self.stack.client.generation.WaitJob(request, timeout=90)).job
            if job.state in _FINAL:
                return job
        raise AssertionError(f"not over within {WHOLE_S:g} s: {JobState.Name(job.state)}")

    async def _whole(
        self, model: Model, inputs: JsonObject, outcome: Outcome, *, way: str, door: Door
    ) -> None:
        inputs = await self.filled(model, inputs)
        async with self._slots:
            await self._is_quoted(model, inputs)
            job_id = await door(model, inputs)
            job = await self.ended(job_id)
        assert job.state == JobState.JOB_STATE_SUCCEEDED, f"failed: {job.failure.message}"
        flaw = await self.requests.flaw(job_id, model, inputs=inputs)
        assert not flaw, f"the request is wrong: {flaw}"
        outcome.whole[way] = await self._delivered(model, job)
        outcome.cost = await self._cost(model, job)

    async def _is_quoted(self, model: Model, inputs: JsonObject) -> None:
        """Have the price told, as a person would see it; without a price that is what is told."""
        request = pb.QuoteJobRequest(model_id=model.id, inputs=_struct(inputs))
        try:
            with translated():
                price = (await self.stack.client.generation.QuoteJob(request)).price
        except GenerationError as error:
            if model.offer.price.unknown and error.reason == "PRICE_UNKNOWN":
                return
            raise
        assert price.is_free == model.is_free, "free and not free"
        assert model.is_free or int(price.credits) > 0, "costs nothing"

    async def _cost(self, model: Model, job: Job) -> str:
        """Return what was paid, after a comparison with what was quoted."""
        row = await self.stack.history.job(job.id)
        query = "SELECT cost FROM attempt WHERE job_id = %(id)s AND task_id IS NOT NULL"
        paid: Decimal | None = await self.stack.history.value(query, id=job.id)
        quoted, is_ceiling = row["quoted_cost"], row["is_ceiling"]
        if model.is_free:
            quoted, is_ceiling = _documented(model, MessageToDict(job.inputs)), False
        if quoted is None:
            return "no price"
        assert paid is not None, f"no cost was recorded; quoted were {quoted:f}"
        assert paid <= quoted, f"{paid:f} were paid, {quoted:f} quoted"
        assert is_ceiling or paid == quoted, f"{paid:f} were paid, exactly {quoted:f} quoted"
        return f"{paid.normalize():f} {'<=' if is_ceiling else '='} {quoted.normalize():f}"

    async def _delivered(self, model: Model, job: Job) -> str:
        """Return what came, after it was fetched and decoded."""
        wanted = [str(kind) for kind in model.result.kinds]
        got = [_kind_of(media) for media in job.result.media]
        got += ["text"] if job.result.text else []
        assert wanted[0] in got, f"a result of {got}, not of {wanted}"
        # A file of data has a few lines beside it that say what is in it.
        assert set(got) <= {*wanted, "image", "text"}, f"a result of {got}, not of {wanted}"
        assert not job.result.missing_count, f"{job.result.missing_count} files are missing"
        for media in job.result.media:
            await self._is_whole(media)
        return " ".join(got)

    async def _is_whole(self, media: Media) -> None:
        """Fetch media and its cover, decode them, and hold what is told of them against that."""
        kind, data = _kind_of(media), await self._bytes(media.id)
        assert len(data) == media.size_bytes, "another length than told"
        flaw = flaw_of(data, kind)
        assert not flaw, f"{media.mime_type}: {flaw}"
        has_length = media.HasField("duration") and media.duration.ToTimedelta() > timedelta(0)
        assert has_length is (kind in ("video", "audio")), f"a length of {media.duration} of {kind}"
        has_size = media.width > 0 and media.height > 0
        assert has_size is (kind in ("video", "image")), f"{media.width} x {media.height} of {kind}"
        if media.cover_media_id:
            flaw = flaw_of(await self._bytes(media.cover_media_id), "image")
            assert not flaw, f"the cover: {flaw}"
        assert media.cover_media_id or kind != "video", "a video without a poster"

    async def _bytes(self, media_id: str) -> bytes:
        call = self.stack.client.generation.DownloadMedia(
            pb.DownloadMediaRequest(media_id=media_id)
        )
        with translated():
            return b"".join([part.data async for part in call])

    async def _make_earlier(self, model_id: str) -> str:
        model = self.models[model_id]
        inputs = await self.filled(model, required_only(model))
        try:
            job_id = await self.create(model, inputs)
        except GenerationError as error:
            raise AssertionError(f"refused: {error}") from error
        job = await self.ended(job_id)
        assert job.state == JobState.JOB_STATE_SUCCEEDED, f"failed: {job.failure.message}"
        return job_id

    async def _case(self, model: Model, inputs: JsonObject, outcome: Outcome) -> None:
        try:
            inputs = await self.filled(model, inputs)
            async with self._slots:
                job_id = await self.create(model, inputs)
                await self.ended(job_id)
                flaw = await self.requests.flaw(job_id, model, inputs=inputs)
            assert not flaw, f"the request is wrong: {flaw}"
            outcome.right_count += 1
        except (AssertionError, GenerationError) as problem:
            note = f"case {json.dumps(inputs)[:200]}: {' '.join(str(problem).split())[:300]}"
            outcome.problems.append(note)


def _kind_of(media: Media) -> str:
    """Return the kind of media; data is text to a reader, and a file to a catalog."""
    return "file" if media.mime_type == "application/json" else NAMES.get(media.kind, "nothing")


def _documented(model: Model, inputs: Mapping[str, Any]) -> Decimal | None:
    """Return what a free model costs the operator; the provider counts these in hundredths."""
    try:
        found = quote(model.offer.price, inputs, defaults=model.defaults, measured={})
    except (PriceUnknown, LengthUnknown):
        return None
    return found.credits.quantize(_HUNDREDTH, ROUND_HALF_UP)


def _struct(inputs: JsonObject) -> Struct:
    struct = Struct()
    struct.update(inputs)
    return struct
