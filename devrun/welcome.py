"""Says that everything is running and what to do next: the last of the programs of `make run`."""

from __future__ import annotations

import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from devrun.caller import LOCAL_TOKEN
from devrun.run import SANDBOX_TOKEN, RunSettings
from runtime.certificate import CertificateFiles
from runtime.command_line import take_no_arguments
from runtime.wait import Deadline

MAX_WAIT_SECONDS = 120.0
LOOK_SECONDS = 0.2
LEAVE = " after a `make clean`: test money stays test money"


class WelcomeSettings(RunSettings):
    """Where the processes listen and what is real, as they were told."""

    generation_tls_certificate_file: Path | None = None
    """The certificate of the service; without it calls are in the clear."""

    generation_tls_ca_file: Path | None = None
    """The authorities that vouch for the service."""

    generation_tls_client_certificate_file: Path | None = None
    """The certificate that a client shows."""

    generation_tls_client_key_file: Path | None = None
    """The key of that certificate."""

    generation_tls_server_name: str = ""
    """The name in the service's certificate."""

    @property
    def is_sandbox_chat(self) -> bool:
        """Whether the chat page is the way to talk to the bot."""
        token = self.telegram_bot_token
        return token is not None and token.get_secret_value() == SANDBOX_TOKEN


def main() -> None:
    """Wait until everything is ready, say so, and stay until asked to stop."""
    take_no_arguments("devrun.welcome", description="Wait until everything runs, and say so.")
    settings = WelcomeSettings.load()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    waits: dict[str, Callable[[], bool]] = {
        "generation_svc": lambda: is_serving(settings),
        "callback_gateway": lambda: answers(f"http://{settings.gateway_listen.dialled}/healthz"),
        "edge_bot": lambda: answers(f"http://{settings.edge_listen.dialled}/readyz"),
    }
    deadline = Deadline(MAX_WAIT_SECONDS, clock=time.monotonic)
    for name, is_ready in waits.items():
        while not is_ready():
            if deadline.is_over:
                sys.exit(f"{name} was not ready within {MAX_WAIT_SECONDS:g} s.")
            time.sleep(LOOK_SECONDS)
    sys.stdout.write(text(settings))
    sys.stdout.flush()
    signal.pause()


def text(settings: WelcomeSettings) -> str:
    """Return the lines that a newcomer reads."""
    page = f"http://{settings.sandbox_telegram_listen.dialled}"
    chat = page if settings.is_sandbox_chat else "your bot in Telegram"
    inputs = '{"model_id":"z-image","inputs":{"prompt":"a fox in the snow"}}'
    token = "$TOKEN" if settings.generation_callers else f"$(cat {LOCAL_TOKEN})"
    leave = "" if settings.database_url else LEAVE
    return f"""
Atelier is running. Ctrl-C stops it; its data stays in .atelier.

  Chat     {chat}
  gRPC     .venv/bin/grpcurl {" ".join(transport(settings))} \\
             -H "authorization: Bearer {token}" \\
             -d '{inputs}' \\
             {settings.generation_listen.dialled} atelier.generation.v1.GenerationService/CreateJob
  Gateway  http://{settings.gateway_listen.dialled}/callbacks/kie
  Go real  put KIE_API_KEY, TELEGRAM_BOT_TOKEN and CALLBACK_BASE_URL into .env
           (see .env.example){leave}

"""


def transport(settings: WelcomeSettings) -> list[str]:
    """Return the flags with which grpcurl reaches the service."""
    if not settings.generation_tls_certificate_file:
        return ["-plaintext"]
    flags = {
        "-cacert": settings.generation_tls_ca_file,
        "-cert": settings.generation_tls_client_certificate_file,
        "-key": settings.generation_tls_client_key_file,
        "-servername": settings.generation_tls_server_name,
    }
    return [f"{flag} {value}" for flag, value in flags.items() if value]


def _channel(settings: WelcomeSettings) -> grpc.Channel:
    address = str(settings.generation_listen.dialled)
    if not settings.generation_tls_certificate_file:
        return grpc.insecure_channel(address)
    found = CertificateFiles(
        chain=settings.generation_tls_client_certificate_file,
        key=settings.generation_tls_client_key_file,
        authorities=settings.generation_tls_ca_file,
    ).read()
    name = settings.generation_tls_server_name
    return grpc.secure_channel(
        address,
        grpc.ssl_channel_credentials(found.authorities, found.key, found.chain),
        options=[("grpc.ssl_target_name_override", name)] if name else [],
    )


def is_serving(settings: WelcomeSettings) -> bool:
    """Return whether the service says that it is healthy."""
    with _channel(settings) as channel:
        try:
            stub = health_pb2_grpc.HealthStub(channel)
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=2)  # type: ignore[attr-defined] # left out of the stubs
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def answers(url: str) -> bool:
    """Return whether an address answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    main()
