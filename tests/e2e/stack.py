"""The whole system as real processes: two sandboxes, the service, the gateway, the edge."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import urlsplit

import grpc.aio
from google.protobuf.struct_pb2 import Struct
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic import SecretStr

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.job_pb2 import Job
from generation_client import GenerationClient, Transport, connect
from tests.e2e.caller import TOKENS, client_settings, write_callers
from tests.e2e.history import History, history
from tests.e2e.person import SandboxTelegram
from tests.e2e.program import Program, answers
from tests.e2e.sandbox_kie import SandboxKie
from tests.port import free_address

BOT_TOKEN = "81234567:AAEe2eBotTokenThatNobodyElseMayEverSee_"
BOT_ID = int(BOT_TOKEN.partition(":")[0])
KIE_KEY = "kie-e2e-key-that-only-kie-may-see"
Settings = dict[str, str]
IsReady = Callable[[], Awaitable[bool]]
NOWHERE = "192.0.2.1:50051"
"""An address that no machine has: it is for documents (RFC 5737)."""
SMALL: Mapping[str, Any] = MappingProxyType({"image_size": "square", "output_format": "jpeg"})
"""What makes a free picture small."""
SKEWED = Path(__file__).with_name("skewed")
"""The folder of the `sitecustomize` that shifts the clock of a process."""


class Proxy(Protocol):
    """Gives the address at which one part of the stack reaches another."""

    def __call__(self, link: str, *addresses: str) -> str:
        """Return the address for a link such as "edge-service"; several are its replicas."""


def straight(link: str, *addresses: str) -> str:
    """Let the parts reach each other with nothing in between."""
    return addresses[0]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How a stack is set up."""

    replicas: int = 1
    """How many services run."""
    engines: int = 0
    """How many engines run apart from them; then the services only answer calls."""
    gateways: int = 1
    edges: int = 1
    time_scale: float = 1.0
    """What the service's waits for KIE are multiplied with."""
    skews_s: tuple[float, ...] = ()
    """By how much the clock of each service is wrong; those that are left out are right."""
    service: Settings = field(default_factory=dict)
    """Settings of the service that differ, as in its environment."""
    sandbox: Settings = field(default_factory=dict)
    """Settings of the sandbox KIE that differ."""
    edge: Settings = field(default_factory=dict)
    """Settings of the edges that differ."""
    gateway: Settings = field(default_factory=dict)
    """Settings of the gateways that differ."""
    gateway_listen: str = field(default_factory=free_address)
    """Where the first gateway listens."""
    transport: Transport = field(default_factory=Transport)
    """How calls travel to the services."""
    proxy: Proxy = straight
    log_level: str = "info"


@dataclass(kw_only=True)
class Stack:
    """Handles to every process, and the views on what they do."""

    services: list[Program]
    engines: list[Program]
    gateways: list[Program]
    edges: list[Program]
    kie_program: Program
    kie: SandboxKie
    telegram: SandboxTelegram
    client: GenerationClient
    shop: GenerationClient
    """Another service, all of whose jobs are paid from one wallet."""
    history: History
    gateway_url: str

    @property
    def service(self) -> Program:
        return self.services[0]

    @property
    def engine(self) -> Program:
        return self.engines[0]

    @property
    def gateway(self) -> Program:
        return self.gateways[0]

    @property
    def edge(self) -> Program:
        return self.edges[0]

    @property
    def programs(self) -> list[Program]:
        """The processes of the product."""
        return [*self.services, *self.engines, *self.gateways, *self.edges]

    async def create(
        self,
        prompt: str,
        *,
        model_id: str = "qwen/text-to-image",
        options: Mapping[str, Any] = SMALL,
        client: GenerationClient | None = None,
        **request: Any,
    ) -> Job:
        """Ask for a small picture over gRPC."""
        inputs = Struct()
        inputs.update({"prompt": prompt, **options})
        asked = pb.CreateJobRequest(model_id=model_id, inputs=inputs, **request)
        return (await (client or self.client).generation.CreateJob(asked)).job

    async def counted(self, name: str, **labels: str) -> float:
        """Return a counter of the service, over all its processes."""
        processes = (*self.services, *self.engines)
        return sum([await each.metric(name, **labels) for each in processes])


@asynccontextmanager
async def stack(folder: Path, *, database_url: str, shape: Shape) -> AsyncIterator[Stack]:
    """Start everything on free ports and wait until it is ready; end it when the context ends."""
    plan = _Plan(folder, database_url=database_url, shape=shape)
    services, engines = plan.services(), plan.engines()
    gateways, edges = plan.gateways(), plan.edges()
    sandboxes = plan.sandboxes()
    programs = [*sandboxes, *services, *engines, *gateways, *edges]
    async with AsyncExitStack() as opened:
        opened.push_async_callback(_end, programs)
        for each in programs:
            each.start()
        await asyncio.gather(*(each.ready() for each in programs))
        yield Stack(
            services=services,
            engines=engines,
            gateways=gateways,
            edges=edges,
            kie_program=sandboxes[0],
            kie=SandboxKie(plan.kie),
            telegram=SandboxTelegram(plan.telegram),
            client=await opened.enter_async_context(plan.connect("caller")),
            shop=await opened.enter_async_context(plan.connect("shop")),
            history=await opened.enter_async_context(history(database_url)),
            gateway_url=f"http://{shape.gateway_listen}",
        )


async def _end(programs: list[Program]) -> None:
    """Stop the edges first, so that they can tell the service."""
    edges = [each for each in programs if each.module in ("edge_bot", "callback_gateway")]
    for some in (edges, [each for each in programs if each not in edges]):
        await asyncio.gather(*(each.stop() for each in some))


class _Plan:
    """Who listens where, and what each process is told."""

    def __init__(self, folder: Path, *, database_url: str, shape: Shape) -> None:
        self._folder, self._shape = folder, shape
        self.kie, self.telegram = free_address(), free_address()
        self._listens = [free_address() for _ in range(shape.replicas)]
        more = (free_address() for _ in range(shape.gateways - 1))
        self._gateway_listens = [shape.gateway_listen, *more]
        self._kie_from_service = shape.proxy("service-kie", self.kie)
        self._gateway_from_kie = shape.proxy("kie-gateway", *self._gateway_listens)
        self._telegram_from_edge = shape.proxy("edge-telegram", self.telegram)
        self._database_from_service = _by_road(database_url, shape.proxy)
        self._callers = write_callers(folder / "callers.toml", bot_id=BOT_ID)

    def reached_by(self, part: str) -> str:
        """Return where a part finds the services."""
        return ",".join(self._shape.proxy(f"{part}-service", each) for each in self._listens)

    def connect(self, caller: str) -> AbstractAsyncContextManager[GenerationClient]:
        """Return a way of the test's own to the services."""
        token = SecretStr(TOKENS[caller])
        return connect(self.reached_by(caller), token=token, transport=self._shape.transport)

    def sandboxes(self) -> list[Program]:
        """A sandbox for each party, so that one can be away without the other."""
        kie = {
            "SANDBOX_KIE_LISTEN": self.kie,
            "SANDBOX_KIE_BASE_URL": f"http://{self._kie_from_service}",
            "SANDBOX_KIE_API_KEY": KIE_KEY,
            "SANDBOX_TELEGRAM_LISTEN": "",
            **self._shape.sandbox,
        }
        telegram = {
            "SANDBOX_TELEGRAM_LISTEN": self.telegram,
            "SANDBOX_TELEGRAM_TOKEN": BOT_TOKEN,
            "SANDBOX_KIE_LISTEN": "",
        }
        kie_ready = partial(answers, f"http://{self.kie}/sandbox/counters")
        telegram_ready = partial(answers, f"http://{self.telegram}/sandbox/counters")
        return [
            self._program("sandbox", name="kie", env=kie, is_ready=kie_ready),
            self._program("sandbox", name="telegram", env=telegram, is_ready=telegram_ready),
        ]

    def services(self) -> list[Program]:
        only = ("--only", "rpc") if self._shape.engines else ()
        return [
            self._program(
                "generation_svc",
                *only,
                name=f"generation_svc-{number}",
                env=self._service_env(listen) | self._skew(number),
                is_ready=partial(serves, listen, transport=self._shape.transport),
            )
            for number, listen in enumerate(self._listens, 1)
        ]

    def engines(self) -> list[Program]:
        """Engines that take no calls: they are where nobody could listen."""
        return [
            self._program(
                "generation_svc",
                *("--only", "engine"),
                name=f"engine-{number}",
                env=self._service_env(NOWHERE),
            )
            for number in range(1, self._shape.engines + 1)
        ]

    def gateways(self) -> list[Program]:
        env = self._client_env("gateway")
        return [
            self._program(
                "callback_gateway",
                name=_numbered("callback_gateway", number),
                env={**env, "GATEWAY_LISTEN": listen, **self._shape.gateway},
                is_ready=partial(answers, f"http://{listen}/healthz"),
            )
            for number, listen in enumerate(self._gateway_listens, 1)
        ]

    def edges(self) -> list[Program]:
        env = self._client_env("edge")
        return [self._edge(env, number=number) for number in range(1, self._shape.edges + 1)]

    def _edge(self, common: Settings, *, number: int) -> Program:
        listen = free_address()
        env = {
            **common,
            "EDGE_LISTEN": listen,
            "TELEGRAM_BOT_TOKEN": BOT_TOKEN,
            "TELEGRAM_API_URL": f"http://{self._telegram_from_edge}",
            **self._shape.edge,
        }
        name, ready = _numbered("edge_bot", number), partial(answers, f"http://{listen}/readyz")
        return self._program("edge_bot", name=name, env=env, is_ready=ready)

    def _service_env(self, listen: str) -> Settings:
        """What a service is told."""
        return {
            "GENERATION_LISTEN": listen,
            "GENERATION_CALLERS_FILE": str(self._callers),
            "DATABASE_URL": self._database_from_service,
            "MEDIA_URL": (self._folder / "media").as_uri(),
            "KIE_API_KEY": KIE_KEY,
            "KIE_API_URL": f"http://{self._kie_from_service}",
            "KIE_UPLOAD_URL": f"http://{self._kie_from_service}",
            "KIE_RESULT_HOSTS": self._kie_from_service,
            "CALLBACK_BASE_URL": f"http://{self._gateway_from_kie}",
            "TIME_SCALE": str(self._shape.time_scale),
            **self._shape.service,
        }

    def _skew(self, number: int) -> Settings:
        """What shifts the clock of a service, as it comes before anything of the product does."""
        if number > len(self._shape.skews_s):
            return {}
        paths = [str(SKEWED), *filter(None, [os.environ.get("PYTHONPATH")])]
        skew_s = self._shape.skews_s[number - 1]
        return {"PYTHONPATH": os.pathsep.join(paths), "SKEW_SECONDS": str(skew_s)}

    def _client_env(self, part: str) -> Settings:
        """What a client of the services is told about them."""
        return {
            "GENERATION_ADDRESS": self.reached_by(part),
            "GENERATION_TOKEN": TOKENS[part],
            **client_settings(self._shape.transport),
        }

    def _program(
        self,
        module: str,
        *arguments: str,
        name: str = "",
        env: Settings,
        is_ready: IsReady | None = None,
    ) -> Program:
        name, metrics = name or module, free_address()
        common = {"METRICS_LISTEN": metrics, "LOG_LEVEL": self._shape.log_level}
        return Program(
            name=name,
            module=module,
            arguments=arguments,
            folder=self._folder / name,
            env={**common, **env},
            is_ready=is_ready or partial(answers, f"http://{metrics}/readyz"),
            metrics_address=metrics,
        )


def _by_road(database_url: str, proxy: Proxy) -> str:
    parts = urlsplit(database_url)
    user, at, address = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}{at}{proxy('service-postgres', address)}").geturl()


def _numbered(name: str, number: int) -> str:
    """Return the name of a replica; the first one goes by that of its module."""
    return name if number == 1 else f"{name}-{number}"


async def serves(address: str, *, transport: Transport | None = None) -> bool:
    """Return whether the service says of itself that it is ready."""
    async with _channel(address, transport or Transport()) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            check = stub.Check  # type: ignore[attr-defined] # left out of the stubs
            answer = await check(health_pb2.HealthCheckRequest(), timeout=5)
        except grpc.aio.AioRpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def _channel(address: str, transport: Transport) -> grpc.aio.Channel:
    if not transport.is_tls:
        return grpc.aio.insecure_channel(address)
    found = transport.files.read()
    trust = grpc.ssl_channel_credentials(found.authorities, found.key, found.chain)
    options = [("grpc.ssl_target_name_override", transport.server_name)]
    return grpc.aio.secure_channel(address, trust, options=options)
