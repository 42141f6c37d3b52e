"""What can be set about the sandbox Telegram."""

from pathlib import Path

from pydantic import BaseModel


class TelegramSettings(BaseModel):
    """The sandbox Telegram's settings, every one with a default that suits a developer."""

    base_url: str = "http://127.0.0.1:8092"
    """The address under which the sandbox is reached; links it gives out start with it."""

    token: str | None = None
    """The token of a bot that exists from the start; other tokens make a bot on first use."""

    bot_name: str = "Atelier"
    """The name that a new bot has until `setMyName`."""

    bot_username: str = "atelier_bot"
    """The user name of the first bot; later ones carry their id in theirs."""

    state_path: Path | None = None
    """The folder that keeps chats, users, updates and files over a restart; none keeps nothing."""

    answer_timeout_s: float = 30
    """How long a button press waits for `answerCallbackQuery` before it is too old."""

    checkout_timeout_s: float = 10
    """How long a payment waits for `answerPreCheckoutQuery` before it is cancelled."""

    link_timeout_s: float = 10
    """How long the download of a file sent by link may take."""

    webhook_timeout_s: float = 30
    """How long a webhook may take to answer."""

    webhook_retry_s: float = 1
    """The pause after a webhook's first failure; it doubles up to 30 times itself."""
