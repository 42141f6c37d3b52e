"""`DeliveryService`: leases deliveries and records their outcomes."""

from datetime import timedelta

from atelier.generation.v1 import delivery_service_pb2 as pb
from atelier.generation.v1 import delivery_service_pb2_grpc as pb_grpc
from generation_svc.domain.delivery import Impossible, SendingOutcome, Sent, TryAgain, Unknown
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.rpc import convert
from generation_svc.rpc.answer_bound import fitting
from generation_svc.rpc.bound import DEFAULT_LEASE, LONGEST_WAIT, MAX_DELIVERIES, Bounds
from generation_svc.rpc.call import ServicerContext
from generation_svc.rpc.caller import current_caller
from generation_svc.rpc.draining import Draining, ServerDraining
from generation_svc.usecase import lease_delivery

MAX_REASON_LENGTH = 200
"""How much is kept of why something can never arrive."""


class DeliveryServicer(pb_grpc.DeliveryServiceServicer):
    """Answers the calls of `DeliveryService`."""

    def __init__(self, deps: Dependencies, *, draining: Draining) -> None:
        self._deps = deps
        self._draining = draining

    async def LeaseDeliveries(
        self, request: pb.LeaseDeliveriesRequest, context: ServicerContext
    ) -> pb.LeaseDeliveriesResponse:
        """Lease deliveries that are due."""
        wanted, wait = _wanted(request, context)
        try:
            deliveries = await self._draining.unless(
                lease_delivery.lease(self._deps, wanted, wait=wait)
            )
        except ServerDraining:
            # Empty, so that the edge asks another replica at once. What was leased before is given,
            # since `unless` returns work that has ended.
            deliveries = ()
        models, links = self._deps.models.catalog.models, self._deps.media.links
        messages = [
            convert.delivery_to_proto(
                each,
                model=models.get(each.job.model_id),
                links=links,
                retention=self._deps.storage.retention,
            )
            for each in deliveries
        ]
        count = fitting(messages)
        if rest := deliveries[count:]:
            await lease_delivery.give_back(self._deps, wanted, deliveries=rest)
        return pb.LeaseDeliveriesResponse(deliveries=messages[:count])

    async def BeginDelivery(
        self, request: pb.BeginDeliveryRequest, context: ServicerContext
    ) -> pb.BeginDeliveryResponse:
        """State that sending starts."""
        token = _token(request.lease_token)
        lease_expire_time = await lease_delivery.begin(
            self._deps, token, sender=current_caller(), span=_begun_for(request)
        )
        return pb.BeginDeliveryResponse(lease_expire_time=convert.time_to_proto(lease_expire_time))

    async def ReportDelivery(
        self, request: pb.ReportDeliveryRequest, context: ServicerContext
    ) -> pb.ReportDeliveryResponse:
        """State how the sending ended."""
        token, outcome = _token(request.lease_token), _outcome_from_proto(request)
        await lease_delivery.report(self._deps, token, outcome=outcome, sender=current_caller())
        return pb.ReportDeliveryResponse()


def _wanted(
    request: pb.LeaseDeliveriesRequest, context: ServicerContext
) -> tuple[lease_delivery.Wanted, timedelta]:
    bounds = Bounds()
    source = request.WhichOneof("source")
    if source is None:
        bounds.refuse("source", "Required: telegram_bot_id or queue.")
    if source == "queue":
        bounds.queue("queue", request.queue)
    if source == "telegram_bot_id":
        bounds.bot("telegram_bot_id", request.telegram_bot_id)
    bounds.number("max_deliveries", request.max_deliveries, least=0, most=MAX_DELIVERIES)
    wait = bounds.span("wait", request.wait, most=LONGEST_WAIT)
    span = _lease_span(request, bounds) or DEFAULT_LEASE
    bounds.check()
    wanted = lease_delivery.Wanted(
        caller=current_caller(),
        bot_id=request.telegram_bot_id if source == "telegram_bot_id" else None,
        queue=request.queue if source == "queue" else None,
        limit=request.max_deliveries or 10,
        span=span,
    )
    return wanted, wait


def _begun_for(request: pb.BeginDeliveryRequest) -> timedelta | None:
    bounds = Bounds()
    span = _lease_span(request, bounds)
    bounds.check()
    return span


def _lease_span(
    request: pb.LeaseDeliveriesRequest | pb.BeginDeliveryRequest, bounds: Bounds
) -> timedelta | None:
    return bounds.lease(request.lease_duration) if request.HasField("lease_duration") else None


def _token(text: str) -> str:
    bounds = Bounds()
    bounds.text("lease_token", text, is_required=True)
    bounds.check()
    return text


def _outcome_from_proto(request: pb.ReportDeliveryRequest) -> SendingOutcome:
    match request.WhichOneof("outcome"):
        case "sent":
            return _sent(request.sent)
        case "try_again":
            return _try_again(request.try_again)
        case "impossible":
            return Impossible(reason=_in_short(request.impossible.reason))
        case "unknown":
            return Unknown()
    bounds = Bounds()
    bounds.refuse("outcome", "Required: sent, try_again, impossible or unknown.")
    bounds.check()
    raise AssertionError


def _sent(message: pb.ReportDeliveryRequest.Sent) -> Sent:
    bounds = Bounds()
    bounds.message("sent.message_id", message.message_id)
    bounds.check()
    return Sent(message_id=message.message_id, is_edit=message.is_edit)


def _in_short(reason: str) -> str:
    """Cut a reason, often Telegram's own words, for which no report should be refused."""
    return reason[:MAX_REASON_LENGTH].replace("\0", "")


def _try_again(message: pb.ReportDeliveryRequest.TryAgain) -> TryAgain:
    if not message.HasField("not_before_time"):
        return TryAgain(None)
    bounds = Bounds()
    not_before = bounds.moment("try_again.not_before_time", message.not_before_time)
    bounds.check()
    return TryAgain(not_before)
