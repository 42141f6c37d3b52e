"""What the service needs of others: who generates, where bytes are kept, who is told by post."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from generation_svc.domain.job import Failure
from generation_svc.domain.observation import Observation


@dataclass(frozen=True, slots=True)
class FreshLink:
    """A link to a result that the provider's API made when it was asked."""

    url: str = field(repr=False)
    is_proved: bool
    """Whether it came over TLS, so that the provider alone can have said it."""


class Provider(Protocol):
    """The one who generates. Every method raises a `ProviderError`."""

    @property
    def is_proved(self) -> bool:
        """Whether answers come over TLS, so that the provider alone can have given them."""

    async def create_task(
        self, model_id: str, inputs: Mapping[str, Any], *, callback_url: str | None
    ) -> str:
        """Create a task and return its id.

        Raises ProviderSilent when it is not known whether there is a task now; after every other
        error there is none.
        """

    async def read_task(self, task_id: str) -> Observation:
        """Read what the provider knows of a task; `MISSING` if it knows none."""

    async def upload(self, data: bytes, *, file_name: str, mime_type: str) -> str:
        """Hand over a picture and return a link that the provider can read for a day."""

    async def fresh_link(self, url: str) -> FreshLink:
        """Return a new link to a result whose link died."""

    async def credits(self) -> Decimal:
        """Return the balance of the account; the harmless call that shows whether it works."""


class CallbackReader(Protocol):
    """Reads what the provider posts, and puts its failures into words."""

    def read(self, body: bytes) -> Observation:
        """Read what a callback says; any bytes at all give an observation."""

    def is_signed(self, headers: Mapping[str, str], *, task_id: str | None) -> bool:
        """Return whether the headers prove that the provider spoke of this task just now.

        True where no key for signatures is set: the token alone is the proof then.
        """

    def explain(self, observation: Observation) -> Failure:
        """Say in words for people why a task failed."""


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes whose type was found by looking at them."""

    data: bytes = field(repr=False)
    mime_type: str
    width: int
    height: int
    sha256: str


class ResultFetcher(Protocol):
    """Fetches results from the provider's file hosts."""

    async def fetch(self, url: str, *, is_proved: bool = False) -> Content:
        """Return the content behind a result link; a proved one is the provider's on any host.

        Raises LinkDead (403, 404, 410), FetchFailed (anything that may pass, HostUnreachable where
        nobody was there) or ResultRejected (host not allowed, no known type, ResultTooLarge).
        """


@dataclass(frozen=True, slots=True)
class StoredBytes:
    """Bytes in the store."""

    key: str
    write_time: datetime


class MediaStore(Protocol):
    """Keeps bytes under keys."""

    async def put(self, key: str, data: bytes) -> None:
        """Keep the bytes; writing the same key again replaces them."""

    def stream(self, key: str) -> AsyncIterator[bytes]:
        """Give the bytes in pieces of at most 256 KiB."""

    async def read(self, key: str) -> bytes:
        """Give all the bytes."""

    async def delete(self, key: str) -> None:
        """Forget the bytes; a missing key is no error."""

    def list(self, prefix: str) -> AsyncIterator[Sequence[StoredBytes]]:
        """Give what is kept under a prefix such as `result/`, in pieces of at most 100."""


@dataclass(frozen=True, slots=True)
class WebhookPost:
    """What is posted to a webhook."""

    id: UUID
    """The same one at every try, so that the receiver knows a repetition."""
    url: str = field(repr=False)
    body: bytes = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    """The keys that sign it, newest first."""


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """What came of a post."""

    status: int
    """The HTTP status; 0 where there was none."""
    problem: str = ""
    """Why there was none, in words for the job's trace."""
    retry_after: timedelta | None = None
    """How long the receiver asks to be left alone."""


class WebhookSender(Protocol):
    """Posts to the addresses that callers name."""

    def check(self, url: str) -> None:
        """Raise InvalidInputs, with one violation of `webhook.url`, for what is never posted to."""

    async def post(self, post: WebhookPost) -> WebhookAnswer:
        """Post once, in bounded time; whatever goes wrong is an answer, too."""
