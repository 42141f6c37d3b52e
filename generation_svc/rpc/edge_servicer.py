"""`EdgeService`: sessions and update leases of edges."""

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration

from atelier.generation.v1 import edge_service_pb2 as pb
from atelier.generation.v1 import edge_service_pb2_grpc as pb_grpc
from atelier.generation.v1.media_pb2 import MediaKind as MediaKindNumber
from generation_svc.domain.caller import Caller
from generation_svc.domain.port.session import SessionRecord
from generation_svc.domain.upload_bound import UPLOAD_KINDS
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.rpc import convert
from generation_svc.rpc.bound import MAX_LANGUAGE_LENGTH, MAX_SESSION_BYTES, Bounds
from generation_svc.rpc.call import ServicerContext
from generation_svc.rpc.caller import current_caller
from generation_svc.usecase import upload_link

MAX_RETURN_LENGTH = 256
"""The length of the address that an upload page leads back to, in characters."""
MAX_KINDS = 5
_KINDS = {MediaKindNumber.Value(f"MEDIA_KIND_{kind.name}"): kind for kind in UPLOAD_KINDS}


class EdgeServicer(pb_grpc.EdgeServiceServicer):
    """Answers the calls of `EdgeService`."""

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps
        self._database = deps.database

    async def GetSession(
        self, request: pb.GetSessionRequest, context: ServicerContext
    ) -> pb.GetSessionResponse:
        """Give a session."""
        _check_key(request.bot_id, request.key).check()
        caller = _caller_with(request.bot_id)
        async with self._database.transaction() as tx:
            session = await tx.edge.get_session(request.bot_id, key=request.key, caller=caller.name)
        return pb.GetSessionResponse(session=convert.session_to_proto(session))

    async def PutSession(
        self, request: pb.PutSessionRequest, context: ServicerContext
    ) -> pb.PutSessionResponse:
        """Write a session if its version is still the one given."""
        bounds = _check_key(request.bot_id, request.key)
        bounds.count("version", request.version)
        bounds.data("data", request.data, most=MAX_SESSION_BYTES)
        bounds.check()
        caller = _caller_with(request.bot_id)
        session = SessionRecord(
            bot_id=request.bot_id,
            key=request.key,
            data=request.data,
            version=request.version,
            update_time=None,
        )
        async with self._database.transaction() as tx:
            written = await tx.edge.put_session(session, caller=caller.name)
        return pb.PutSessionResponse(session=convert.session_to_proto(written))

    async def LeaseUpdates(
        self, request: pb.LeaseUpdatesRequest, context: ServicerContext
    ) -> pb.LeaseUpdatesResponse:
        """Take, keep or give up the right to poll Telegram for a bot."""
        bounds = Bounds()
        bounds.bot("bot_id", request.bot_id)
        bounds.text("holder", request.holder, is_required=True)
        # A duration of zero gives the lease up, as does none.
        is_kept = request.lease_duration != Duration()
        span = bounds.lease(request.lease_duration) if is_kept else timedelta(0)
        bounds.check()
        caller = _caller_with(request.bot_id)
        async with self._database.transaction() as tx:
            is_granted, expire_time = await tx.edge.lease_updates(
                request.bot_id, holder=request.holder, span=span, caller=caller.name
            )
        return pb.LeaseUpdatesResponse(
            is_granted=is_granted, expire_time=convert.time_to_proto(expire_time)
        )

    async def CreateUploadLink(
        self, request: pb.CreateUploadLinkRequest, context: ServicerContext
    ) -> pb.CreateUploadLinkResponse:
        """Give a link for an upload."""
        link = await upload_link.create(self._deps, current_caller(), _link_request(request))
        return pb.CreateUploadLinkResponse(link=convert.upload_link_to_proto(link))

    async def GetUploadLink(
        self, request: pb.GetUploadLinkRequest, context: ServicerContext
    ) -> pb.GetUploadLinkResponse:
        """Tell what a link is for."""
        link = await upload_link.read(self._deps, token=request.link_token)
        return pb.GetUploadLinkResponse(link=convert.upload_link_to_proto(link))


def _link_request(request: pb.CreateUploadLinkRequest) -> upload_link.LinkRequest:
    bounds = Bounds()
    bounds.text("owner", request.owner, is_required=True)
    bounds.text("draft", request.draft, is_required=True)
    bounds.text("language_code", request.language_code, most=MAX_LANGUAGE_LENGTH)
    bounds.text("return_uri", request.return_uri, most=MAX_RETURN_LENGTH)
    if request.return_uri and not request.return_uri.startswith("https://"):
        bounds.refuse("return_uri", "Must begin with https://.")
    kinds = [_KINDS.get(kind) for kind in request.kinds]
    if len(kinds) > MAX_KINDS or None in kinds:
        bounds.refuse("kinds", f"Must be at most {MAX_KINDS} of images, videos and sound.")
    bounds.check()
    return upload_link.LinkRequest(
        owner=request.owner,
        draft=request.draft,
        kinds=tuple(kind for kind in kinds if kind),
        language=request.language_code,
        return_uri=request.return_uri,
    )


def _caller_with(bot_id: int) -> Caller:
    """Return the caller, which must be allowed to act for this bot."""
    caller = current_caller()
    caller.require_bot(bot_id)
    return caller


def _check_key(bot_id: int, key: str) -> Bounds:
    bounds = Bounds()
    bounds.bot("bot_id", bot_id)
    bounds.text("key", key, is_required=True)
    return bounds
