"""Makes links for uploads, tells what became of them, and takes the files that come by them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from generation_svc.domain.caller import Caller, Scope
from generation_svc.domain.link_error import UploadLinkInvalid, UploadLinksDisabled
from generation_svc.domain.media import MediaKind, Upload
from generation_svc.domain.upload_bound import UPLOAD_KINDS
from generation_svc.domain.upload_link import LIFETIME, UploadLink, UploadTicket, upload_id_of
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.usecase import upload_input


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRequest:
    """What a link is to be for."""

    owner: str
    draft: str
    kinds: Sequence[MediaKind] = ()
    language: str = ""
    return_uri: str = ""


async def create(deps: Dependencies, caller: Caller, request: LinkRequest) -> UploadLink:
    """Return a link for an owner's draft, with the upload if it came already.

    Raises PermissionDenied and UploadLinksDisabled.
    """
    caller.require_owner(request.owner)
    if deps.media.upload_links is None:
        raise UploadLinksDisabled
    ticket = UploadTicket(
        upload_id=upload_id_of(caller.name, owner=request.owner, draft=request.draft),
        caller=caller.name,
        owner=request.owner,
        expire_time=deps.database.now() + LIFETIME,
        kinds=tuple(kind for kind in UPLOAD_KINDS if kind in (request.kinds or UPLOAD_KINDS)),
        language=request.language,
        return_uri=request.return_uri,
    )
    return await _described(deps, ticket, uri=deps.media.upload_links.make(ticket))


async def read(deps: Dependencies, *, token: str) -> UploadLink:
    """Return what a link is for. Raises UploadLinkInvalid."""
    return await _described(deps, _ticket(deps, token))


@dataclass(slots=True)
class LinkTurns:
    """Which attempt at sending the file of a link is the latest: an older one is given up.

    A telephone that lost its connection tries again while the service still waits for the first.
    """

    _latest: dict[str, object] = field(default_factory=dict)

    async def pieces(
        self, ticket: UploadTicket, pieces: AsyncIterator[bytes]
    ) -> AsyncIterator[bytes]:
        """Give the pieces of this attempt; raises UploadLinkInvalid once there is a later one."""
        name, attempt = ticket.upload_id.hex, object()
        self._latest[name] = attempt
        try:
            async for piece in pieces:
                if self._latest.get(name) is not attempt:
                    raise UploadLinkInvalid
                yield piece
        finally:
            if self._latest.get(name) is attempt:
                del self._latest[name]


async def upload(
    deps: Dependencies, *, token: str, pieces: AsyncIterator[bytes], turns: LinkTurns
) -> Upload:
    """Keep the file that comes by a link.

    Raises UploadLinkInvalid, RateLimited and whatever `upload_input.upload` raises.
    """
    ticket = _ticket(deps, token)
    if await _find(deps, ticket) is not None:
        raise UploadLinkInvalid
    caller = Caller(
        ticket.caller,
        scopes=frozenset({Scope.OWN_JOBS}),
        wallet=deps.wallet_of(ticket.caller),
    )
    deps.count_job(caller, ticket.owner)
    return await upload_input.upload(
        deps,
        caller,
        owner=ticket.owner,
        pieces=turns.pieces(ticket, pieces),
        ticket=ticket,
    )


def _ticket(deps: Dependencies, token: str) -> UploadTicket:
    if deps.media.upload_links is None:
        raise UploadLinkInvalid
    return deps.media.upload_links.read(token)


async def _described(deps: Dependencies, ticket: UploadTicket, *, uri: str = "") -> UploadLink:
    most = deps.media.spool.most_bytes(ticket.kinds)
    return UploadLink(ticket, most, uri=uri, upload=await _find(deps, ticket))


async def _find(deps: Dependencies, ticket: UploadTicket) -> Upload | None:
    async with deps.database.transaction() as tx:
        stored = await tx.media.find_upload(ticket.upload_id, caller=ticket.caller)
    if stored is None:
        return None
    media = stored.media
    return Upload(
        media.id,
        media.mime_type,
        media.size_bytes,
        media.width,
        media.height,
        media.sha256,
        duration=media.duration,
    )
