"""The settings of the edge."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from generation_client import ClientSettings
from runtime.address import Address
from runtime.web_address import WebAddress

_TOKEN = re.compile(r"[1-9]\d{0,18}:[A-Za-z0-9_-]+", re.ASCII)

_CONTACT = re.compile(r"@\w{4,32}|https://\S{1,200}|[^@\s]{1,64}@[^@\s]{1,190}")


def _token(value: SecretStr) -> SecretStr:
    if not _TOKEN.fullmatch(value.get_secret_value()):
        raise ValueError("a token looks like 123456789:AAF…")
    return value


def _contact(value: str) -> str:
    if value and not _CONTACT.fullmatch(value):
        raise ValueError("a contact looks like @name, https://… or name@example.org")
    return value


class EdgeSettings(ClientSettings):
    """The settings of the edge: its bot, Telegram and the generation service."""

    telegram_bot_token: Annotated[SecretStr, AfterValidator(_token)]
    """The token of the bot, from @BotFather."""

    telegram_api_url: WebAddress = Field(
        "https://api.telegram.org", examples=["https://api.telegram.org"]
    )
    """Where the Bot API is."""

    telegram_webhook_url: WebAddress | None = Field(None, examples=["https://bot.example.org"])
    """The public address under which Telegram reaches EDGE_LISTEN; long polling when empty."""

    edge_listen: Address = Field(Address("127.0.0.1", 8081), examples=["127.0.0.1:8081"])
    """Where the edge answers /healthz and /readyz, and takes updates in webhook mode."""

    delivery_lease_s: float = Field(60, ge=10, le=300)
    """Seconds after which a delivery that an edge has taken and not reported is given again."""

    edge_spool_limit_mb: int = Field(2000, ge=100)
    """How many MB of results lie on the disk (in TMPDIR) at once while they are being sent."""

    edge_support: Annotated[str, AfterValidator(_contact)] = Field("", examples=["@example_help"])
    """Where questions about payments go: @name, https://… or an address of mail."""

    star_read_s: float = Field(300, ge=1, le=3600)
    """Seconds from one reading of Telegram's list of the bot's Stars to the next."""

    edge_heal_stars: bool = True
    """Whether payments that Telegram lists and no update told are credited, else only reported."""

    @property
    def telegram_host(self) -> str:
        """The host of the Bot API."""
        return urlsplit(self.telegram_api_url).hostname or ""

    @property
    def bot_id(self) -> int:
        """The bot's own user id: the digits before the colon of its token."""
        return int(self.telegram_bot_token.get_secret_value().partition(":")[0])
