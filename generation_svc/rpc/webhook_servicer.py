"""`WebhookService`: lists, tests and enables a caller's webhooks."""

from atelier.generation.v1 import webhook_service_pb2 as pb
from atelier.generation.v1 import webhook_service_pb2_grpc as pb_grpc
from atelier.generation.v1.webhook_pb2 import WebhookState
from generation_svc.domain.limit import MAX_LINK_LENGTH
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.rpc.bound import Bounds
from generation_svc.rpc.call import ServicerContext
from generation_svc.rpc.caller import current_caller
from generation_svc.rpc.page_token import PageQuery
from generation_svc.rpc.webhook import webhook_attempt_to_proto, webhook_to_proto
from generation_svc.usecase import webhook as webhooks

_IS_DISABLED = {
    WebhookState.WEBHOOK_STATE_UNSPECIFIED: None,
    WebhookState.WEBHOOK_STATE_ENABLED: False,
    WebhookState.WEBHOOK_STATE_DISABLED: True,
}


class WebhookServicer(pb_grpc.WebhookServiceServicer):
    """Answers the calls of `WebhookService`."""

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps

    async def ListWebhooks(
        self, request: pb.ListWebhooksRequest, context: ServicerContext
    ) -> pb.ListWebhooksResponse:
        """List the caller's webhooks by address."""
        bounds, caller = Bounds(), current_caller()
        size = bounds.page_size(request.page_size, default=20, most=100)
        if request.state not in _IS_DISABLED:
            bounds.refuse("state", f"Must be a value of WebhookState, not {request.state}.")
        bounds.check()
        query = PageQuery("ListWebhooks", caller.name, (str(request.state),))
        found = await webhooks.page(
            self._deps,
            caller,
            is_disabled=_IS_DISABLED[request.state],
            after=query.cursor(request.page_token),
            limit=size + 1,
        )
        token = query.next_token(found, shown=size, cursor=lambda each: each.url)
        page = [webhook_to_proto(each) for each in found[:size]]
        return pb.ListWebhooksResponse(webhooks=page, next_page_token=token)

    async def TestWebhook(
        self, request: pb.TestWebhookRequest, context: ServicerContext
    ) -> pb.TestWebhookResponse:
        """Post a test to an address."""
        attempt = await webhooks.probe(self._deps, current_caller(), url=_url(request.url))
        return pb.TestWebhookResponse(attempt=webhook_attempt_to_proto(attempt))

    async def EnableWebhook(
        self, request: pb.EnableWebhookRequest, context: ServicerContext
    ) -> pb.EnableWebhookResponse:
        """Let outcomes be posted to an address again."""
        enabled = await webhooks.enable(self._deps, current_caller(), url=_url(request.url))
        return pb.EnableWebhookResponse(webhook=webhook_to_proto(enabled))


def _url(text: str) -> str:
    bounds = Bounds()
    bounds.text("url", text, most=MAX_LINK_LENGTH, is_required=True)
    bounds.check()
    return text
