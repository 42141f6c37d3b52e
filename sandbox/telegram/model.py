"""What the sandbox remembers: users, bots, chats, messages, files."""

import time
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, Field

from sandbox.telegram.star import Invoice, Payment, StarTransaction

Json: TypeAlias = dict[str, Any]
"""A JSON object as the Bot API shows it."""

FIRST_UPDATE_ID = 100_000_001
"""Where a bot's updates start counting; real ones start anywhere."""


class User(BaseModel):
    """A person who can chat with bots."""

    id: int
    first_name: str = "Alice"
    last_name: str | None = None
    username: str | None = None
    language_code: str = "en"
    stars: int = Field(default=10_000, ge=0)
    """The Telegram Stars that the person has to spend; no bot gets to know."""

    def to_api(self) -> Json:
        """Return the user as `from` shows it."""
        shown = self.model_dump(exclude={"id", "stars"}, exclude_none=True)
        return {"id": self.id, "is_bot": False} | shown

    def chat_to_api(self) -> Json:
        """Return the private chat with the user as `chat` shows it."""
        names = {"first_name", "last_name", "username"}
        return {"id": self.id, "type": "private"} | self.model_dump(
            include=names, exclude_none=True
        )


class Group(BaseModel):
    """A group in which bots are members; only what bots say there is kept."""

    id: int = Field(lt=0)
    title: str = "Friends"
    topics: list[int] = []
    """The topics of a forum but for its General one; none means that it is no forum."""

    def to_api(self) -> Json:
        """Return the group as `chat` shows it."""
        shown: Json = {"id": self.id, "type": "supergroup", "title": self.title}
        return shown | ({"is_forum": True} if self.topics else {})


class Version(BaseModel):
    """What a message said before an edit, and until when."""

    until: float
    content: Json


class Message(BaseModel):
    """A message of one chat; `content` holds its fields as the Bot API names them."""

    id: int
    date: int = Field(default_factory=lambda: int(time.time()))
    is_from_bot: bool
    content: Json
    reply_to_id: int | None = None
    edit_date: int | None = None
    is_deleted: bool = False
    invoice_id: str | None = None
    """Which of the bot's invoices the Pay button opens."""

    history: list[Version] = []

    def edit(self, content: Json) -> None:
        """Replace the content and keep the old one in the history."""
        now = time.time()
        self.history.append(Version(until=now, content=self.content))
        self.content, self.edit_date = content, int(now)


class Chat(BaseModel):
    """The private chat of one bot and one user."""

    messages: dict[int, Message] = {}
    is_blocked: bool = False
    keyboard: list[list[Json]] = []
    """The reply keyboard that the bot has put under the user's input."""


class CallbackQuery(BaseModel):
    """A press of an inline button, and how the bot answered it."""

    id: str
    user_id: int
    message_id: int
    data: str
    time: float = Field(default_factory=time.time)
    answer: Json | None = None


class Webhook(BaseModel):
    """Where a bot wants its updates posted."""

    url: str
    secret_token: str = ""
    max_connections: int = 40
    last_error_date: int | None = None
    last_error_message: str | None = None


class Bot(BaseModel):
    """A bot with everything that belongs to it alone."""

    id: int
    token: str
    first_name: str
    username: str
    last_seen: float = 0
    chats: dict[int, Chat] = {}
    next_message_id: int = 1
    updates: list[Json] = []
    next_update_id: int = FIRST_UPDATE_ID
    allowed_updates: list[str] = []
    webhook: Webhook | None = None
    callbacks: dict[str, CallbackQuery] = {}
    invoices: dict[str, Invoice] = {}
    payments: dict[str, Payment] = {}
    star_transactions: list[StarTransaction] = []
    """What moved the bot's Stars, in chronological order."""

    commands: dict[str, list[Json]] = {}
    texts: dict[str, str] = {}
    """Name, description and the like, as `<kind>:<language>`."""

    def to_api(self) -> Json:
        """Return the bot as `from` shows it."""
        keys = {"id", "first_name", "username"}
        return {"is_bot": True} | self.model_dump(include=keys)

    def payment_by_charge(self, charge_id: str) -> Payment | None:
        """Return the payment with a charge."""
        payments = self.payments.values()
        return next((one for one in payments if one.charge_id == charge_id), None)

    def forget(self) -> None:
        """Drop chats, messages, updates and Stars; what the bot has set up stays."""
        self.chats, self.callbacks, self.updates = {}, {}, []
        self.invoices, self.payments, self.star_transactions = {}, {}, []


FileKind: TypeAlias = Literal["Photo", "Document", "Video", "Audio", "Thumbnail"]


class StoredFile(BaseModel):
    """A file that somebody sent; `siblings` are the other sizes of the same photo."""

    id: str
    kind: FileKind
    path: str
    size: int
    mime_type: str
    name: str | None = None
    width: int | None = None
    height: int | None = None
    siblings: list[str] = []
    about: Json = {}
    """What the sender says of a video or a song, as the Bot API shows it: `duration`, `title` …"""

    cover: list[str] = []
    """The picture that stands for a video, in all its sizes."""


class State(BaseModel):
    """Everything that survives a restart."""

    users: dict[int, User] = {}
    groups: dict[int, Group] = {}
    bots: dict[str, Bot] = {}
    files: dict[str, StoredFile] = {}
