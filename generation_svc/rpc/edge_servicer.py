"""`EdgeService`: sessions and update leases of edges."""

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration

from atelier.generation.v1 import edge_service_pb2 as pb
from atelier.generation.v1 import edge_service_pb2_grpc as pb_grpc
from generation_svc.domain.caller import Caller
from generation_svc.domain.port.session import SessionRecord
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.rpc import convert
from generation_svc.rpc.bound import MAX_SESSION_BYTES, Bounds
from generation_svc.rpc.call import ServicerContext
from generation_svc.rpc.caller import current_caller


class EdgeServicer(pb_grpc.EdgeServiceServicer):
    """Answers the calls of `EdgeService`."""

    def __init__(self, deps: Dependencies) -> None:
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
