"""Reads and writes sessions, which only the service stores.

A `Session` is JSON under `chat:<id>`. Whoever writes it names the version that was read; if
somebody else wrote meanwhile the interaction begins again, which every handler allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import grpc
import structlog
from pydantic import ValidationError

from atelier.generation.v1 import edge_service_pb2 as pb
from edge_bot.conversation.session import Session
from generation_client import GenerationClient, GenerationError

log = structlog.get_logger(__name__)


class SessionConflict(Exception):
    """The session was written by someone else since it was read."""


class ClaimConflict(Exception):
    """Another edge answers the same event at this moment, unless it was killed in it."""


class SessionPlace(Protocol):
    """Whose sessions are meant, and where they are kept."""

    @property
    def bot_id(self) -> int:
        """The bot."""
        ...

    @property
    def client(self) -> GenerationClient:
        """The service that keeps them."""
        ...


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session and the version under which the service has it."""

    session: Session
    version: int


async def load_session(place: SessionPlace, chat_id: int) -> StoredSession:
    """Read the session of a chat; one that this release cannot read is as good as none."""
    request = pb.GetSessionRequest(bot_id=place.bot_id, key=_key(chat_id))
    stored = (await place.client.edge.GetSession(request)).session
    try:
        session = Session.model_validate_json(stored.data) if stored.data else Session()
    except ValidationError as error:
        log.warning(
            "a session could not be read; it begins anew",
            chat_id=chat_id,
            errors=error.error_count(),
        )
        # A newer release may have written it; a lost draft is better than a chat that never
        # answers.
        session = Session()
    return StoredSession(session, stored.version)


async def save_session(
    place: SessionPlace, chat_id: int, *, session: Session, version: int
) -> StoredSession:
    """Write the session of a chat; raises SessionConflict if the version is not the latest."""
    request = pb.PutSessionRequest(
        bot_id=place.bot_id, key=_key(chat_id), data=session.packed(), version=version
    )
    try:
        answer = await place.client.edge.PutSession(request)
    except grpc.aio.AioRpcError as error:
        if GenerationError.from_rpc(error).reason == "SESSION_CONFLICT":
            raise SessionConflict from error
        raise
    return StoredSession(session, answer.session.version)


def _key(chat_id: int) -> str:
    return f"chat:{chat_id}"
