"""What a conversation remembers, kept by the service and by nobody else.

A `Session` is JSON under `chat:<id>`. Whoever writes it names the version that was read; if
somebody else wrote meanwhile the turn begins again, which every handler allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import grpc
import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from atelier.generation.v1 import edge_service_pb2 as pb
from edge_bot.context import EdgeContext
from generation_svc.client import GenerationError

MAX_REPLIES = 32
"""How many of the last updates are remembered, so that a repetition is known as one."""

TAG_LENGTH = 8
"""How much of a draft's id its buttons carry."""

OptionValue: TypeAlias = str | int | float | bool

log = structlog.get_logger(__name__)


class SessionConflict(Exception):
    """The session was written by someone else since it was read."""


class Draft(BaseModel):
    """A picture that is being asked for; what is missing is what is asked next."""

    model_config = ConfigDict(frozen=True)

    id: str
    """The UUID under which the job is asked for, so that two presses make one job."""
    kind: int = 0
    """What is to be done, one of ModelKind; 0 until it is chosen."""
    model_id: str = ""
    prompt: str = ""
    picture: str = ""
    """The picture as an input, such as `upload:<id>`."""
    options: dict[str, OptionValue] = {}
    """The values that were chosen, by field; the others have their defaults."""
    is_changing_prompt: bool = False
    overlong: int = 0
    """The length of a prompt that was refused for it, until another one comes."""
    job_id: str = ""
    """The job that the draft became."""

    @property
    def tag(self) -> str:
        """The part of the id that buttons carry."""
        return self.id[:TAG_LENGTH]


class Session(BaseModel):
    """The state of one conversation."""

    model_config = ConfigDict(frozen=True)

    version: Literal[1] = 1
    draft: Draft | None = None
    album_id: str = ""
    """The album whose first picture was taken last."""
    is_album_noticed: bool = False
    """Whether the user was told that only one picture of that album is used."""
    replies: dict[str, int] = {}
    """The message that answered an update, by the update's origin; 0 until it is known."""

    def with_reply(self, origin: str, message_id: int) -> Session:
        """Return the session with one more update remembered, the oldest ones forgotten."""
        replies = {**self.replies, origin: message_id}
        latest = dict(list(replies.items())[-MAX_REPLIES:])
        return self.model_copy(update={"replies": latest})


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session and the version under which the service has it."""

    session: Session
    version: int


async def load_session(context: EdgeContext, chat_id: int) -> StoredSession:
    """Read the session of a chat; one that this release cannot read is as good as none."""
    request = pb.GetSessionRequest(bot_id=context.bot_id, key=_key(chat_id))
    stored = (await context.client.edge.GetSession(request)).session
    try:
        session = Session.model_validate_json(stored.data) if stored.data else Session()
    except ValidationError as error:
        log.warning("a session could not be read", chat_id=chat_id, errors=error.error_count())
        session = Session()
    return StoredSession(session, stored.version)


async def save_session(
    context: EdgeContext, chat_id: int, *, session: Session, version: int
) -> StoredSession:
    """Write the session of a chat; raises SessionConflict if the version is not the latest."""
    data = session.model_dump_json(exclude_defaults=True).encode()
    request = pb.PutSessionRequest(
        bot_id=context.bot_id, key=_key(chat_id), data=data, version=version
    )
    try:
        answer = await context.client.edge.PutSession(request)
    except grpc.aio.AioRpcError as error:
        if GenerationError.from_rpc(error).reason == "SESSION_CONFLICT":
            raise SessionConflict from error
        raise
    return StoredSession(session, answer.session.version)


def _key(chat_id: int) -> str:
    return f"chat:{chat_id}"
