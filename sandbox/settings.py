"""The settings of the sandbox, from `SANDBOX_…` in the environment or `.env`."""

from pydantic_settings import BaseSettings, SettingsConfigDict

from sandbox.kie.settings import KieSettings
from sandbox.telegram.settings import TelegramSettings

_SOURCE = SettingsConfigDict(env_file=".env", extra="ignore", validate_assignment=True)


class SandboxKieSettings(KieSettings, BaseSettings):
    """The KIE stand-in's own settings (`SANDBOX_KIE_…`) and where it listens."""

    model_config = SettingsConfigDict(**_SOURCE, env_prefix="SANDBOX_KIE_")

    listen: str = "127.0.0.1:8091"
    """The address to listen on; empty switches the stand-in off."""


class SandboxTelegramSettings(TelegramSettings, BaseSettings):
    """The Telegram stand-in's own settings (`SANDBOX_TELEGRAM_…`) and where it listens."""

    model_config = SettingsConfigDict(**_SOURCE, env_prefix="SANDBOX_TELEGRAM_")

    listen: str = "127.0.0.1:8092"
    """The address to listen on; empty switches the stand-in off."""
