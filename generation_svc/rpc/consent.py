"""What callers say of owners' consents: records, lists and withdraws them."""

from atelier.generation.v1 import generation_service_pb2 as pb
from generation_svc.domain.caller import Caller
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.rpc.bound import MAX_VERSION_LENGTH, Bounds
from generation_svc.rpc.convert_quote import consent_from_proto, consent_record_to_proto
from generation_svc.rpc.page_token import PageQuery
from generation_svc.usecase import consent


async def record(
    deps: Dependencies, caller: Caller, request: pb.RecordConsentRequest
) -> pb.RecordConsentResponse:
    """Record what an owner agreed to. Raises InvalidInputs and PermissionDenied."""
    bounds, version = Bounds(), request.wording_version
    bounds.text("owner", request.owner)
    bounds.text("wording_version", version, most=MAX_VERSION_LENGTH, is_required=True)
    kind = consent_from_proto(request.kind, bounds)
    bounds.check()
    owner = request.owner or caller.name
    recorded = await consent.record(
        deps, caller, owner=owner, consent=kind, wording_version=version
    )
    return pb.RecordConsentResponse(consent=consent_record_to_proto(recorded))


async def page(
    deps: Dependencies, caller: Caller, request: pb.ListConsentsRequest
) -> pb.ListConsentsResponse:
    """List what an owner agreed to. Raises InvalidInputs, InvalidPageToken, PermissionDenied."""
    bounds = Bounds()
    bounds.text("owner", request.owner)
    size = bounds.page_size(request.page_size, default=20, most=100)
    bounds.check()
    owner = request.owner or caller.name
    query = PageQuery("ListConsents", caller.name, (owner,))
    after = query.cursor(request.page_token)
    found = await consent.page(deps, caller, owner=owner, after=after, limit=size + 1)
    consents = [consent_record_to_proto(each) for each in found[:size]]
    token = query.next_token(found, shown=size, cursor=lambda each: each.consent)
    return pb.ListConsentsResponse(consents=consents, next_page_token=token)


async def withdraw(
    deps: Dependencies, caller: Caller, request: pb.WithdrawConsentRequest
) -> pb.WithdrawConsentResponse:
    """Withdraw what an owner agreed to. Raises InvalidInputs and PermissionDenied."""
    bounds = Bounds()
    bounds.text("owner", request.owner)
    kind = consent_from_proto(request.kind, bounds)
    bounds.check()
    await consent.withdraw(deps, caller, owner=request.owner or caller.name, consent=kind)
    return pb.WithdrawConsentResponse()
