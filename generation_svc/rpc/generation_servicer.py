"""`GenerationService`: converts messages and calls the use cases."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1 import generation_service_pb2_grpc as pb_grpc
from atelier.generation.v1.job_pb2 import Job as JobMessage
from generation_svc.domain.caller import Caller, Scope
from generation_svc.domain.delivery import Destination, Queue, Telegram, Webhook
from generation_svc.domain.error import (
    FieldViolation,
    InvalidInputs,
    JobNotFound,
    MediaNotFound,
    Overloaded,
    StorageQuotaReached,
    UploadTooLarge,
)
from generation_svc.domain.job import Forecast, Job
from generation_svc.domain.limit import MAX_LINK_LENGTH
from generation_svc.domain.media import Upload
from generation_svc.domain.money_error import OwnerBlocked
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.rpc import consent, convert, convert_quote
from generation_svc.rpc.answer_bound import fitting
from generation_svc.rpc.bound import (
    DEFAULT_WAIT,
    LONGEST_WAIT,
    MAX_FILTER_LENGTH,
    MAX_LANGUAGE_LENGTH,
    Bounds,
    parse_id,
)
from generation_svc.rpc.call import ServicerContext
from generation_svc.rpc.caller import current_caller
from generation_svc.rpc.draining import Draining, ServerDraining
from generation_svc.rpc.interceptor import correlation_id
from generation_svc.rpc.job_filter import parse_filter
from generation_svc.rpc.model_page import ModelPages
from generation_svc.rpc.page_token import PageQuery
from generation_svc.rpc.permission import BYTES_BY_ID
from generation_svc.rpc.recent_update import RecentUpdates
from generation_svc.rpc.stream import Heartbeats, StreamTiming, in_time, write
from generation_svc.rpc.upload import UploadMessages, UploadTurns
from generation_svc.usecase import (
    cancel_job,
    create_job,
    download_media,
    quote_job,
    read_job,
    stream_job,
    upload_input,
    upload_link,
)
from generation_svc.usecase.job_request import CreateRequest
from generation_svc.usecase.read_job import JobQuery
from generation_svc.usecase.upload_link import LinkTurns


class GenerationServicer(pb_grpc.GenerationServiceServicer):
    """Answers the calls of `GenerationService`."""

    def __init__(self, deps: Dependencies, *, draining: Draining, timing: StreamTiming) -> None:
        self._deps = deps
        self._draining = draining
        self._timing = timing
        self._heartbeats = Heartbeats(timing)
        self._upload_turns = UploadTurns()
        self._models = ModelPages(deps)
        self._link_turns = LinkTurns()
        self._updates = RecentUpdates(lambda job: pb.StreamJobUpdatesResponse(job=self._job(job)))

    async def CreateJob(
        self, request: pb.CreateJobRequest, context: ServicerContext
    ) -> pb.CreateJobResponse:
        """Accept a job."""
        job = await create_job.create_job(self._deps, _request_from_proto(request, context))
        return pb.CreateJobResponse(job=self._job(job))

    async def GetJob(
        self, request: pb.GetJobRequest, context: ServicerContext
    ) -> pb.GetJobResponse:
        """Give a job as it is."""
        job_id = _job_id(request.job_id)
        job = await read_job.get(self._deps, current_caller(), job_id=job_id)
        return pb.GetJobResponse(job=self._job(job))

    async def WaitJob(
        self, request: pb.WaitJobRequest, context: ServicerContext
    ) -> pb.WaitJobResponse:
        """Wait until a job is final; a server that drains answers with the job as it is."""
        job_id, caller = _job_id(request.job_id), current_caller()
        timeout = _wait_of(request)
        try:
            job = await self._draining.unless(
                stream_job.wait(self._deps, caller, job_id=job_id, timeout=timeout)
            )
        # WaitJob promises OK with the job as it then is; the client asks again, elsewhere.
        except ServerDraining:
            job = await read_job.get(self._deps, caller, job_id=job_id)
        return pb.WaitJobResponse(job=self._job(job))

    async def StreamJobUpdates(  # type: ignore[override] # writes by itself, to time the writes
        self, request: pb.StreamJobUpdatesRequest, context: ServicerContext
    ) -> None:
        """Stream the revisions of a job."""
        bounds = Bounds()
        bounds.count("after_revision", request.after_revision)
        bounds.check()
        job_id = _job_id(request.job_id)
        with self._heartbeats.of_open_stream() as silence:
            updates = stream_job.follow(
                self._deps,
                current_caller(),
                job_id=job_id,
                after=request.after_revision,
                silence=silence,
            )
            async with aclosing(self._draining.each(updates)) as open_updates:
                async for update in open_updates:
                    if not await self._write(context, self._update(update)):
                        return

    async def ListJobs(
        self, request: pb.ListJobsRequest, context: ServicerContext
    ) -> pb.ListJobsResponse:
        """List the jobs that the caller sees, newest first."""
        bounds, caller = Bounds(), current_caller()
        size = bounds.page_size(request.page_size, default=20, most=100)
        bounds.text("owner", request.owner)
        bounds.text("filter", request.filter, most=MAX_FILTER_LENGTH)
        bounds.check()
        job_query = JobQuery(request.owner or None, parse_filter(request.filter))
        filters = (request.owner, caller.sees or "", *filter(None, [request.filter]))
        query = PageQuery("ListJobs", caller.name, filters)
        before = query.id_cursor(request.page_token)
        # One more than is shown tells whether another page follows.
        jobs = await read_job.page(self._deps, caller, job_query, before=before, limit=size + 1)
        page = [self._job(job) for job in jobs[:size]]
        count = fitting(page)
        token = query.next_token(jobs, shown=count, cursor=lambda job: job.id)
        return pb.ListJobsResponse(jobs=page[:count], next_page_token=token)

    async def CancelJob(
        self, request: pb.CancelJobRequest, context: ServicerContext
    ) -> pb.CancelJobResponse:
        """Cancel a job."""
        job_id = _job_id(request.job_id)
        job = await cancel_job.cancel_job(self._deps, current_caller(), job_id=job_id)
        return pb.CancelJobResponse(job=self._job(job))

    async def ListModels(
        self, request: pb.ListModelsRequest, context: ServicerContext
    ) -> pb.ListModelsResponse:
        """List the models."""
        return await self._models.list_models(current_caller(), request)

    async def GetModel(
        self, request: pb.GetModelRequest, context: ServicerContext
    ) -> pb.GetModelResponse:
        """Give a model."""
        return await self._models.get_model(current_caller(), request)

    async def QuoteJob(
        self, request: pb.QuoteJobRequest, context: ServicerContext
    ) -> pb.QuoteJobResponse:
        """Tell what a job would cost."""
        quoted = await quote_job.quote_job(self._deps, _quote_request_from_proto(request))
        return convert_quote.quote_to_proto(quoted)

    async def RecordConsent(
        self, request: pb.RecordConsentRequest, context: ServicerContext
    ) -> pb.RecordConsentResponse:
        """Record what an owner agreed to."""
        return await consent.record(self._deps, current_caller(), request)

    async def ListConsents(
        self, request: pb.ListConsentsRequest, context: ServicerContext
    ) -> pb.ListConsentsResponse:
        """List what an owner agreed to."""
        return await consent.page(self._deps, current_caller(), request)

    async def WithdrawConsent(
        self, request: pb.WithdrawConsentRequest, context: ServicerContext
    ) -> pb.WithdrawConsentResponse:
        """Withdraw what an owner agreed to."""
        return await consent.withdraw(self._deps, current_caller(), request)

    async def UploadInput(
        self, request_iterator: AsyncIterator[pb.UploadInputRequest], context: ServicerContext
    ) -> pb.UploadInputResponse:
        """Take media; `request_iterator` is left alone, see `rpc.upload`."""
        caller = current_caller()
        timeout = self._timing.read_timeout
        messages = UploadMessages(context, turns=self._upload_turns.of(caller), timeout=timeout)
        owner = await messages.begin() or caller.name
        try:
            kept = await self._upload(caller, owner=owner, messages=messages)
        except (OwnerBlocked, Overloaded, StorageQuotaReached, UploadTooLarge) as error:
            # Such a sender is often still writing, and would see an error of gRPC's own in place of
            # this.
            refusal = error.with_traceback(None)  # whose frames would hold a message meanwhile
        else:
            return pb.UploadInputResponse(upload=convert.upload_to_proto(kept))
        await messages.drain()
        raise refusal

    async def _upload(self, caller: Caller, *, owner: str, messages: UploadMessages) -> Upload:
        if messages.link_token:
            return await upload_link.upload(
                self._deps, token=messages.link_token, pieces=messages, turns=self._link_turns
            )
        caller.require(Scope.OWN_JOBS)
        upload_input.admit(self._deps, caller, owner=owner)
        return await upload_input.upload(self._deps, caller, owner=owner, pieces=messages)

    async def DownloadMedia(  # type: ignore[override] # writes by itself, to time the writes
        self, request: pb.DownloadMediaRequest, context: ServicerContext
    ) -> None:
        """Give the bytes of a result."""
        found = await self._download(request)
        media = convert.media_to_proto(found.media, link=found.link, expire_time=found.expire_time)
        if not await self._write(context, pb.DownloadMediaResponse(media=media)):
            return
        # The call itself has no time limit, so each piece has: a store that hangs would hold it.
        async for piece in in_time(found.pieces, timeout=self._timing.read_timeout):
            if not await self._write(context, pb.DownloadMediaResponse(data=piece)):
                return

    async def _download(self, request: pb.DownloadMediaRequest) -> download_media.Download:
        if request.link_token and request.media_id:
            raise InvalidInputs(
                (FieldViolation("link_token", "Set link_token or media_id, not both."),)
            )
        part = _part_from_proto(request)
        if request.link_token:  # of any length: reading it refuses what is not a link
            return await download_media.download_by_link(
                self._deps, token=request.link_token, part=part
            )
        current_caller().require(*BYTES_BY_ID)
        media_id = parse_id("media_id", request.media_id)
        if media_id is None:
            raise MediaNotFound(request.media_id)
        return await download_media.download(
            self._deps, current_caller(), media_id=media_id, part=part
        )

    def _job(self, job: Job) -> JobMessage:
        return convert.job_to_proto(
            job, links=self._deps.media.links, retention=self._deps.storage.retention
        )

    def _update(self, update: Job | Forecast) -> pb.StreamJobUpdatesResponse:
        if isinstance(update, Job):
            return self._updates.of(update)
        return _pulse_to_proto(update, time=self._deps.database.now())

    async def _write(self, context: ServicerContext, message: Any) -> bool:
        return await write(context, message, timeout=self._timing.write_timeout)


def _part_from_proto(request: pb.DownloadMediaRequest) -> download_media.ReadRange:
    bounds = Bounds()
    for name, value in (("read_offset", request.read_offset), ("read_limit", request.read_limit)):
        if value < 0:
            bounds.refuse(name, f"Must be 0 or more, not {value}.")
    bounds.check()
    return download_media.ReadRange(request.read_offset, request.read_limit)


def _request_from_proto(request: pb.CreateJobRequest, context: ServicerContext) -> CreateRequest:
    bounds = Bounds()
    bounds.text("request_id", request.request_id)
    bounds.text("model_id", request.model_id, is_required=True)
    bounds.text("owner", request.owner)
    bounds.text("correlation_id", request.correlation_id)
    destination = _destination_from_proto(request, bounds)
    if request.agreed_credits < 0:
        bounds.refuse("agreed_credits", f"Must be 0 or more, not {request.agreed_credits}.")
    bounds.check()
    caller = current_caller()
    correlation = request.correlation_id or correlation_id(context)
    structlog.contextvars.bind_contextvars(correlation_id=correlation)
    return CreateRequest(
        caller=caller,
        request_id=request.request_id,
        model_id=request.model_id,
        inputs=convert.struct_from_proto(request.inputs),
        owner=request.owner or caller.name,
        correlation_id=correlation,
        destination=destination,
        agreed_credits=request.agreed_credits if request.HasField("agreed_credits") else None,
    )


def _quote_request_from_proto(request: pb.QuoteJobRequest) -> quote_job.QuoteRequest:
    bounds, caller = Bounds(), current_caller()
    bounds.text("model_id", request.model_id, is_required=True)
    bounds.text("owner", request.owner)
    bounds.text("language_code", request.language_code, most=MAX_LANGUAGE_LENGTH)
    bounds.check()
    return quote_job.QuoteRequest(
        caller=caller,
        model_id=request.model_id,
        inputs=convert.struct_from_proto(request.inputs),
        owner=request.owner or caller.name,
        language_code=request.language_code,
    )


def _destination_from_proto(request: pb.CreateJobRequest, bounds: Bounds) -> Destination | None:
    match request.WhichOneof("destination"):
        case "telegram":
            return _telegram_from_proto(request, bounds)
        case "queue":
            return Queue(bounds.queue("queue.queue", request.queue.queue))
        case "webhook":
            url = request.webhook.url
            return Webhook(bounds.text("webhook.url", url, most=MAX_LINK_LENGTH, is_required=True))
    return None


def _telegram_from_proto(request: pb.CreateJobRequest, bounds: Bounds) -> Telegram:
    telegram = request.telegram
    language = telegram.language_code
    return Telegram(
        bot_id=bounds.bot("telegram.bot_id", telegram.bot_id),
        chat_id=bounds.chat("telegram.chat_id", telegram.chat_id),
        message_id=bounds.message("telegram.message_id", telegram.message_id),
        language_code=bounds.text("telegram.language_code", language, most=MAX_LANGUAGE_LENGTH),
    )


def _job_id(text: str) -> UUID:
    job_id = parse_id("job_id", text)
    if job_id is None:
        raise JobNotFound(text)
    return job_id


def _wait_of(request: pb.WaitJobRequest) -> timedelta:
    if not request.HasField("timeout"):
        return DEFAULT_WAIT
    bounds = Bounds()
    timeout = bounds.span("timeout", request.timeout, most=LONGEST_WAIT)
    bounds.check()
    return timeout


def _pulse_to_proto(pulse: Forecast, *, time: datetime) -> pb.StreamJobUpdatesResponse:
    beat = pb.Heartbeat(queue_position=pulse.queue_position)
    beat.time.FromDatetime(time)
    if pulse.estimated_remaining is not None:
        beat.estimated_remaining.FromTimedelta(pulse.estimated_remaining)
    return pb.StreamJobUpdatesResponse(heartbeat=beat)
