"""Run the stand-ins for KIE and Telegram until a signal ends them."""

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from contextlib import AsyncExitStack
from typing import NoReturn, TypeVar

from pydantic import ValidationError
from pydantic_settings import SettingsError
from starlette.types import ASGIApp

from sandbox.server import address, bind, running
from sandbox.settings import SandboxKieSettings, SandboxTelegramSettings

Stand = tuple[ASGIApp, socket.socket]
"""A stand-in and the socket that it is served on."""

S = TypeVar("S", SandboxKieSettings, SandboxTelegramSettings)


HELP = "Stand in for KIE and for Telegram. Its settings come from the environment."


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """End the process with the message alone, without the usage."""
        self.exit(2, f"{self.prog}: {message}\n")


def main() -> None:
    """Start what has an address; a bad setting or a port in use ends it with one line."""
    _Parser("sandbox", description=HELP, allow_abbrev=False).parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    kie, telegram = _loaded(SandboxKieSettings), _loaded(SandboxTelegramSettings)
    asyncio.run(_serve([*_kie(kie), *_telegram(telegram)]))


def _loaded(kind: type[S]) -> S:
    try:
        return kind()
    except ValidationError as error:
        problem = error.errors()[0]
        name = ".".join(map(str, problem["loc"])).upper()
        message = " ".join(problem["msg"].split())
        sys.exit(f"settings: {kind.model_config['env_prefix']}{name} is wrong: {message}")
    except SettingsError as error:
        name = str(error).partition('"')[2].partition('"')[0].upper()
        sys.exit(f"settings: {kind.model_config['env_prefix']}{name} is wrong: it must be JSON")


def _kie(settings: SandboxKieSettings) -> list[Stand]:
    if not settings.listen:
        return []
    from sandbox.kie.app import create_app

    sock = _bound(settings)
    return [(create_app(settings), sock)]


def _telegram(settings: SandboxTelegramSettings) -> list[Stand]:
    if not settings.listen:
        return []
    from sandbox.telegram.app import create_app

    sock = _bound(settings)
    try:
        return [(create_app(settings), sock)]
    except OSError as error:
        sys.exit(f"sandbox: SANDBOX_TELEGRAM_STATE_PATH cannot be used: {error.strerror}")


def _bound(settings: SandboxKieSettings | SandboxTelegramSettings) -> socket.socket:
    """Listen, and let links start with that address unless another one is set."""
    try:
        sock = bind(settings.listen)
    except (OSError, ValueError) as error:
        number = getattr(error, "errno", None)
        reason = os.strerror(number) if number else error
        sys.exit(f"sandbox: cannot listen on {settings.listen}: {reason}")
    if "base_url" not in settings.model_fields_set:
        settings.base_url = f"http://{address(sock)}"
    return sock


async def _serve(stands: list[Stand]) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with AsyncExitStack() as stack:
        for app, sock in stands:
            await stack.enter_async_context(running(app, sock=sock))
        await stopped.wait()


if __name__ == "__main__":
    main()
