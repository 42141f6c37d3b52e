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
from functools import partial
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.consent_pb2 import ConsentKind
from atelier.generation.v1.job_pb2 import Job, JobState
from atelier.generation.v1.media_pb2 import Media
from generation_client import GenerationError
from generation_svc.domain.media_input import MediaInput, given_in, with_texts
from generation_svc.domain.model import Model
from generation_svc.domain.quote import LengthUnknown, PriceUnknown, quote
from generation_svc.domain.schema import JsonObject
from tests.e2e.every_model.case import fullest, planned, required_only
from tests.e2e.every_model.decoded import NAMES, flaw_of
from tests.e2e.every_model.door import Door, GrpcDoor, Received
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
    door: str = ""
    """Through which door the whole jobs went."""
    whole: dict[str, str] = field(default_factory=dict)
    """What each whole job gave, such as `video 2.0 s`, by its way."""
    cost: str = ""
    not_asked: set[str] = field(default_factory=set)
    """The fields that the door does not ask for: the operator's, and those that it lacks."""
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


class Trial:
    """Everything that the trials of a run share."""

    def __init__(self, stack: Stack, models: Mapping[str, Model], *, at_once: int) -> None:
        self.stack, self.models = stack, models
        self.samples = Samples(stack.client)
        self.requests = Requests(stack, self.samples)
        self.most_cases: int | None = None
        self._slots = asyncio.Semaphore(at_once)
        self.grpc = GrpcDoor(stack.client)
        self._earlier: dict[Door, EarlierJobs] = {}

    def earlier(self, door: Door) -> EarlierJobs:
        """Return the earlier jobs of whom a door is for: nobody goes on from those of others."""
        return self._earlier.setdefault(door, EarlierJobs(partial(self._make_earlier, door)))

    async def consent(self) -> None:
        """Agree to everything that models ask of an owner."""
        for kind in (ConsentKind.CONSENT_KIND_VOICE, ConsentKind.CONSENT_KIND_FACE):
            request = pb.RecordConsentRequest(kind=kind, wording_version="1")
            await self.stack.client.generation.RecordConsent(request)

    async def whole(self, model: Model, outcome: Outcome, *, seed: int, door: Door) -> None:
        """Run a job of required fields and one of all fields to their delivered results."""
        start, outcome.door = time.monotonic(), door.name
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

    async def filled(self, model: Model, inputs: JsonObject, *, door: Door) -> JsonObject:
        """Return inputs with uploads and earlier jobs in place of the made-up ids."""
        for one in model.special_inputs:
            texts = {}
            for number, given in enumerate(given_in(inputs, one)):
                if isinstance(one, MediaInput):
                    texts[given.steps] = await self.samples.give(one, number)
                else:
                    texts[given.steps] = await self.earlier(door).give(model, one)
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
        given = await self.filled(model, inputs, door=door)
        inputs = door.askable(model, given)
        outcome.not_asked |= given.keys() - inputs.keys()
        job = await self._made(model, inputs, way=way, door=door)
        flaw = await self.requests.flaw(job.id, model, inputs=inputs)
        assert not flaw, f"the request is wrong: {flaw}"
        outcome.whole[way] = await self._delivered(model, job, door=door)
        outcome.cost = await self._cost(model, job)

    async def _made(self, model: Model, inputs: JsonObject, *, way: str, door: Door) -> Job:
        """Have a job made, and wait until it succeeded."""
        job = await self.ended(await door.create(model, inputs, way=way))
        assert job.state == JobState.JOB_STATE_SUCCEEDED, f"failed: {job.failure.message}"
        return job

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

    async def _delivered(self, model: Model, job: Job, *, door: Door) -> str:
        """Return what came, after it was fetched and decoded."""
        wanted = [str(kind) for kind in model.result.kinds]
        got = [_kind_of(media) for media in job.result.media]
        got += ["text"] if job.result.text else []
        assert wanted[0] in got, f"a result of {got}, not of {wanted}"
        # A file of data has a few lines beside it that say what is in it.
        assert set(got) <= {*wanted, "image", "text"}, f"a result of {got}, not of {wanted}"
        assert not job.result.missing_count, f"{job.result.missing_count} files are missing"
        files = await door.received(model, job)
        for media, file in zip(job.result.media, files, strict=True):
            _check(media, file)
        return " ".join(got)

    async def _make_earlier(self, door: Door, model_id: str) -> str:
        model = self.models[model_id]
        inputs = await self.filled(model, required_only(model), door=door)
        try:
            job = await self._made(model, inputs, way="required", door=door)
            await door.received(model, job)
            return job.id
        except GenerationError as error:
            raise AssertionError(f"refused: {error}") from error

    async def _case(self, model: Model, inputs: JsonObject, outcome: Outcome) -> None:
        try:
            inputs = await self.filled(model, inputs, door=self.grpc)
            async with self._slots:
                job_id = await self.grpc.make(model, inputs)
                await self.ended(job_id)
                flaw = await self.requests.flaw(job_id, model, inputs=inputs)
            assert not flaw, f"the request is wrong: {flaw}"
            outcome.right_count += 1
        except (AssertionError, GenerationError) as problem:
            note = f"case {json.dumps(inputs)[:200]}: {' '.join(str(problem).split())[:300]}"
            outcome.problems.append(note)


def _check(media: Media, file: Received) -> None:
    """Decode a file and its cover, and hold what is told of them against that."""
    kind, data = _kind_of(media), file.data
    assert not file.is_original or len(data) == media.size_bytes, "another length than told"
    flaw = flaw_of(data, kind)
    assert not flaw, f"{media.mime_type}: {flaw}"
    has_length = media.HasField("duration") and media.duration.ToTimedelta() > timedelta(0)
    assert has_length is (kind in ("video", "audio")), f"a length of {media.duration} of {kind}"
    has_size = media.width > 0 and media.height > 0
    assert has_size is (kind in ("video", "image")), f"{media.width} x {media.height} of {kind}"
    flaw = flaw_of(file.cover, "image") if file.cover else ""
    assert not flaw, f"the cover: {flaw}"
    assert file.cover or kind != "video", "a video without a poster"


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
