"""Run the whole product on this machine: `python -m devrun.run`, which is `make run`.

Every process is the same ordinary program as elsewhere; honcho starts them, shows their output, and
ends all of them when one ends or when asked to. The sandbox replaces whatever has no key: KIE
without `KIE_API_KEY` or `KIE_API_KEYS`, Telegram without `TELEGRAM_BOT_TOKEN`. Unless callers are
configured, they are created here, and each process gets a token of its own.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from signal import SIGINT, SIGTERM

from honcho.manager import Manager
from honcho.printer import Message, Printer
from pydantic import SecretStr

from devrun.caller import FOLDER, make_callers, make_link_key
from runtime.address import Address
from runtime.command_line import SETTINGS, take_no_arguments
from runtime.settings import ProcessSettings

SANDBOX_KEY = "sandbox-kie-key"
SANDBOX_TOKEN = "7000000001:sandbox-token-that-opens-nothing-at-all"
SANDBOX_SUPPORT = "@sandbox_support"
SANDBOX_PACKS = "small=100:100,medium=550:500,large=1200:1000"
"""What a newcomer buys with Stars that cost nothing."""
WELCOME = "welcome"
STOP_GRACE_SECONDS = "4"
"""Below the 5 s after which honcho kills."""

SILENT_END = re.compile(r"(\w+) stopped \(rc=(0|-\d+)\)")
"""What honcho prints for a process that ended by itself or was killed."""


class RunSettings(ProcessSettings):
    """What decides which parts are real, and where everything listens."""

    kie_api_key: SecretStr | None = None
    """The key of the account at KIE; without any key the sandbox stands in."""

    kie_api_keys: SecretStr | None = None
    """The keys of several accounts at KIE."""

    telegram_bot_token: SecretStr | None = None
    """The token of the bot; without it the sandbox stands in."""

    telegram_webhook_url: str = ""
    """The public address of the edge; without it the bot asks Telegram for updates."""

    generation_listen: Address = Address("127.0.0.1", 50051)
    """Where the service takes gRPC calls."""

    database_url: SecretStr | None = None
    """A PostgreSQL of yours; without it there is one for this machine alone."""

    money: str = ""
    """Which money jobs are paid with; where all is the sandbox it is test money."""

    star_packs: str = ""
    """What is sold for Stars."""

    edge_support: str = ""
    """Where questions about payments go."""

    unpaid_models: str = ""
    """Whether models that cost money are used unpaid."""

    generation_callers: SecretStr | None = None
    """Who may call the service; without it the callers are those of this machine."""

    gateway_listen: Address = Address("127.0.0.1", 8080)
    """Where the gateway takes callbacks."""

    media_base_url: str = ""
    """The public address of links to media; without it they lead to the gateway on this machine."""

    edge_listen: Address = Address("127.0.0.1", 8081)
    """Where the edge answers /readyz, and takes updates in webhook mode."""

    sandbox_kie_listen: Address = Address("127.0.0.1", 8091)
    """Where the sandbox stands in for KIE."""

    sandbox_telegram_listen: Address = Address("127.0.0.1", 8092)
    """Where the sandbox stands in for Telegram, with the chat page."""

    @property
    def has_kie(self) -> bool:
        """Whether a key opens an account at the real KIE."""
        return bool(self.kie_api_key or self.kie_api_keys)

    @property
    def bot_id(self) -> int | None:
        """The bot's own user id: the digits before the colon of its token."""
        token = self.telegram_bot_token
        digits = (token.get_secret_value() if token else SANDBOX_TOKEN).partition(":")[0]
        return int(digits) if digits.isascii() and digits.isdecimal() else None


class PlainPrinter(Printer):  # type: ignore[misc] # honcho is untyped
    """Shows the output of the processes, and no messages of honcho itself."""

    is_ending = False

    def write(self, message: Message) -> None:
        """Show one line, with the name of its process."""
        if message.name == "system":
            self._explain(message)
            return
        self.prefix = message.name != WELCOME
        super().write(message)

    def _explain(self, message: Message) -> None:
        """Say which process ended all the others, if it had no time to say so itself."""
        ended = SILENT_END.match(message.data)
        if ended and not self.is_ending:
            self.prefix = False
            line = f"{ended[1]} ended (exit code {ended[2]}), so everything stops.\n"
            super().write(message._replace(data=line))
        self.is_ending = self.is_ending or " started " not in message.data


def environment(settings: RunSettings) -> dict[str, str]:
    """Return the settings of all processes that come on top of the environment and `.env`."""
    told = {
        # Our processes log what gRPC would also write to stderr.
        "GRPC_VERBOSITY": "NONE",
        # Hides a platform's PORT, which would move the gateway away from GATEWAY_LISTEN.
        "PORT": "",
        "STOP_GRACE_S": STOP_GRACE_SECONDS,
        "GENERATION_ADDRESS": str(settings.generation_listen.dialled),
        **_kie(settings),
        **_telegram(settings),
        **_money(settings),
    }
    return told if "log_level" in settings.model_fields_set else told | {"LOG_LEVEL": "warning"}


def _kie(settings: RunSettings) -> dict[str, str]:
    if settings.has_kie:
        return {"SANDBOX_KIE_LISTEN": ""}
    address = settings.sandbox_kie_listen
    return {
        "SANDBOX_KIE_LISTEN": str(address),
        "KIE_API_KEY": SANDBOX_KEY,
        "KIE_API_URL": f"http://{address.dialled}",
        "KIE_UPLOAD_URL": f"http://{address.dialled}",
        "KIE_RESULT_HOSTS": str(address.dialled),
        "CALLBACK_BASE_URL": f"http://{settings.gateway_listen.dialled}",
    }


def _telegram(settings: RunSettings) -> dict[str, str]:
    if settings.telegram_bot_token:
        return {"SANDBOX_TELEGRAM_LISTEN": ""}
    # The sandbox reaches the edge on this machine, whatever its public address is.
    webhook_url = f"http://{settings.edge_listen.dialled}" if settings.telegram_webhook_url else ""
    return {
        "SANDBOX_TELEGRAM_LISTEN": str(settings.sandbox_telegram_listen),
        "SANDBOX_TELEGRAM_TOKEN": SANDBOX_TOKEN,
        "SANDBOX_TELEGRAM_STATE_PATH": ".atelier/telegram",
        "TELEGRAM_BOT_TOKEN": SANDBOX_TOKEN,
        "TELEGRAM_API_URL": f"http://{settings.sandbox_telegram_listen.dialled}",
        "TELEGRAM_WEBHOOK_URL": webhook_url,
    }


def _money(settings: RunSettings) -> dict[str, str]:
    """Sell for test money where nothing is real, and no database of yours is marked by that."""
    is_real = settings.has_kie or settings.telegram_bot_token or settings.database_url
    if is_real or settings.money or settings.unpaid_models:
        return {}
    return {
        "MONEY": "test",
        "STAR_PACKS": settings.star_packs or SANDBOX_PACKS,
        "EDGE_SUPPORT": settings.edge_support or SANDBOX_SUPPORT,
    }


def credentials(settings: RunSettings, *, folder: Path = FOLDER) -> dict[str, dict[str, str]]:
    """Return each program's own settings: its token, created first if no callers are set."""
    if settings.generation_callers:
        return {}
    document = make_callers(folder, bot_id=settings.bot_id)
    return {
        "generation_svc": {"GENERATION_CALLERS_FILE": str(document)},
        "edge_bot": _token(folder / "edge"),
        "callback_gateway": _token(folder / "gateway"),
    }


def links(settings: RunSettings, *, folder: Path = FOLDER) -> dict[str, str]:
    """Return the service's own settings of links to media, whose key is created first."""
    if settings.media_base_url:
        return {}
    return {
        "MEDIA_BASE_URL": f"http://{settings.gateway_listen.dialled}",
        "MEDIA_LINK_KEY": "",
        "MEDIA_LINK_KEY_FILE": str(make_link_key(folder)),
    }


def _token(path: Path) -> dict[str, str]:
    # The empty value hides a token in the environment or `.env`.
    return {"GENERATION_TOKEN": "", "GENERATION_TOKEN_FILE": str(path)}


def commands(settings: RunSettings) -> Mapping[str, str]:
    """Return the programs to run, by name."""
    programs = ["generation_svc", "callback_gateway", "edge_bot"]
    if not settings.has_kie or settings.telegram_bot_token is None:
        programs.insert(0, "sandbox")
    python = f"exec '{sys.executable}' -u"
    return {
        **{name: f"{python} -m {name}" for name in programs},
        WELCOME: f"{python} -m devrun.welcome",
    }


def main() -> None:
    """Run until Ctrl-C or until a process ends."""
    take_no_arguments(
        "devrun.run", description=f"Run the whole product on this machine. {SETTINGS}"
    )
    settings = RunSettings.load()
    manager = Manager(PlainPrinter(sys.stdout))
    env, own = {**os.environ, **environment(settings)}, credentials(settings)
    own["generation_svc"] = {**own.get("generation_svc", {}), **links(settings)}
    for name, command in commands(settings).items():
        manager.add_process(name, command, env={**env, **own.get(name, {})})
    manager.loop()
    asked_to_stop = {128 + SIGINT, 128 + SIGTERM}
    raise SystemExit(0 if manager.returncode in asked_to_stop else manager.returncode)


if __name__ == "__main__":
    main()
